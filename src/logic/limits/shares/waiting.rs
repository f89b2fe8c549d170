//! Those who wait for places: each peer's requests in the order in which they came, and of each network the peers in the
//! order of their turns, so that what a look costs depends on how many networks wait, and not on how many peers.
//! Invariant: each peer that waits stands once in one line, that of its first request, with what it holds now.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use super::{Limits, Request, Ticket, Who};
use crate::model::NodeId;

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queues: HashMap<NodeId, Queue>,
    lines: HashMap<LineId, Line>,
}

/// Of a network, or of all friends.
pub(super) type LineId = Option<IpAddr>;

/// Those of one network.
#[derive(Debug, Default)]
struct Line {
    modest: BTreeSet<Turn>,
    more: BTreeSet<Turn>,
    own: BTreeSet<Turn>,
    /// No first request asks for less.
    least: usize,
}

/// What a peer's next request would draw on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// The reserve, too: with it the peer has no more than is modest.
    Modest,
    /// What is beside the reserve.
    More,
    /// Nothing: it waits for what it holds itself.
    Own,
}

/// Whose turn it is: whose last one is longest ago; of those that had none yet, that of who asks for least.
type Turn = (u64, usize, Ticket, NodeId);

/// How a peer stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// What it holds.
    pub(super) holds: usize,
    /// When its last turn was; 0 when it had none that is remembered.
    pub(super) last: u64,
    /// How places are divided.
    pub(super) limits: Limits,
}

#[derive(Debug)]
struct Queue {
    requests: VecDeque<Request>,
    line: LineId,
    claim: Claim,
    turn: Turn,
}

impl Waiting {
    pub(super) fn has(&self, peer: NodeId) -> bool {
        self.queues.contains_key(&peer)
    }

    /// Whether anybody waits for more than what it holds itself.
    pub(super) fn is_pressed(&self) -> bool {
        self.lines.values().any(|line| !line.modest.is_empty() || !line.more.is_empty())
    }

    /// One more.
    pub(super) fn push(&mut self, request: Request, standing: Standing) {
        self.change(request.who.peer, standing, |requests| requests.push_back(request));
    }

    /// Requests of a peer go, or it stands otherwise now.
    pub(super) fn change(&mut self, peer: NodeId, standing: Standing, change: impl FnOnce(&mut VecDeque<Request>)) {
        let mut requests = self.leave(peer);
        change(&mut requests);
        let Some(first) = requests.front() else { return };
        let (line, claim) = (line(first.who), standing.claim(first));
        let turn = (standing.last, requests.len(), first.ticket, peer);
        self.lines.entry(line).or_default().enter(claim, turn, first.amount);
        self.queues.insert(peer, Queue { requests, line, claim, turn });
    }

    fn leave(&mut self, peer: NodeId) -> VecDeque<Request> {
        let Some(Queue { requests, line, claim, turn }) = self.queues.remove(&peer) else { return VecDeque::new() };
        if let Some(those) = self.lines.get_mut(&line) {
            those.of(claim).remove(&turn);
            if those.is_empty() {
                self.lines.remove(&line);
            }
        }
        requests
    }

    /// Of each line the first request that may begin, of those whose claim it is `open` to for the least that is asked for;
    /// of these the first in the order of `rank`, then of turns.
    pub(super) fn next<R: Ord>(
        &self,
        open: impl Fn(LineId, usize) -> Option<Claim>,
        may: impl Fn(&Request) -> bool,
        rank: impl Fn(Who) -> R,
    ) -> Option<Request> {
        let first = |turns: &BTreeSet<Turn>| {
            let mut requests =
                turns.iter().filter_map(|turn| Some((turn, self.queues.get(&turn.3)?.requests.front()?)));
            requests.find(|(_, request)| may(request)).map(|(turn, request)| (*turn, *request))
        };
        let able = self.lines.iter().filter_map(|(of, line)| {
            let open = open(*of, line.least)?;
            let more = (open == Claim::More).then(|| first(&line.more)).flatten();
            first(&line.modest).into_iter().chain(more).min_by_key(|(turn, _)| *turn)
        });
        able.min_by_key(|(turn, request)| (rank(request.who), *turn)).map(|(_, request)| request)
    }
}

impl Line {
    fn of(&mut self, claim: Claim) -> &mut BTreeSet<Turn> {
        match claim {
            Claim::Modest => &mut self.modest,
            Claim::More => &mut self.more,
            Claim::Own => &mut self.own,
        }
    }

    fn enter(&mut self, claim: Claim, turn: Turn, amount: usize) {
        self.least = if self.is_empty() { amount } else { self.least.min(amount) };
        self.of(claim).insert(turn);
    }

    fn is_empty(&self) -> bool {
        self.modest.is_empty() && self.more.is_empty() && self.own.is_empty()
    }
}

impl Standing {
    fn claim(&self, request: &Request) -> Claim {
        let own = self.holds + request.amount;
        if own > self.limits.peer {
            Claim::Own
        } else if own <= self.limits.modest && !request.who.friend {
            Claim::Modest
        } else {
            Claim::More
        }
    }
}

fn line(who: Who) -> LineId {
    (!who.friend).then_some(who.network)
}
