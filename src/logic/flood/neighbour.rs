//! What the machine knows of one neighbour: where it is, what it may send and is sent, and whether it answers.

use std::net::SocketAddr;
use std::time::Duration;

use super::{FORWARDED, PER_LINK, RATE};
use crate::logic::limits::bucket::Tokens;
use crate::logic::look::FRIENDS;
use crate::model::address::Teller;

/// Branches in a row that a neighbour let run out, after which it is not asked for a while: who takes queries and never
/// answers must not make every search last until its time is over.
const UNANSWERED: u32 = 3;
/// How many queries of a newcomer are forwarded at once: enough for a command, too few to be worth a new id.
pub(super) const CREDIT: u32 = 16;
/// For how long.
const REST: Duration = Duration::from_secs(30);

/// One neighbour.
#[derive(Debug)]
pub(super) struct Neighbour {
    /// Its end of the connection, and at which address it sees this node.
    pub(super) ends: Teller,
    /// A command that ends soon: it asks, and is asked only while it has something to give.
    pub(super) visiting: bool,
    /// Where it was dialled under its own id; of one that visits, only while it has something to give.
    pub(super) addrs: Vec<SocketAddr>,
    /// For queries that it is sent, and for its own that are forwarded.
    pub(super) to_it: Tokens,
    pub(super) for_it: Tokens,
    unanswered: u32,
    rests_until: Duration,
}

impl Neighbour {
    pub(super) fn new(ends: Teller, visiting: bool, now: Duration) -> Self {
        let to_it = Tokens::new(RATE.0, RATE.1);
        let for_it = Tokens::new(FORWARDED.0, FORWARDED.1).with(CREDIT, now);
        Self { ends, visiting, addrs: Vec::new(), to_it, for_it, unanswered: 0, rests_until: Duration::ZERO }
    }

    /// With which TTL a query goes on to it, if it is asked now; one that visits does not pass it on.
    pub(super) fn is_asked(&self, ttl: u8, now: Duration) -> Option<u8> {
        let asked = (!self.visiting || !self.addrs.is_empty()) && self.rests_until <= now;
        asked.then_some(if self.visiting { ttl.min(1) } else { ttl })
    }

    /// How long a branch of a query to it may take. Something is not chosen before a friend has had its time; but who has
    /// not answered before is not waited for so long again.
    pub(super) fn patience(&self, ttl: u8, friend: bool) -> Duration {
        let more = if friend && self.unanswered == 0 { FRIENDS } else { Duration::ZERO };
        PER_LINK * u32::from(ttl) + more
    }

    /// It answers, if late: it is slow, or this machine is, and need not rest.
    pub(super) fn answers(&mut self) {
        self.rests_until = Duration::ZERO;
    }

    /// A branch of it is over: by its own word, or because its time was.
    pub(super) fn ended(&mut self, done: bool, now: Duration) {
        self.unanswered = if done { 0 } else { self.unanswered + 1 };
        if self.unanswered >= UNANSWERED {
            // One more that is not answered, when it is asked again, and it rests again.
            (self.unanswered, self.rests_until) = (UNANSWERED - 1, now + REST);
        }
    }
}
