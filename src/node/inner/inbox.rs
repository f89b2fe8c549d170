//! What other nodes offer to this one's person: carries out what `logic/limits/inbox` decides. Invariant: nothing is written before it was
//! accepted, and what was accepted is kept before its transfer begins.

mod asked;
mod place;
mod transfer;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::asked::InboxHandle;
use self::asked::{Order, no_offer, row};
use self::place::{notes, outputs};
use self::transfer::{all_jobs, is_denied, is_linked, look_at, wish};
use crate::actors::serve::inbox::{Arrival, Offered};
use crate::io::clock::time_of_day;
use crate::io::desktop;
use crate::io::home::kept::KeptFile;
use crate::io::receive::landing::Landing;
use crate::logic::limits::inbox::{Came, Entry, Inbox, Loss, Standing};
use crate::logic::limits::jobs::{JobId, JobOrder, JobState};
use crate::model::Provider;
use crate::node::error::{ControlError, Error};
use crate::node::inner::Inner;
use crate::node::inner::orders::JobsRef;
use crate::node::types::{Event, InboxRow, InboxRules, JobRow, Notice};
use crate::wire::limits::PUT_RECEIVERS;
use crate::wire::{Code, PutEvent, Role};

/// How often is looked how the transfers stand, and what has changed is kept.
const LOOK: Duration = Duration::from_millis(500);

/// Begins to take what comes, where the node keeps transfers; what came in earlier runs is there.
pub(crate) async fn start(inner: &Arc<Inner>) {
    // Elsewhere both ends are dropped: nothing is taken.
    let (Some((arrivals, orders)), Some(jobs)) = (inner.inbox.begin(), inner.jobs.get().cloned()) else { return };
    let file = KeptFile::inbox(&inner.home.role_dir(Role::Node));
    let rules = inner.inbox.rules().clone();
    let dir = rules.dir.clone().unwrap_or_else(|| inner.home.root().join("inbox"));
    let (node, inbox, told) = (Arc::downgrade(inner), Inbox::default(), BTreeMap::new());
    let mut keeper = Keeper { node, jobs, file, inbox, told, rules, dir, changed: false, untold: true };
    keeper.restore().await;
    inner.run(keeper.run(arrivals, orders));
}

/// Who keeps it.
struct Keeper {
    node: Weak<Inner>,
    jobs: JobsRef,
    file: KeptFile,
    inbox: Inbox,
    /// Those who offer something and listen, by its number.
    told: BTreeMap<u32, watch::Sender<PutEvent>>,
    rules: InboxRules,
    dir: PathBuf,
    /// Something is not kept yet.
    changed: bool,
    /// That it cannot be kept was not told yet.
    untold: bool,
}

impl Keeper {
    async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>, mut orders: mpsc::Receiver<Order>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(Arrival::Offered(offered)) => self.offered(*offered).await,
                    Some(Arrival::Withdrawn(from, put, loss)) => {
                        if let Some((number, ends)) = self.inbox.withdraw(from, put, loss) {
                            self.withdrawn(number, ends);
                        }
                    }
                    None => return,
                },
                Some(order) = orders.recv() => self.order(order).await,
                _ = looks.tick() => {
                    self.look().await;
                    if self.changed {
                        self.keep().await;
                    }
                }
            }
        }
    }

    async fn restore(&mut self) {
        let file = self.file.clone();
        let read = spawn_blocking(move || {
            let bytes = file.read()?;
            let none = bytes.is_empty().then(Inbox::default);
            none.map_or_else(|| rmp_serde::from_slice(&bytes).map_err(|error| io::Error::other(error.to_string())), Ok)
        });
        match read.await {
            Ok(Ok(inbox)) => self.inbox = inbox,
            Ok(Err(error)) => self.warn(Notice::InboxUnread { path: self.file.path().into(), cause: error.into() }),
            Err(_) => {}
        }
        // Those that were accepted, and whose transfers had not begun.
        let accepted = self.inbox.accepted();
        let numbers: Vec<u32> = accepted.map(|(number, _)| number).collect();
        for number in numbers {
            // What cannot begin now is tried again when it is offered again.
            let _ = self.begin(number).await;
        }
    }

    fn warn(&self, notice: Notice) {
        if let Some(node) = self.node.upgrade() {
            node.host.warn(notice);
        }
    }

    async fn offered(&mut self, offered: Offered) {
        let Offered { who, addr, mut put, reply } = offered;
        let from = who.peer;
        // Whoever offers it is the first to give it.
        put.receivers.retain(|other| other.node != from);
        put.receivers.truncate(PUT_RECEIVERS - 1);
        put.receivers.insert(0, Provider { node: from, addrs: vec![addr] });
        let came = match self.inbox.offer(who, put, time_of_day()) {
            Ok(came) => came,
            // Whoever offers it may have gone, here and below.
            Err(code) => return drop(reply.send(Err(code))),
        };
        let number = match came {
            Came::New(number) => {
                if self.inbox.by_rule(number, &self.rules.rules) == Standing::Declined {
                    self.inbox.forget(number);
                    return drop(reply.send(Ok(watch::channel(PutEvent::Declined).1)));
                }
                if !self.arrived(number).await {
                    self.inbox.forget(number);
                    return drop(reply.send(Err(Code::Busy)));
                }
                number
            }
            Came::Known(number) => {
                self.again(number).await;
                number
            }
        };
        let event = self.inbox.entry(number).map_or(PutEvent::Waiting, |entry| entry.event());
        let told = self.told.entry(number).or_insert_with(|| watch::Sender::new(event));
        told.send_replace(event);
        let _ = reply.send(Ok(told.subscribe()));
    }

    /// Something new: taken by rule, or told to a person. A message is here once it is kept; whether it is.
    async fn arrived(&mut self, number: u32) -> bool {
        self.changed = true;
        if self.inbox.entry(number).is_some_and(Entry::is_message) {
            self.keep().await;
            if self.changed {
                return false;
            }
        }
        let is_taken = self.inbox.by_rule(number, &self.rules.rules) == Standing::Accepted;
        // What cannot be put there waits for a person.
        if !is_taken || self.accept(number, &self.dir.clone()).await.is_err() {
            self.tell(number);
            if self.rules.notify {
                desktop::notify();
            }
        }
        true
    }

    /// It is offered again: what could not be had is tried at once.
    async fn again(&mut self, number: u32) {
        self.changed = true;
        let jobs = self.inbox.entry(number).filter(|entry| entry.state == Standing::Accepted);
        let jobs = jobs.map(|entry| entry.jobs.clone()).unwrap_or_default();
        let rows = all_jobs(&self.jobs).await;
        let is_due = |row: &JobRow| matches!(row.state, JobState::Failed | JobState::Waiting);
        for id in jobs.into_iter().filter(|id| rows.iter().any(|row| row.id == *id && is_due(row))) {
            // It may have begun by itself just now.
            let _ = self.jobs.order(Some(id), JobOrder::Retry).await;
        }
    }

    async fn order(&mut self, order: Order) {
        // Whoever asked may have gone.
        match order {
            Order::Keep(reply) => {
                if self.changed {
                    self.keep().await;
                }
                let _ = reply.send(());
            }
            Order::Rows(reply) => {
                let rows = self.rows().await;
                let _ = reply.send(rows);
            }
            Order::Accept(number, into, reply) => {
                let accepted = self.accept_all(number, into).await;
                let _ = reply.send(accepted);
            }
            Order::Clear(number, reply) => {
                let cleared = self.inbox.clear(number).map_err(|state| no_offer(number, state));
                cleared.iter().flatten().for_each(|(_, entry)| self.discard(entry));
                self.keep().await;
                let rows = cleared.map(|all| all.iter().map(|(number, entry)| row((*number, entry))).collect());
                let _ = reply.send(rows);
            }
            Order::Decline(number, reply) => {
                // What has come to its end meanwhile is there.
                self.look().await;
                let declined = self.decline_all(number);
                self.keep().await;
                let _ = reply.send(declined);
            }
        }
    }

    /// Everything, with why a transfer does not go on.
    async fn rows(&mut self) -> Vec<InboxRow> {
        let mut rows: Vec<InboxRow> = self.inbox.entries().map(row).collect();
        if self.inbox.accepted().next().is_some() {
            let jobs = all_jobs(&self.jobs).await;
            for row in rows.iter_mut().filter(|row| row.entry.state == Standing::Accepted) {
                let is_linked = is_linked(&self.node, row.entry.from).await;
                look_at(row, &jobs, is_linked);
            }
        }
        let ended = rows.iter().filter(|row| row.entry.loss == Some(Loss::Ended)).map(|row| row.number);
        ended.for_each(|number| self.ended(number));
        rows
    }

    /// Whoever offers it does not send it any more: that stays so until it is offered again.
    fn ended(&mut self, number: u32) {
        if let Some(entry) = self.inbox.entry_mut(number).filter(|entry| entry.loss.is_none()) {
            entry.loss = Some(Loss::Ended);
            self.tell(number);
        }
    }

    /// It is offered no longer; where nothing of it can come any more, nothing unfinished stays.
    fn withdrawn(&mut self, number: u32, ends: bool) {
        if let Some(entry) = self.inbox.entry_mut(number).filter(|_| ends) {
            let ended = entry.clone();
            (entry.outputs, entry.jobs, entry.have) = Default::default();
            self.discard(&ended);
        }
        self.tell(number);
        if self.inbox.entry(number).is_some_and(|entry| entry.state == Standing::Withdrawn) {
            // Whoever offered it on more than one stream asks anew, if it still does.
            self.told.remove(&number);
        }
    }

    /// What was accepted waits for a person again, and its transfers are ended; where it went is known, for what has come is kept.
    async fn open_again(&mut self, number: u32, jobs: Vec<JobId>) {
        for id in jobs {
            // It may be over.
            let _ = self.jobs.order(Some(id), JobOrder::Cancel).await;
        }
        if let Some(entry) = self.inbox.entry_mut(number) {
            (entry.jobs, entry.have) = (Vec::new(), 0);
        }
        self.set(number, Standing::Waiting);
        self.keep().await;
    }

    fn waiting(&self, number: Option<u32>) -> Result<Vec<u32>, Error> {
        self.inbox.waiting(number).map_err(|state| no_offer(number, state))
    }

    async fn accept_all(
        &mut self,
        number: Option<u32>,
        into: Option<(PathBuf, Landing)>,
    ) -> Result<Vec<InboxRow>, Error> {
        let dir = match into {
            Some((_, landing)) if !landing.is_here() => {
                return Err(ControlError::OtherDirectory { path: landing.dir.into() }.into());
            }
            into => into.map(|(dir, _)| dir),
        };
        // What cannot go on begins anew.
        if let Some(number) = number.filter(|_| self.inbox.accepted().next().is_some()) {
            let stuck = self.rows().await.into_iter().find(|row| row.number == number && row.trouble.is_some());
            if let Some(row) = stuck {
                self.open_again(row.number, row.entry.jobs).await;
            }
        }
        if let Some(number) = number
            && let Some(entry) = self.inbox.accepted().find_map(|(other, entry)| (other == number).then_some(entry))
            && dir.is_none()
        {
            return Ok(vec![row((number, entry))]);
        }
        let mut rows = Vec::new();
        for number in self.waiting(number)? {
            // Where it was to go when it was accepted first.
            let before = || self.inbox.entry(number)?.outputs.first()?.parent().map(Path::to_owned);
            let dir = dir.clone().or_else(before).unwrap_or_else(|| self.dir.clone());
            self.accept(number, &dir).await?;
            rows.extend(self.inbox.entry(number).map(|entry| row((number, entry))));
        }
        Ok(rows)
    }

    fn decline_all(&mut self, number: Option<u32>) -> Result<Vec<InboxRow>, Error> {
        let numbers = match self.waiting(number) {
            Err(Error::Control(ControlError::NoOffer { number, state: Some(Standing::Accepted) })) => vec![number],
            waiting => waiting?,
        };
        let mut rows = Vec::new();
        for number in numbers {
            self.set(number, Standing::Declined);
            let Some(entry) = self.inbox.entry_mut(number) else { continue };
            let declined = entry.clone();
            (entry.outputs, entry.jobs, entry.have) = Default::default();
            self.discard(&declined);
            rows.push(row((number, &declined)));
        }
        Ok(rows)
    }

    /// Ends the transfers of one that is not wanted any more, and removes what they have left unfinished.
    fn discard(&self, entry: &Entry) {
        let ids = entry.put.items.iter().map(|item| item.id);
        let unfinished: Vec<_> = ids.zip(entry.outputs.clone()).collect();
        let (Some(node), false) = (self.node.upgrade(), entry.state == Standing::Done || unfinished.is_empty()) else {
            return;
        };
        node.run(place::discard(self.jobs.clone(), entry.jobs.clone(), unfinished));
    }

    /// Fetches one into a directory, under names that nothing there has.
    async fn accept(&mut self, number: u32, dir: &Path) -> Result<(), Error> {
        let Some(entry) = self.inbox.entry(number) else { return Ok(()) };
        let accepted = self.inbox.accepted();
        let taken: HashSet<PathBuf> =
            accepted.flat_map(|(_, other)| notes(other).chain(other.outputs.clone())).collect();
        let (dir, items, own) = (dir.to_owned(), entry.put.items.clone(), notes(entry).collect());
        let chosen = spawn_blocking(move || outputs(&dir, &items, (taken, own))).await?;
        let outputs = chosen.map_err(|(path, cause)| ControlError::NoInboxDir { path: path.into(), cause })?;
        let before = self.inbox.entry(number).filter(|entry| entry.outputs != outputs).cloned();
        // It goes elsewhere than what an earlier transfer has left of it.
        before.iter().for_each(|before| self.discard(before));
        if let Some(entry) = self.inbox.entry_mut(number) {
            entry.outputs = outputs;
        }
        // A message is there when it was read.
        let is_text = self.inbox.entry(number).is_some_and(Entry::is_message);
        self.set(number, if is_text { Standing::Done } else { Standing::Accepted });
        self.keep().await;
        let begun = self.begin(number).await;
        if begun.is_err() {
            self.set(number, Standing::Waiting);
        }
        self.keep().await;
        begun
    }

    /// Begins those transfers of one that was accepted that have not.
    async fn begin(&mut self, number: u32) -> Result<(), Error> {
        let Some(node) = self.node.upgrade() else { return Ok(()) };
        let own = node.endpoint.node_id();
        while let Some(wish) = self.inbox.entry(number).and_then(|entry| {
            let place = entry.jobs.len();
            Some(wish(entry.put.items.get(place)?, &entry.put.receivers, entry.outputs.get(place)?, own))
        }) {
            let job = self.jobs.leave(wish).await?;
            self.inbox.entry_mut(number).into_iter().for_each(|entry| entry.jobs.push(job));
        }
        Ok(())
    }

    /// How the transfers stand.
    async fn look(&mut self) {
        let has_begun = |entry: &Entry| entry.jobs.len() == entry.put.items.len();
        let accepted = self.inbox.accepted().filter(|(_, entry)| has_begun(entry));
        let accepted: Vec<(u32, Vec<JobId>)> = accepted.map(|(number, entry)| (number, entry.jobs.clone())).collect();
        if accepted.is_empty() {
            return;
        }
        let rows = all_jobs(&self.jobs).await;
        for (number, jobs) in accepted {
            let rows: Vec<&JobRow> = rows.iter().filter(|row| jobs.contains(&row.id)).collect();
            // Until then it may still be there in the end.
            if rows.iter().any(|row| row.halting) {
                continue;
            }
            match rows.iter().any(|row| row.state == JobState::Cancelled) {
                // Somebody has ended a transfer, not declined what is offered.
                true => self.open_again(number, jobs).await,
                false => self.stands(number, &rows),
            }
        }
    }

    fn stands(&mut self, number: u32, rows: &[&JobRow]) {
        let have = rows.iter().map(|row| row.bytes).sum();
        let is_other = |row: &JobRow| matches!(row.error, Some(Error::OtherThanGiven { .. }));
        let is_given_up = rows.iter().any(|row| is_other(row));
        // One that is not there any more has ended long ago.
        let is_done = rows.iter().all(|row| row.state == JobState::Ended);
        let state = match (is_given_up, is_done) {
            (true, _) => Standing::Declined,
            (false, true) => Standing::Done,
            (false, false) => Standing::Accepted,
        };
        let Some(entry) = self.inbox.entry_mut(number) else { return };
        let before = std::mem::replace(&mut entry.have, have);
        if state == Standing::Accepted && rows.iter().any(|row| is_denied(row, entry)) {
            return self.ended(number);
        }
        if state != Standing::Accepted {
            self.set(number, state);
        } else if before != have {
            self.tell_sender(number);
        }
    }

    fn set(&mut self, number: u32, state: Standing) {
        let Some(entry) = self.inbox.entry_mut(number).filter(|entry| entry.state != state) else { return };
        entry.state = state;
        self.tell(number);
    }

    /// It stands otherwise: told to whoever offers it, and to whoever listens here.
    fn tell(&mut self, number: u32) {
        self.changed = true;
        self.tell_sender(number);
        let Some(entry) = self.inbox.entry(number) else { return };
        if let Some(node) = self.node.upgrade() {
            let event = Event::Inbox(Box::new(row((number, entry))));
            // Full: who listens may ask for all.
            let _ = node.host.events.try_send(event);
        }
    }

    fn tell_sender(&mut self, number: u32) {
        let Some(entry) = self.inbox.entry(number) else { return };
        let event = entry.event();
        self.told.retain(|_, told| told.receiver_count() > 0);
        if let Some(told) = self.told.get(&number) {
            told.send_replace(event);
        }
    }

    /// Writes all of it down; what the disk does not take is told once.
    async fn keep(&mut self) {
        let (file, inbox) = (self.file.clone(), self.inbox.clone());
        let written = spawn_blocking(move || {
            // Plain values always can be.
            file.write(&rmp_serde::to_vec_named(&inbox).unwrap_or_default())
        });
        match written.await {
            Ok(Err(error)) if self.untold => {
                self.untold = false;
                self.warn(Notice::Inbox { path: self.file.path().into(), cause: error.into() });
            }
            Ok(Err(_)) | Err(_) => {}
            Ok(Ok(())) => (self.changed, self.untold) = (false, true),
        }
    }
}
