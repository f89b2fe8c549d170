//! A pool of places that is divided as [`Shares`] says.
//! Invariant: what was granted is a [`Taken`] from that moment, also while it is on its way to a task that has been
//! aborted meanwhile: it is given back when dropped, wherever that is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::io::net::link::Link;
use crate::logic::limits::shares::{Limits, Request, Shares, Ticket, Who};
use crate::model::address::network;

/// The pool; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    pressed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Table {
    shares: Shares,
    waiting: HashMap<Ticket, oneshot::Sender<Taken>>,
    next: Ticket,
}

/// Places of a pool; given back when dropped.
#[derive(Debug)]
pub struct Taken {
    pool: Pool,
    who: Who,
    amount: usize,
}

/// A request that waits; forgotten when dropped.
struct Waiting<'a> {
    pool: &'a Pool,
    who: Who,
    ticket: Ticket,
}

/// Who is at the other end of a link, as pools see it.
pub fn who(link: &Link, friend: bool) -> Who {
    Who { peer: link.peer(), network: network(link.remote().ip()), friend }
}

impl Pool {
    /// An unused pool.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let table = Table { shares: Shares::new(limits), waiting: HashMap::new(), next: 0 };
        Self(Arc::new(Inner { table: Mutex::new(table), pressed: watch::Sender::new(false) }))
    }

    /// How many places are taken, and how many there are.
    #[must_use]
    pub fn used(&self) -> (usize, usize) {
        self.table().shares.used()
    }

    /// Takes so many places, or as many as a peer may have if that is less; none when there are none for this one now.
    #[must_use]
    pub fn try_take(&self, who: Who, amount: usize) -> Option<Taken> {
        let mut table = self.table();
        let amount = table.shares.clamp(amount);
        table.shares.take(who, amount).then(|| Taken { pool: self.clone(), who, amount })
    }

    /// As [`Pool::try_take`], but waits for its turn.
    pub async fn take(&self, who: Who, amount: usize) -> Taken {
        loop {
            let (waiting, granted) = {
                let mut table = self.table();
                let amount = table.shares.clamp(amount);
                if table.shares.take(who, amount) {
                    return Taken { pool: self.clone(), who, amount };
                }
                table.next += 1;
                let ticket = table.next;
                let (grant, granted) = oneshot::channel();
                table.shares.wait(Request { ticket, who, amount });
                table.waiting.insert(ticket, grant);
                self.tell(&table);
                (Waiting { pool: self, who, ticket }, granted)
            };
            let granted = granted.await;
            drop(waiting);
            if let Ok(taken) = granted {
                return taken;
            }
        }
    }

    /// Resolves when others have waited for all of this time without a break.
    pub async fn pressed(&self, patience: Duration) {
        let mut pressed = self.0.pressed.subscribe();
        loop {
            // The pool has the sender.
            if pressed.wait_for(|pressed| *pressed).await.is_err() {
                return std::future::pending().await;
            }
            tokio::select! {
                () = sleep(patience) => return,
                _ = pressed.wait_for(|pressed| !*pressed) => {}
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, table: &Table) {
        let now = table.shares.is_pressed();
        self.0.pressed.send_if_modified(|pressed| std::mem::replace(pressed, now) != now);
    }

    /// Changes the table, and hands on what others may have now.
    fn change(&self, change: impl FnOnce(&mut Shares) -> Vec<Request>) {
        let granted: Vec<_> = {
            let mut table = self.table();
            let begun = change(&mut table.shares);
            self.tell(&table);
            let hand = |Request { ticket, who, amount }| {
                (table.waiting.remove(&ticket), Taken { pool: self.clone(), who, amount })
            };
            begun.into_iter().map(hand).collect()
        };
        // Without the lock: who has gone drops it, and so gives it back.
        for (grant, taken) in granted {
            if let Some(grant) = grant {
                drop(grant.send(taken));
            }
        }
    }
}

impl Taken {
    /// Keeps only so many.
    pub fn shrink(&mut self, amount: usize) {
        let spare = self.amount.saturating_sub(amount.max(1));
        if spare > 0 {
            self.amount -= spare;
            let who = self.who;
            self.pool.change(|shares| shares.give_back(who, spare));
        }
    }

    /// Resolves when others have waited for places like this for all of this time.
    pub async fn pressed(&self, patience: Duration) {
        self.pool.pressed(patience).await;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (who, amount) = (self.who, self.amount);
        self.pool.change(|shares| shares.give_back(who, amount));
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let (peer, ticket) = (self.who.peer, self.ticket);
        // Granted already otherwise.
        if self.pool.table().waiting.remove(&ticket).is_some() {
            self.pool.change(|shares| shares.forget(peer, ticket));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::model::NodeId;

    fn who(peer: u8) -> Who {
        Who { peer: NodeId::from_bytes([peer; 32]), network: IpAddr::from([10, 0, 0, 1]), friend: false }
    }

    fn one() -> Pool {
        Pool::new(Limits { all: 1, network: 1, peer: 1, reserve: 0, modest: 0 })
    }

    #[tokio::test]
    async fn a_place_goes_to_who_waits_and_comes_back_from_who_was_aborted() {
        let pool = one();
        let first = pool.take(who(1), 9).await;
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.take(who(2), 1).await }
        });
        pool.pressed(Duration::ZERO).await;
        assert!(pool.try_take(who(3), 1).is_none());
        // Granted and aborted before it has run: the grant is lost on its way, and the place is not.
        drop(first);
        assert!(pool.try_take(who(3), 1).is_none(), "it is on its way");
        waiting.abort();
        assert!(waiting.await.is_err());
        assert!(pool.try_take(who(3), 1).is_some());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        let pool = one();
        let first = pool.try_take(who(1), 1);
        let waiting = tokio::time::timeout(Duration::from_millis(1), pool.take(who(2), 1)).await;
        assert!(first.is_some() && waiting.is_err());
        let table = pool.table();
        assert!(table.waiting.is_empty() && !table.shares.is_pressed());
    }
}
