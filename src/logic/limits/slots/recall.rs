//! A slot is held only while its stream moves: how each upload gets on, and which is broken off with Busy so that who
//! waits can begin. Invariants: who is known to a person loses a slot only after [`GRACE`]; who moves keeps one,
//! unless all slots are held by others like it; while nobody waits only what is below the floor goes.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::model::NodeId;

use super::memory::Class;
use super::{Held, Looked, Slots, Ticket};
use crate::logic::limits::shares::Who;

/// Nothing moves for so long: the peer does not count among those that are served. Four times the round trip of a long way.
const STILL: Duration = Duration::from_millis(400);
/// Of a peer that has taken something before, and for the longest round trips: no slot for others is taken from it sooner.
const PATIENT: Duration = Duration::from_millis(1500);
/// For so long it may be below the floor, or hold a slot slowly while others have none: as long as a peer may be silent.
const GRACE: Duration = Duration::from_secs(10);
/// The floor of a connection: 2 KiB a second, a sixteenth of what comes over a line of 256 kbit/s.
const FLOOR: u64 = 20 << 10;
/// Less than a datagram is no movement: acknowledgements and signs of life go both ways all the time.
const DATAGRAM: u64 = 1200;
/// A peer that takes less than this part of what all took together of late does not count among those that are served: an
/// eighth of what it would be if all 64 slots were of different peers.
const PART: u64 = 512;
/// When so much has gone since a stream last took something, what had been before it has gone too: it is not read. Twice what
/// QUIC keeps of one connection.
const PASSED: u64 = 16 << 20;
/// Part of the pace that is kept at each look: half of it after 5 s of five looks a second.
const FADES: (u64, u64) = (97, 100);

/// How an upload stands at a look.
#[derive(Debug, Clone, Copy, Default)]
pub struct View {
    /// For how long its peer has let it wait; none while it waits for this side.
    pub blocked: Option<Duration>,
    /// Bytes that its connection has sent and sees acknowledged, of all its streams; only grows.
    pub sent: u64,
    /// The connection's round trip.
    pub rtt: Duration,
}

/// How an upload gets on.
#[derive(Debug)]
pub(super) struct Flow {
    since: Duration,
    looked: Duration,
    view: View,
    /// When its connection, or it, last moved; and what had been sent by then.
    moved: (Duration, u64),
    /// When it was last above the floor.
    above: (Duration, u64),
    /// What had been sent when it last took something itself.
    took: u64,
    /// What had been sent before it was granted.
    before: u64,
    /// Bytes per second of the connection.
    rate: u64,
}

impl Flow {
    pub(super) fn new(now: Duration) -> Self {
        let (looked, moved, above) = (now, (now, 0), (now, 0));
        Self { since: now, looked, view: View::default(), moved, above, took: 0, before: 0, rate: 0 }
    }

    fn see(&mut self, view: View, now: Duration) {
        let first = self.looked == self.since;
        let passed = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        if first {
            // What went before it was granted is not its own.
            (self.moved.1, self.above.1, self.took, self.before) = (view.sent, view.sent, view.sent, view.sent);
        } else {
            let fresh = view.sent.saturating_sub(self.view.sent).saturating_mul(1000) / millis;
            self.rate = self.rate.midpoint(fresh);
        }
        let blocked = view.blocked.unwrap_or(Duration::ZERO);
        if blocked < passed || view.blocked.is_none() {
            self.took = view.sent;
            self.moved = (now.saturating_sub(blocked), view.sent);
        }
        if view.sent.saturating_sub(self.moved.1) >= DATAGRAM {
            self.moved = (now, view.sent);
        }
        if view.blocked.is_none() || view.sent.saturating_sub(self.above.1) >= FLOOR {
            self.above = (now, view.sent);
        }
        self.view = view;
    }

    /// For how long nothing has moved.
    fn still(&self, now: Duration) -> Duration {
        if self.view.blocked.is_none() { Duration::ZERO } else { now.saturating_sub(self.moved.0) }
    }

    /// Whether its peer counts among those that are served: it takes its part, or is new and nothing speaks against it.
    pub(super) fn counts(&self, pace: u64, credible: bool, now: Duration) -> bool {
        if now.saturating_sub(self.since) < STILL {
            return credible || self.view.sent.saturating_sub(self.before) >= DATAGRAM;
        }
        self.still(now) < STILL && !self.is_slow(pace)
    }

    const fn is_slow(&self, pace: u64) -> bool {
        self.view.blocked.is_some() && self.rate < pace / PART
    }

    /// Whether it is not worth a slot, whether anybody waits or not.
    fn is_lost(&self, now: Duration) -> bool {
        let waits = self.view.blocked.is_some_and(|blocked| blocked >= GRACE);
        let unread = self.view.sent.saturating_sub(self.took) >= PASSED;
        now.saturating_sub(self.above.0) >= GRACE || (waits && unread)
    }
}

/// Why one would be broken off: the better the reason, the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// It is one of those that hold a slot longest and take next to nothing.
    Slow,
    /// Its network holds more than its share.
    Share,
    /// Another stream of its peer moves, and this one does not.
    Beside,
    /// Nothing of its peer moves.
    Still,
}

/// What networks and nodes hold, and will once those are gone that are broken off.
struct Shares {
    holds: HashMap<IpAddr, usize>,
    nodes: HashMap<NodeId, usize>,
    /// What each may hold while others wait.
    fair: usize,
}

impl Shares {
    fn of(slots: &Slots) -> Self {
        let mut shares = Self { holds: slots.by_network.clone(), nodes: slots.by_node.clone(), fair: 1 };
        slots.held.values().filter(|held| held.recalled).for_each(|held| shares.loses(&held.who));
        let waiting = slots.queue.iter().map(|(who, _)| who.network);
        let networks: BTreeSet<_> = shares.holds.keys().copied().chain(waiting).collect();
        shares.fair = (slots.capacity.slots / networks.len().max(1)).max(1);
        shares
    }

    fn holds(&self, network: IpAddr) -> usize {
        self.holds.get(&network).copied().unwrap_or(0)
    }

    fn gains(&mut self, network: IpAddr) {
        *self.holds.entry(network).or_default() += 1;
    }

    fn loses(&mut self, who: &Who) {
        for holds in [self.holds.get_mut(&who.network), self.nodes.get_mut(&who.peer)].into_iter().flatten() {
            *holds = holds.saturating_sub(1);
        }
    }
}

impl Slots {
    /// Sees how the uploads get on. To be called some times a second while there are any.
    pub fn look(&mut self, view: impl Fn(Ticket) -> View, now: Duration) -> Looked {
        for (ticket, held) in &mut self.held {
            held.flow.see(view(*ticket), now);
        }
        self.pace = (self.pace / FADES.1 * FADES.0).max(self.rate());
        let mut recall: Vec<_> =
            self.held.iter().filter(|(_, h)| !h.recalled && h.flow.is_lost(now)).map(|(t, _)| *t).collect();
        for ticket in &recall {
            self.recalled(*ticket, true, now);
        }
        self.make_room(&mut recall, now);
        Looked { recall, granted: self.grant_waiting(now) }
    }

    /// What all peers take together: one with several streams has one connection, or some that do not count.
    fn rate(&self) -> u64 {
        let mut nodes = HashMap::new();
        for held in self.held.values() {
            let rate = nodes.entry(held.who.peer).or_insert(0);
            *rate = held.flow.rate.max(*rate);
        }
        nodes.values().sum()
    }

    /// Breaks off as many as are needed by those who wait and would begin if there were room.
    fn make_room(&mut self, recall: &mut Vec<Ticket>, now: Duration) {
        let mut coming = self.held.values().filter(|held| held.recalled).count();
        let mut shares = Shares::of(self);
        let waiting: Vec<Who> = self.queue.iter().map(|(who, _)| *who).collect();
        for who in waiting {
            let own = self.by_node.get(&who.peer).copied().unwrap_or(0);
            if own >= self.capacity.per_peer || self.has_room(&who, now) || self.is_idle(&who, now) {
                continue;
            }
            if coming > 0 {
                coming -= 1;
                shares.gains(who.network);
                continue;
            }
            let Some((ticket, cause)) = self.victim((&who, own), &shares, now) else { continue };
            shares.gains(who.network);
            self.held.get(&ticket).into_iter().for_each(|held| shares.loses(&held.who));
            self.recalled(ticket, cause == Cause::Still, now);
            recall.push(ticket);
        }
    }

    /// Whether the peer keeps others waiting itself.
    pub(super) fn is_idle(&self, who: &Who, now: Duration) -> bool {
        let own = || self.held.values().filter(|held| held.who.peer == who.peer);
        self.memory.class(who, now) == Class::Blamed || own().any(|held| held.flow.still(now) >= STILL)
    }

    fn recalled(&mut self, ticket: Ticket, blame: bool, now: Duration) {
        let Some(held) = self.held.get_mut(&ticket) else { return };
        held.recalled = true;
        if blame {
            self.memory.blame(&held.who, now);
        }
    }

    /// Whose slot goes to a peer that has `own`.
    fn victim(&self, waits: (&Who, usize), shares: &Shares, now: Duration) -> Option<(Ticket, Cause)> {
        let others = self.held.iter().filter(|(_, held)| held.who.peer != waits.0.peer && !held.recalled);
        let reasons = others.filter_map(|(ticket, held)| {
            let cause = self.cause(held, waits, shares, now)?;
            // Of networks the one that has most; of uploads the one that is still longest, then the slowest.
            let holds = if cause == Cause::Share { shares.holds(held.who.network) } else { 0 };
            Some(((cause, holds, held.flow.still(now), u64::MAX - held.flow.rate), *ticket))
        });
        reasons.max().map(|((cause, ..), ticket)| (ticket, cause))
    }

    fn cause(&self, held: &Held, (waits, own): (&Who, usize), shares: &Shares, now: Duration) -> Option<Cause> {
        let (flow, who) = (&held.flow, &held.who);
        if who.friend {
            return None;
        }
        let age = now.saturating_sub(flow.since);
        let theirs = shares.nodes.get(&who.peer).copied().unwrap_or(0);
        if flow.still(now) >= self.patience(held, now) {
            Some(Cause::Still)
        } else if flow.view.blocked.is_some_and(|blocked| blocked >= PATIENT) && theirs > 1 + own {
            Some(Cause::Beside)
        } else if own > 0 {
            None
        } else if waits.network != who.network
            && shares.holds(who.network) > shares.fair
            && shares.holds(waits.network) < shares.fair
            && age >= PATIENT
        {
            Some(Cause::Share)
        } else {
            (age >= GRACE && flow.is_slow(self.pace)).then_some(Cause::Slow)
        }
    }

    fn patience(&self, held: &Held, now: Duration) -> Duration {
        match self.memory.class(&held.who, now) {
            Class::Proven => PATIENT,
            Class::Blamed | Class::Suspect | Class::New => (2 * held.flow.view.rtt).clamp(STILL, PATIENT),
        }
    }
}
