//! What nodes fetch from this one, as people think of it: an upload is what one node takes of one content, however many
//! requests it makes for it. It begins with the first byte that its node acknowledges, and is over when its node has stopped watching the
//! content, or has asked for nothing for a while.
//! Invariant: every byte is counted for one upload, and so in the totals. Not responsible for who may be served.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::logic::transfer::speed::Speed;
use crate::model::{ContentId, NodeId, SafePath};

/// Without a request under way an upload is over after so long: who wants more has asked for it by then.
const QUIET: Duration = Duration::from_secs(2);
/// The same of a node that watches the content: it fetches it, at the moment from others.
const WATCHED: Duration = Duration::from_secs(60);
/// The same of one that has stopped watching it, unless it comes back by then.
const LEFT: Duration = Duration::from_millis(500);
/// Uploads at a time. Far fewer have a request under way (`logic/limits/slots.rs`); of the others the quietest one is over.
pub const MOST: usize = 1024;
/// Uploads that are over and still shown.
const RECENT: usize = 3;
/// Nodes that are told apart in the totals: 320 KiB of ids.
const NODES: usize = 10_000;

/// What one node takes of one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Tells it from all others of this node.
    pub number: u64,
    /// Who takes it.
    pub node: NodeId,
    /// From where.
    pub addr: SocketAddr,
    /// Which content.
    pub id: ContentId,
    /// What it is offered as; none of a content that is not offered.
    pub name: Option<SafePath>,
    /// The content's bytes in all.
    pub size: u64,
    /// Bytes that its node acknowledged.
    pub bytes: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// From its begin to now, or to its last byte.
    pub elapsed: Duration,
}

impl Upload {
    /// Whether as many bytes were acknowledged as the content has.
    pub const fn is_whole(&self) -> bool {
        self.bytes >= self.size
    }
}

/// What is being fetched from a node, and what was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploads {
    /// The uploads under way, the oldest first.
    pub under_way: Vec<Upload>,
    /// Those that were over last, the last one first.
    pub recent: Vec<Past>,
    /// How many are over.
    pub ended: u64,
    /// Bytes of all of them together.
    pub bytes: u64,
    /// Nodes that took something; no more than 10,000 are told apart.
    pub nodes: u64,
}

/// An upload that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Which.
    pub upload: Upload,
    /// For how long it had been over when this was told.
    pub ago: Duration,
}

/// Something to tell of uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UploadEvent {
    /// The first bytes of one were acknowledged.
    Begun(Upload),
    /// One is over.
    Ended(Upload),
}

/// A request that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taking {
    /// Who asks.
    pub node: NodeId,
    /// From where.
    pub addr: SocketAddr,
    /// For which content.
    pub id: ContentId,
    /// The content's bytes in all.
    pub size: u64,
}

#[derive(Debug)]
struct Session {
    upload: Upload,
    requests: usize,
    begun: Duration,
    /// When a byte was acknowledged, or a request began or ended.
    active: Duration,
    speed: Speed,
    /// Since when its node watches the content no longer.
    left: Option<Duration>,
}

/// The uploads of a node.
#[derive(Debug, Default)]
pub struct Ledger {
    sessions: BTreeMap<u64, Session>,
    by_taker: HashMap<(NodeId, ContentId), u64>,
    last: u64,
    recent: VecDeque<(Upload, Duration)>,
    nodes: HashSet<NodeId>,
    ended: u64,
    bytes: u64,
    events: Vec<UploadEvent>,
}

impl Ledger {
    /// A request is served from now on; the number of the upload that it is of. `name` is asked for once an upload.
    pub fn open(&mut self, of: Taking, name: impl FnOnce() -> Option<SafePath>, now: Duration) -> u64 {
        let before = self.by_taker.get(&(of.node, of.id)).copied();
        let is_over = |session: &Session| session.is_left_by(of.addr);
        let over = before.filter(|number| self.sessions.get(number).is_some_and(is_over));
        over.into_iter().for_each(|number| self.end(number));
        let number = match before.filter(|_| over.is_none()) {
            Some(number) => number,
            None => self.begin(of, name(), now),
        };
        if let Some(session) = self.sessions.get_mut(&number) {
            session.requests += 1;
            (session.active, session.left) = (now, None);
        }
        number
    }

    fn begin(&mut self, of: Taking, name: Option<SafePath>, now: Duration) -> u64 {
        if self.sessions.len() >= MOST {
            let resting = self.sessions.iter().filter(|(_, session)| session.requests == 0);
            let quietest = resting.min_by_key(|(_, session)| session.active).map(|(number, _)| *number);
            quietest.into_iter().for_each(|number| self.end(number));
        }
        self.last += 1;
        let Taking { node, addr, id, size } = of;
        let number = self.last;
        let upload = Upload { number, node, addr, id, name, size, bytes: 0, rate: 0, elapsed: Duration::ZERO };
        let mut speed = Speed::default();
        speed.start(now);
        self.sessions.insert(number, Session { upload, requests: 0, begun: now, active: now, speed, left: None });
        self.by_taker.insert((node, id), number);
        number
    }

    /// So many bytes of the content were acknowledged of an upload.
    pub fn taken(&mut self, number: u64, bytes: u64, now: Duration) {
        let Some(session) = self.sessions.get_mut(&number).filter(|_| bytes > 0) else { return };
        session.upload.bytes += bytes;
        session.active = now;
        session.speed.add(bytes, now);
        self.bytes += bytes;
        if session.upload.bytes == bytes {
            self.events.push(UploadEvent::Begun(session.told(now)));
            if self.nodes.len() < NODES {
                self.nodes.insert(session.upload.node);
            }
        }
    }

    /// A request of an upload is served no longer.
    pub fn close(&mut self, number: u64, now: Duration) {
        if let Some(session) = self.sessions.get_mut(&number) {
            session.requests = session.requests.saturating_sub(1);
            session.active = now;
        }
    }

    /// A node watches a content no longer: its transfer has ended, or does without this node.
    pub fn leave(&mut self, id: ContentId, node: NodeId, now: Duration) {
        let number = self.by_taker.get(&(node, id));
        if let Some(session) = number.and_then(|number| self.sessions.get_mut(number)) {
            session.left = Some(now);
        }
    }

    /// Sees which uploads are over; `watches` says whether a node watches a content.
    pub fn look(&mut self, watches: impl Fn(ContentId, NodeId) -> bool, now: Duration) {
        let over = |session: &Session| {
            let limit = if watches(session.upload.id, session.upload.node) { WATCHED } else { QUIET };
            let is_over = |since: Duration, limit| session.requests == 0 && now.saturating_sub(since) >= limit;
            is_over(session.active, limit) || session.left.is_some_and(|since| is_over(since, LEFT))
        };
        let over: Vec<u64> = self.sessions.iter().filter(|(_, session)| over(session)).map(|(n, _)| *n).collect();
        over.into_iter().for_each(|number| self.end(number));
    }

    fn end(&mut self, number: u64) {
        let Some(session) = self.sessions.remove(&number) else { return };
        self.by_taker.remove(&(session.upload.node, session.upload.id));
        // Whoever was given nothing, took nothing.
        if session.upload.bytes > 0 {
            self.ended += 1;
            let upload = session.told(session.active);
            self.recent.push_front((upload.clone(), session.active));
            self.recent.truncate(RECENT);
            self.events.push(UploadEvent::Ended(upload));
        }
    }

    /// What is new since the last call.
    pub fn take_events(&mut self) -> Vec<UploadEvent> {
        std::mem::take(&mut self.events)
    }

    /// Whether no upload is under way, not even one that rests.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty()
    }

    /// As it stands.
    pub fn view(&self, now: Duration) -> Uploads {
        let moving = self.sessions.values().filter(|session| session.upload.bytes > 0);
        Uploads {
            under_way: moving.map(|session| session.told(now)).collect(),
            recent: self
                .recent
                .iter()
                .map(|(upload, at)| Past { upload: upload.clone(), ago: now.saturating_sub(*at) })
                .collect(),
            ended: self.ended,
            bytes: self.bytes,
            nodes: self.nodes.len() as u64,
        }
    }
}

impl Session {
    /// Whether its transfer is over, for somebody who asks from there: of two connections between the same nodes one gives way,
    /// and what asks again over the other one comes from the same place.
    fn is_left_by(&self, addr: SocketAddr) -> bool {
        self.left.is_some() && self.requests == 0 && self.upload.addr != addr
    }

    fn told(&self, now: Duration) -> Upload {
        let elapsed = now.saturating_sub(self.begun);
        Upload { rate: self.speed.rate(now).unwrap_or(0), elapsed, ..self.upload.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taking(node: u8, id: &[u8]) -> Taking {
        let addr = "10.0.0.1:4918".parse().expect("an address");
        Taking { node: NodeId::from_bytes([node; 32]), addr, id: ContentId::of(id), size: 100 }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn name() -> Option<SafePath> {
        SafePath::parse("docs/a.txt").ok()
    }

    #[test]
    fn requests_of_one_node_for_one_content_are_one_upload() {
        let mut ledger = Ledger::default();
        let first = ledger.open(taking(1, b"a"), name, at(1000));
        let second = ledger.open(taking(1, b"a"), || panic!("it has its name"), at(1100));
        let others = [taking(2, b"a"), taking(1, b"b")].map(|taking| ledger.open(taking, || None, at(1100)));
        assert!(first == second && !others.contains(&first) && others[0] != others[1]);
        ledger.taken(first, 40, at(1200));
        let Some(UploadEvent::Begun(begun)) = ledger.take_events().pop() else { panic!("its first byte") };
        assert_eq!((begun.number, begun.name, begun.bytes), (first, name(), 40));
        ledger.taken(second, 60, at(1300));
        ledger.close(first, at(1300));
        ledger.look(|_, _| false, at(9000));
        assert!(ledger.take_events().is_empty(), "a request of it is still served");
        ledger.close(second, at(9000));
        ledger.look(|_, _| false, at(10_999));
        assert_eq!(ledger.view(at(10_999)).under_way.len(), 1, "what has sent nothing is not shown");
        ledger.look(|_, _| false, at(11_000));
        let [UploadEvent::Ended(ended)] = &ledger.take_events()[..] else { panic!("quiet for long enough") };
        assert_eq!((ended.bytes, ended.is_whole(), ended.elapsed), (100, true, at(8000)));
        others.iter().for_each(|number| ledger.close(*number, at(11_000)));
        ledger.look(|_, _| false, at(20_000));
        assert!(ledger.is_idle() && ledger.take_events().is_empty(), "nobody took anything of the others");
        let view = ledger.view(at(20_000));
        assert_eq!((view.ended, view.bytes, view.nodes, view.under_way.len()), (1, 100, 1, 0));
        assert_eq!(view.recent[0].ago, at(11_000), "since its last byte");
    }

    #[test]
    fn who_watches_is_not_done_while_it_fetches_from_others() {
        let mut ledger = Ledger::default();
        let number = ledger.open(taking(1, b"a"), name, at(0));
        ledger.taken(number, 10, at(0));
        ledger.close(number, at(0));
        ledger.look(|_, _| true, at(59_999));
        assert!(!ledger.is_idle());
        assert_eq!(ledger.open(taking(1, b"a"), name, at(59_999)), number, "it goes on");
        ledger.close(number, at(59_999));
        ledger.look(|_, _| false, at(61_999));
        assert!(ledger.is_idle());
        let Some(UploadEvent::Ended(ended)) = ledger.take_events().pop() else { panic!("told") };
        assert!(!ended.is_whole());
    }

    #[test]
    fn two_transfers_in_a_row_are_two_uploads() {
        let mut ledger = Ledger::default();
        let (id, node) = (ContentId::of(b"a"), NodeId::from_bytes([1; 32]));
        let next = Taking { addr: "10.0.0.1:4919".parse().expect("an address"), ..taking(1, b"a") };
        let first = ledger.open(taking(1, b"a"), name, at(0));
        ledger.taken(first, 60, at(50));
        ledger.leave(id, node, at(50));
        assert_eq!(ledger.open(next, name, at(50)), first, "a request of it is still served");
        (0..2).for_each(|_| ledger.close(first, at(60)));
        ledger.leave(id, node, at(60));
        assert_eq!(ledger.open(taking(1, b"a"), name, at(100)), first, "it is back, over another connection");
        ledger.taken(first, 40, at(100));
        ledger.close(first, at(100));
        ledger.leave(id, node, at(100));
        let second = ledger.open(next, name, at(500));
        assert_ne!(second, first);
        ledger.taken(second, 100, at(600));
        ledger.close(second, at(600));
        ledger.leave(id, node, at(600));
        ledger.look(|_, _| false, at(1099));
        assert!(!ledger.is_idle(), "it may come back");
        ledger.look(|_, _| false, at(1100));
        let took = |event| match event {
            UploadEvent::Ended(upload) => Some((upload.number, upload.bytes, upload.elapsed)),
            UploadEvent::Begun(_) => None,
        };
        let ended: Vec<_> = ledger.take_events().into_iter().filter_map(took).collect();
        assert_eq!(ended, [(first, 100, at(100)), (second, 100, at(100))]);
    }

    #[test]
    fn of_too_many_the_quietest_is_over() {
        let mut ledger = Ledger::default();
        for n in 0..MOST as u64 {
            let number = ledger.open(taking(1, &n.to_be_bytes()), || None, at(n));
            ledger.taken(number, 1, at(n));
            if n != 0 {
                ledger.close(number, at(n));
            }
        }
        ledger.take_events();
        ledger.open(taking(1, b"more"), || None, at(5000));
        let [UploadEvent::Ended(ended)] = &ledger.take_events()[..] else { panic!("one had to go") };
        assert_eq!(ended.id, ContentId::of(&1_u64.to_be_bytes()), "the first one has a request under way");
        assert_eq!(ledger.sessions.len(), MOST);
    }
}
