//! Who may have the content: dialled, linked, resting after a failure, or barred.
//! Invariant: a node is in exactly one [`LinkState`]. How long one rests is its [`Record`]'s to say.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::ending::Outlook;
use super::{DownloadNotice, Message, State};
use crate::actors::connections::{ConnectError, ConnectKind};
use crate::actors::download::have::watch;
use crate::io::net::frames::CallError;
use crate::io::net::link::Link;
use crate::logic::transfer::{Input, Record, Why};
use crate::model::{NodeId, Provider};
use crate::wire::Code;

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
}

#[derive(Debug)]
struct Candidate {
    addrs: Vec<SocketAddr>,
    standing: LinkState,
    record: Record,
    /// Why it could not be dialled last.
    error: Option<ConnectError>,
}

/// How one stands that gives nothing.
#[derive(Debug)]
pub(super) struct CandidateView<'a> {
    pub(super) node: NodeId,
    pub(super) addr: Option<SocketAddr>,
    pub(super) linked: bool,
    pub(super) record: &'a Record,
    pub(super) error: Option<&'a ConnectError>,
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
        Self { known: HashMap::new(), barred }
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
        }
    }

    /// It says that it has something.
    pub(super) fn granted(&mut self, node: NodeId) {
        if let Some(candidate) = self.known.get_mut(&node) {
            candidate.record.granted();
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
            record: &candidate.record,
            error: candidate.error.as_ref(),
        })
    }

    /// Whether somebody is being dialled of whom nothing is known yet.
    pub(super) fn is_meeting(&self) -> bool {
        self.known.values().any(|c| matches!(c.standing, LinkState::Dialling) && c.record.why().is_none())
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
        if let LinkState::Linked { watch, .. } = std::mem::replace(&mut candidate.standing, LinkState::Resting) {
            watch.abort();
        }
    }

    /// It cannot be dialled now.
    fn unreachable(&mut self, node: NodeId, error: ConnectError, now: Duration) {
        let forbidden = error.kind() == ConnectKind::Forbidden;
        let why = if forbidden { Why::Refused(Code::Forbidden) } else { Why::Unreachable };
        self.rest(node, why, now);
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
        if self.barred.contains(&provider.node) || self.known.len() >= KNOWN {
            return;
        }
        let new =
            || Candidate { addrs: Vec::new(), standing: LinkState::Resting, record: Record::default(), error: None };
        let candidate = self.known.entry(provider.node).or_insert_with(new);
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

    /// Those whose rest is over, as far as there is room.
    fn rested(&mut self, now: Duration, stuck: bool) -> Vec<(NodeId, Vec<SocketAddr>)> {
        let busy = self.known.values().filter(|c| !matches!(c.standing, LinkState::Resting)).count();
        let due = |c: &Candidate| matches!(c.standing, LinkState::Resting) && c.record.is_due(now, stuck);
        let rested = self.known.iter_mut().filter(|(_, candidate)| due(candidate));
        let chosen = rested.take(LINKED.saturating_sub(busy));
        chosen
            .map(|(node, candidate)| {
                candidate.standing = LinkState::Dialling;
                (*node, candidate.addrs.clone())
            })
            .collect()
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
        for (node, addrs) in self.candidates.rested(self.now(), stuck) {
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
                tracing::debug!(?node, %error, "provider cannot be reached");
                if self.candidates.is_first_trouble(node) && self.tallies.is_idle() {
                    self.tallies.warn(DownloadNotice::Unreachable { node, error: error.clone() });
                }
                let now = self.now();
                return self.candidates.unreachable(node, error, now);
            }
        };
        let Some(candidate) = self.candidates.known.get_mut(&node) else { return };
        candidate.error = None;
        let task = watch(link.clone(), self.context.wanted.content, self.myself.clone());
        let rtt = link.rtt();
        self.tallies.met(node, link.remote());
        let watch = self.tasks.spawn(task);
        if let LinkState::Linked { watch: before, .. } =
            std::mem::replace(&mut candidate.standing, LinkState::Linked { link, watch, sides: None })
        {
            before.abort();
        }
        self.input(Input::Ready { node, rtt });
        self.widen();
    }

    pub(in crate::actors::download) fn on_watch_ended(&mut self, link: &Link, error: Option<&CallError>) {
        let node = link.peer();
        if !self.candidates.link(node).is_some_and(|current| current.is_same(link)) {
            return;
        }
        tracing::debug!(?node, ?error, "watch ended");
        let why = match error {
            Some(CallError::Refused(refusal)) => match refusal.code {
                Code::Busy => Why::Busy(Duration::from_millis(refusal.retry_ms.into())),
                Code::Changed => Why::Changed,
                code => Why::Refused(code),
            },
            _ => Why::Lost,
        };
        let now = self.now();
        self.candidates.rest(node, why, now);
        self.input(Input::Lost { node });
    }
}
