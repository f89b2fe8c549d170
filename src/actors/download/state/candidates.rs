//! Who may have the content: dialled, linked, resting after a failure, or barred.
//! Invariant: a node is in exactly one [`LinkState`]. How long one rests is its [`Record`]'s to say; whose turn it is to have
//! one of the places, that of its network.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use itertools::Itertools as _;
use tokio::task::AbortHandle;

use super::ending::Outlook;
use super::{DownloadNotice, Message, State};
use crate::actors::connections::ConnectError;
use crate::actors::download::have::watch;
use crate::io::net::frames::CallError;
use crate::io::net::link::Link;
use crate::logic::limits::turns::{by_turns, home, who_yields};
use crate::logic::transfer::{Input, Record, Why};
use crate::model::{NodeId, Provider, address};

/// Nodes linked or dialled at a time.
const LINKED: usize = 50;
/// Nodes remembered at all.
const KNOWN: usize = 1000;
/// Addresses of one node: those heard last, then where it was before.
const ADDRESSES: usize = 8;

/// The candidates.
#[derive(Debug)]
pub(super) struct Candidates {
    known: HashMap<NodeId, Candidate>,
    barred: HashSet<NodeId>,
    /// How many were ever told.
    told: u64,
}

#[derive(Debug)]
struct Candidate {
    /// The how many-th that was told: whom a person named, friends and neighbours come before the others.
    number: u64,
    addrs: Vec<SocketAddr>,
    standing: LinkState,
    record: Record,
    /// Something that it brought was proven.
    gave: bool,
    /// It has said in this run that it has it, or some of it.
    had: bool,
    /// A connection to it has given way to another one.
    moved: bool,
    /// Why it could not be dialled last.
    error: Option<ConnectError>,
}

impl Candidate {
    const fn rests(&self) -> bool {
        matches!(self.standing, LinkState::Resting)
    }

    /// The network for which it counts: that in which it is, else where it is said to be.
    fn home(&self) -> Option<IpAddr> {
        match &self.standing {
            LinkState::Linked { link, .. } => Some(address::network(link.remote().ip())),
            _ => home(&self.addrs),
        }
    }
}

/// Who gets places now, and who gives one up.
#[derive(Debug, Default)]
struct Turns {
    dialled: Vec<(NodeId, Vec<SocketAddr>)>,
    yielding: Vec<NodeId>,
}

/// How one stands that gives nothing.
#[derive(Debug)]
pub(super) struct CandidateView<'a> {
    pub(super) node: NodeId,
    pub(super) addr: Option<SocketAddr>,
    pub(super) linked: bool,
    /// It has said in this run that it has it, or some of it.
    had: bool,
    pub(super) record: &'a Record,
    pub(super) error: Option<&'a ConnectError>,
}

impl CandidateView<'_> {
    /// Whether it has only taken back what it had.
    pub(super) fn may_return(&self) -> bool {
        self.had && self.record.why.is_some_and(Why::is_absence)
    }
}

#[derive(Debug)]
enum LinkState {
    Dialling,
    /// No sides: none were asked for yet.
    Linked {
        link: Link,
        watch: AbortHandle,
        sides: Option<Vec<Link>>,
    },
    Resting,
}

impl Candidates {
    pub(super) fn new(barred: HashSet<NodeId>) -> Self {
        Self { known: HashMap::new(), barred, told: 0 }
    }

    pub(super) fn link(&self, node: NodeId) -> Option<Link> {
        match &self.known.get(&node)?.standing {
            LinkState::Linked { link, .. } => Some(link.clone()),
            _ => None,
        }
    }

    /// The open connections to a node, the link first.
    pub(super) fn connections(&self, node: NodeId) -> impl Iterator<Item = &Link> {
        let linked = match self.known.get(&node).map(|candidate| &candidate.standing) {
            Some(LinkState::Linked { link, sides, .. }) => Some((link, sides)),
            _ => None,
        };
        linked.into_iter().flat_map(|(link, sides)| {
            std::iter::once(link).chain(sides.iter().flatten().filter(|side| !side.is_closed()))
        })
    }

    /// The link of a node to which side connections are to be opened now: they are asked for once a link.
    pub(super) fn widen(&mut self, node: NodeId) -> Option<Link> {
        match &mut self.known.get_mut(&node)?.standing {
            LinkState::Linked { link, sides: sides @ None, .. } => {
                *sides = Some(Vec::new());
                Some(link.clone())
            }
            _ => None,
        }
    }

    /// The side connections of a link are there.
    pub(super) fn widened(&mut self, of: &Link, new: Vec<Link>) {
        if let Some(Candidate { standing: LinkState::Linked { link, sides, .. }, .. }) = self.known.get_mut(&of.peer())
            && link.is_same(of)
        {
            *sides = Some(new);
        }
    }

    /// It brought something that was proven. Saying that it has something is no merit: else one that never brings
    /// anything would be met again and again without a rest.
    pub(super) fn healthy(&mut self, node: NodeId) {
        if let Some(candidate) = self.known.get_mut(&node) {
            candidate.record.proven();
            candidate.gave = true;
        }
    }

    /// It says that it has something.
    pub(super) fn granted(&mut self, node: NodeId) {
        if let Some(candidate) = self.known.get_mut(&node) {
            candidate.record.granted();
            candidate.had = true;
        }
    }

    /// These offer something else under its name by now: those that only have it not are said to have changed their copy.
    pub(super) fn changed(&mut self, nodes: &[NodeId], now: Duration) {
        for node in nodes {
            if let Some(candidate) = self.known.get_mut(node)
                && candidate.rests()
                && candidate.record.why.is_some_and(Why::is_absence)
            {
                candidate.record.failed(Why::Changed, now);
            }
        }
    }

    /// Time has passed without us: whatever kept us from asking may be over.
    pub(super) fn wake(&mut self) {
        self.known.values_mut().for_each(|candidate| candidate.record.wake());
    }

    /// All that are known and not barred.
    pub(super) fn all(&self) -> impl Iterator<Item = CandidateView<'_>> {
        self.known.iter().map(|(node, candidate)| CandidateView {
            node: *node,
            addr: match &candidate.standing {
                LinkState::Linked { link, .. } => Some(link.remote()),
                _ => candidate.addrs.first().copied(),
            },
            linked: matches!(candidate.standing, LinkState::Linked { .. }),
            had: candidate.had,
            record: &candidate.record,
            error: candidate.error.as_ref(),
        })
    }

    /// Whether somebody is being dialled of whom nothing is known yet.
    pub(super) fn is_meeting(&self) -> bool {
        self.known.values().any(|c| matches!(c.standing, LinkState::Dialling) && c.record.why.is_none())
    }

    /// Those that lied.
    pub(super) fn barred(&self) -> impl Iterator<Item = NodeId> {
        self.barred.iter().copied()
    }

    /// Whether what comes from it counts as news before it is proven: not once it has failed.
    pub(super) fn is_trusted(&self, node: NodeId) -> bool {
        self.known.get(&node).is_some_and(|candidate| candidate.record.is_trusted())
    }

    /// Whether this node fails for the first time while nobody else is there to fetch from: worth telling a person.
    /// Beside others that give, one that comes and goes is not.
    fn is_first_trouble(&self, node: NodeId) -> bool {
        let alone = !self.known.values().any(|candidate| matches!(candidate.standing, LinkState::Linked { .. }));
        alone && self.is_trusted(node)
    }

    /// Not asked for a while.
    pub(super) fn rest(&mut self, node: NodeId, why: Why, now: Duration) {
        let Some(candidate) = self.known.get_mut(&node) else { return };
        candidate.record.failed(why, now);
        self.unlink(node);
    }

    /// Its connection gave way to another one between the same nodes, which is no failure: it goes on there at once. Says whether
    /// that was the first time.
    fn moved(&mut self, node: NodeId) -> bool {
        let Some(candidate) = self.known.get_mut(&node) else { return false };
        let first = !std::mem::replace(&mut candidate.moved, true);
        if first {
            self.unlink(node);
        }
        first
    }

    /// It cannot be dialled now.
    fn unreachable(&mut self, node: NodeId, error: ConnectError, now: Duration) {
        self.rest(node, (&error).into(), now);
        if let Some(candidate) = self.known.get_mut(&node) {
            candidate.error = Some(error);
        }
    }

    /// Never again in this transfer; says where it was.
    pub(super) fn bar(&mut self, node: NodeId) -> Option<SocketAddr> {
        self.barred.insert(node);
        match self.known.remove(&node)?.standing {
            LinkState::Linked { link, watch, .. } => {
                watch.abort();
                Some(link.remote())
            }
            _ => None,
        }
    }

    pub(super) fn stop(&mut self) {
        self.known.clear();
    }

    /// Takes note of a provider; keeps its addresses fresh.
    fn note(&mut self, provider: Provider) {
        if self.barred.contains(&provider.node) {
            return;
        }
        let new = !self.known.contains_key(&provider.node);
        if new && self.known.len() >= KNOWN && !self.make_room(home(&provider.addrs)) {
            return;
        }
        self.told += u64::from(new);
        let number = self.told;
        let candidate = self.known.entry(provider.node).or_insert_with(|| Candidate {
            number,
            addrs: Vec::new(),
            standing: LinkState::Resting,
            record: Record::default(),
            gave: false,
            had: false,
            moved: false,
            error: None,
        });
        if provider.addrs.iter().any(|addr| !candidate.addrs.contains(addr)) {
            // It has moved, or was never where it was said to be.
            candidate.record.wake();
        }
        let before = std::mem::replace(&mut candidate.addrs, provider.addrs);
        candidate.addrs.truncate(ADDRESSES);
        for addr in before {
            if candidate.addrs.len() < ADDRESSES && !candidate.addrs.contains(&addr) {
                candidate.addrs.push(addr);
            }
        }
    }

    /// Forgets one of the network of which most are known, for one of a network of which fewer are. Says whether it could.
    fn make_room(&mut self, network: Option<IpAddr>) -> bool {
        let known = self.known.iter().sorted_by_key(|(_, candidate)| candidate.number);
        let held: Vec<_> = known.map(|(node, c)| (c.home(), (c.rests() && !c.gave).then_some(*node))).collect();
        let yielding = who_yields(network, &held);
        yielding.is_some_and(|node| self.known.remove(&node).is_some())
    }

    /// Those whose rest is over get the places that are free by turns of their networks: one that has failed counts as a
    /// place of its network. Where none is free, a network with more than its share gives up links of those that gave
    /// nothing yet.
    fn take_turns(&mut self, now: Duration, stuck: bool) -> Turns {
        let due = |c: &Candidate| c.rests() && c.record.is_due(now, stuck);
        let waiting = self.known.iter().filter(|(_, candidate)| due(candidate));
        let waiting = waiting.sorted_by_key(|(_, candidate)| candidate.number);
        let waiting: Vec<_> = waiting.map(|(node, candidate)| (*node, candidate.home())).collect();
        if waiting.is_empty() {
            return Turns::default();
        }
        let spent = self.known.values().filter(|c| !c.rests() || !c.record.is_trusted());
        let spent = spent.map(Candidate::home).counts();
        let mut turns = Turns::default();
        let mut held = self.held();
        for (node, network) in by_turns(waiting, spent, |(_, network)| *network) {
            if held.len() >= LINKED {
                let Some(yielding) = who_yields(network, &held) else { continue };
                held.retain(|(_, who)| *who != Some(yielding));
                turns.yielding.push(yielding);
            }
            held.push((network, None));
            if let Some(candidate) = self.known.get_mut(&node) {
                candidate.standing = LinkState::Dialling;
                turns.dialled.push((node, candidate.addrs.clone()));
            }
        }
        turns.yielding.iter().for_each(|node| self.unlink(*node));
        turns
    }

    /// The networks of the places that are taken, with who may give one up; those told first are the last to do so.
    fn held(&self) -> Vec<(Option<IpAddr>, Option<NodeId>)> {
        let taken = self.known.iter().filter(|(_, candidate)| !candidate.rests());
        let taken = taken.sorted_by_key(|(_, candidate)| candidate.number);
        let may_go = |c: &Candidate| matches!(c.standing, LinkState::Linked { .. }) && !c.gave;
        taken.map(|(node, candidate)| (candidate.home(), may_go(candidate).then_some(*node))).collect()
    }

    /// It has no place any more, which is no fault of its own.
    fn unlink(&mut self, node: NodeId) {
        let Some(candidate) = self.known.get_mut(&node) else { return };
        if let LinkState::Linked { watch, .. } = std::mem::replace(&mut candidate.standing, LinkState::Resting) {
            watch.abort();
        }
    }
}

impl State {
    pub(in crate::actors::download) fn on_providers(&mut self, providers: Vec<Provider>) {
        providers.into_iter().for_each(|provider| self.candidates.note(provider));
        self.dial_rested();
    }

    /// A peer opened a Watch on our content: it has something, or will, and its own connection leads to it.
    pub(in crate::actors::download) fn on_participant(&mut self, link: Link) {
        let node = link.peer();
        self.candidates.note(Provider { node, addrs: Vec::new() });
        match self.candidates.known.get(&node).map(|c| &c.standing) {
            Some(LinkState::Resting) => self.on_linked(node, Ok(link)),
            Some(LinkState::Dialling | LinkState::Linked { .. }) | None => {}
        }
    }

    pub(super) fn dial_rested(&mut self) {
        let stuck = self.outlook != Outlook::Open;
        let Turns { dialled, yielding } = self.candidates.take_turns(self.now(), stuck);
        for node in yielding {
            tracing::debug!(node = %node.short(), "its place goes to one of another network");
            self.input(Input::Lost { node });
        }
        for (node, addrs) in dialled {
            let (connections, myself) = (self.connections.clone(), self.myself.clone());
            self.tasks.spawn(async move {
                let linked = connections.to_node(node, addrs).await;
                // A transfer that has ended needs no links.
                let _ = myself.cast(Message::Linked(node, linked));
            });
        }
    }

    pub(in crate::actors::download) fn on_linked(&mut self, node: NodeId, linked: Result<Link, ConnectError>) {
        let link = match linked {
            Ok(link) => link,
            Err(error) => {
                tracing::debug!(node = %node.short(), %error, "provider cannot be reached");
                if self.candidates.is_first_trouble(node) && self.tallies.is_idle() {
                    self.tallies.warn(DownloadNotice::Unreachable { node, error: error.clone() });
                }
                let now = self.now();
                return self.candidates.unreachable(node, error, now);
            }
        };
        let Some(candidate) = self.candidates.known.get_mut(&node) else { return };
        candidate.error = None;
        let limited = self.context.throttle.rate().is_some();
        let task = watch(link.clone(), self.context.wanted.content, limited, self.myself.clone());
        let (rtt, network) = (link.rtt(), address::network(link.remote().ip()));
        self.tallies.met(node, link.remote());
        let watch = self.tasks.spawn(task);
        if let LinkState::Linked { watch: before, .. } =
            std::mem::replace(&mut candidate.standing, LinkState::Linked { link, watch, sides: None })
        {
            before.abort();
        }
        self.input(Input::Ready { node, rtt, network });
        self.widen();
    }

    pub(in crate::actors::download) fn on_watch_ended(&mut self, link: &Link, error: Option<&CallError>) {
        let node = link.peer();
        if !self.candidates.link(node).is_some_and(|current| current.is_same(link)) {
            return;
        }
        let why = match error {
            Some(CallError::Refused(refusal)) => refusal.into(),
            _ => Why::Lost,
        };
        tracing::debug!(node = %node.short(), cause = %why, "watch ended");
        let now = self.now();
        if !(error.is_some_and(CallError::is_duplicate) && self.candidates.moved(node)) {
            self.candidates.rest(node, why, now);
        }
        self.input(Input::Lost { node });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Code;

    fn node(n: u16) -> NodeId {
        NodeId::of_public_key(&n.to_be_bytes())
    }

    fn told(candidates: &mut Candidates, n: u16, ip: [u8; 4]) {
        candidates.note(Provider { node: node(n), addrs: vec![SocketAddr::from((ip, 1000 + n))] });
    }

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn one_among_three_hundred_of_another_address_is_dialled_among_the_first_two() {
        let mut candidates = Candidates::new(HashSet::new());
        (0..300).for_each(|n| told(&mut candidates, n, [8, 8, 4, 4]));
        told(&mut candidates, 300, [9, 9, 9, 9]);
        let Turns { dialled, yielding } = candidates.take_turns(NOW, false);
        assert_eq!(dialled.len(), LINKED);
        assert_eq!(dialled[..2].iter().map(|(node, _)| *node).collect::<Vec<_>>(), [node(0), node(300)]);
        assert!(yielding.is_empty());
    }

    #[test]
    fn who_refused_gives_its_place_to_another_network_first() {
        let mut candidates = Candidates::new(HashSet::new());
        (0..50).for_each(|n| told(&mut candidates, n, [8, 8, 4, 4]));
        assert_eq!(candidates.take_turns(NOW, false).dialled.len(), LINKED);
        (50..100).for_each(|n| told(&mut candidates, n, [8, 8, 4, 4]));
        (100..102).for_each(|n| told(&mut candidates, n, [9, 9, 9, 9]));
        assert!(candidates.take_turns(NOW, false).dialled.is_empty(), "they are being dialled");
        (0..3).for_each(|n| candidates.rest(node(n), Why::Refused(Code::NotFound), NOW));
        let dialled = candidates.take_turns(NOW, false).dialled;
        assert_eq!(dialled.iter().map(|(node, _)| *node).collect::<Vec<_>>(), [node(100), node(101), node(50)]);
    }

    #[test]
    fn one_of_another_network_is_remembered_though_a_thousand_of_one_are() {
        let mut candidates = Candidates::new(HashSet::new());
        (0..1100).for_each(|n| told(&mut candidates, n, [8, 8, 4, 4]));
        assert_eq!(candidates.known.len(), KNOWN);
        told(&mut candidates, 2000, [9, 9, 9, 9]);
        assert!(candidates.known.len() == KNOWN && candidates.known.contains_key(&node(2000)));
        assert_eq!(candidates.take_turns(NOW, false).dialled[1].0, node(2000));
    }
}
