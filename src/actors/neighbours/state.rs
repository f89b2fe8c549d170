//! What the Neighbours actor keeps, and what it does with what it is told.

mod about;
mod answer;
mod friends;
mod search;
mod settling;
mod whereabouts;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::about::Told;
use self::answer::Turn;
use self::friends::Seek;
pub use self::search::Answer;
use self::search::Searches;
use self::whereabouts::Sought;
use super::lan::listen;
use super::reach::Reach;
use super::talk::{End, FrameQueue, Ticket};
use super::{Dependencies, JoinError, Message, NeighbourNotice, Newcomer, Row};
use crate::actors::limits::pool::{Pool, who};
use crate::actors::limits::reads::Reads;
use crate::io::net::link::Link;
use crate::logic::flood::{Fault, Flood, FloodOrder, Input};
use crate::logic::limits::meter::Meter;
use crate::logic::limits::shares::Who;
use crate::logic::neighbours::{Direction, Neighbours as Table, Source, TableOrder};
use crate::model::address::Remembered;
use crate::model::{NodeId, PeerTarget};
use crate::wire::{Code, Heard, NeighbourFrame};

/// How often what is remembered is written at most.
const WRITE: Duration = Duration::from_secs(5);
/// Dial-backs of one address: so many at once, then one so often; and addresses at a time.
const PROBES: (u32, Duration, usize) = (4, Duration::from_secs(10), 1024);

/// Its state.
pub struct State {
    pub(super) own: NodeId,
    pub(super) dependencies: Dependencies,
    pub(super) reads: Reads,
    pub(super) reach: Reach,
    begun: Instant,
    /// When neighbours were first wanted.
    pub(super) wanted: Option<Duration>,
    pub(super) table: Table,
    pub(super) flood: Flood,
    friends: friends::Known,
    pub(super) voices: HashMap<NodeId, Neighbour>,
    room: Pool,
    serial: u64,
    searches: Searches,
    pub(super) probes: Meter<SocketAddr>,
    /// Given nodes that have neither come nor failed yet.
    pub(super) expected: Vec<PeerTarget>,
    pub(super) waiting: Vec<RpcReplyPort<()>>,
    told: Told,
    sought: Sought,
    written: (Vec<Remembered>, Option<Duration>),
    /// Remembered of the local network, which is not used now.
    unused: Vec<Remembered>,
    /// Who was heard on the local network, now or when it was remembered.
    pub(super) lan: BTreeSet<NodeId>,
    /// When the first one was heard there.
    pub(super) lan_heard: Option<Duration>,
    /// Asked to be a neighbour, and not answered yet.
    joining: BTreeSet<NodeId>,
    pub(super) tasks: JoinSet<()>,
}

pub(super) struct Neighbour {
    serial: u64,
    queue: FrameQueue,
    /// What it can be told: see [`NeighbourFrame::since`].
    version: u16,
    pub(super) offers: u64,
    turn: Turn,
    /// Kept, so that the connection stays.
    pub(super) link: Link,
}

impl State {
    pub(super) fn new(dependencies: Dependencies, myself: &ActorRef<Message>) -> Self {
        let own = dependencies.endpoint.node_id();
        let remembered = dependencies.remembered.read().into_iter();
        let of_lan = |one: &Remembered| one.lan && dependencies.lan.is_none();
        let (unused, remembered): (_, Vec<_>) = remembered.partition(of_lan);
        let known = remembered.iter().map(|one| one.node).collect();
        let lan = remembered.iter().filter(|one| one.lan).map(|one| one.node).collect();
        let reach = Reach {
            connections: dependencies.connections.clone(),
            actor: myself.clone(),
            visiting: dependencies.visiting,
        };
        let mut state = Self {
            own,
            reads: Reads::default(),
            reach,
            begun: Instant::now(),
            wanted: None,
            table: Table::new(own, dependencies.settings, remembered, rand::random()),
            flood: Flood::new(own),
            friends: friends::Known::new(dependencies.friends.clone(), known),
            voices: HashMap::new(),
            room: dependencies.room.clone(),
            serial: 0,
            searches: Searches::default(),
            probes: Meter::new(PROBES.0, PROBES.1, PROBES.2),
            expected: dependencies.given.clone(),
            waiting: Vec::new(),
            told: Told::default(),
            sought: Sought::default(),
            written: (Vec::new(), None),
            unused,
            lan,
            lan_heard: None,
            joining: BTreeSet::new(),
            tasks: JoinSet::new(),
            dependencies,
        };
        if state.dependencies.eager {
            state.begin();
        }
        state
    }

    /// From now on neighbours are wanted.
    pub(super) fn begin(&mut self) {
        if self.wanted.is_some() {
            return;
        }
        self.wanted = Some(self.now());
        for target in self.dependencies.given.clone() {
            let about = self.about();
            self.tasks.spawn(self.reach.clone().given(target, about));
        }
        let (connections, actor) = (self.dependencies.connections.clone(), self.reach.actor.clone());
        let (trackers, friends) = (self.dependencies.trackers.clone(), self.friends.all.clone());
        self.tasks.spawn(Seek { actor, connections, trackers, friends }.run());
        self.tasks.spawn(about::follow(self.dependencies.shelf.clone(), self.reach.actor.clone()));
        if let Some(program) = self.dependencies.lan.clone() {
            let announced = (!self.dependencies.visiting).then(|| self.dependencies.endpoint.local_addr().port());
            let (own, actor, warnings) = (self.own, self.reach.actor.clone(), self.dependencies.warnings.clone());
            self.tasks.spawn(listen(program, own, announced, actor, warnings));
        }
        self.will_settle();
        self.advance();
    }

    /// Keeps further nodes as neighbours until this is dropped; the given ones are kept anyway.
    pub(super) fn keep(&mut self, mut targets: Vec<PeerTarget>, dropped: oneshot::Receiver<()>) {
        targets.retain(|target| !self.dependencies.given.contains(target));
        let mut all = JoinSet::new();
        for target in targets {
            let about = self.about();
            all.spawn(self.reach.clone().given(target, about));
        }
        // The set ends its tasks when it goes.
        self.tasks.spawn(async move {
            let _ = dropped.await;
            drop(all);
        });
    }

    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let now = self.now();
        let row = |(node, direction, addr, since): (NodeId, Direction, SocketAddr, Duration)| {
            let neighbour = self.voices.get(&node)?;
            let (offers, rtt) = (neighbour.offers, neighbour.link.rtt());
            Some(Row { node, addr, direction, since: now.saturating_sub(since), offers, rtt })
        };
        self.table.all().filter_map(row).collect()
    }

    pub(super) fn heard(&mut self, node: NodeId, addrs: &[SocketAddr], source: Source) {
        if source == Source::Lan {
            self.heard_on_lan(node);
        }
        self.friends.heard(node, source);
        let addrs: Vec<_> = addrs.iter().copied().filter(|addr| source.may_tell(*addr)).collect();
        if !addrs.is_empty() {
            self.sought.heard(node, &addrs);
        }
        self.table.heard(node, &addrs, source);
        self.advance();
    }

    pub(super) fn failed(&mut self, node: NodeId, met: Option<(SocketAddr, NodeId)>) {
        let now = self.now();
        if let Some((addr, found)) = met {
            self.met_another(node, addr, found);
        }
        self.table.failed(node, now);
        self.advance();
    }

    /// A given node has come, or why it has not.
    pub(super) fn given(&mut self, target: &PeerTarget, failed: Option<JoinError>) {
        let first = self.expected.contains(target);
        self.expected.retain(|other| other != target);
        if let Some(error) = failed.filter(|_| first) {
            self.warn(NeighbourNotice::NotANeighbour { target: target.clone(), error });
        }
    }

    /// Tells the user; forgotten when nobody listens.
    pub(super) fn warn(&self, notice: NeighbourNotice) {
        // Full or closed: a notice must not hold anything up.
        let _ = self.dependencies.warnings.try_send(notice);
    }

    pub(super) fn joining(&mut self, node: NodeId, begins: bool) {
        if begins {
            self.joining.insert(node);
        } else {
            self.joining.remove(&node);
        }
    }

    /// Takes a neighbour in, if it may be one.
    pub(super) fn join(&mut self, newcomer: Newcomer) -> Result<Ticket, Code> {
        let Newcomer { link, direction, about } = newcomer;
        let (node, remote, now) = (link.peer(), link.remote(), self.now());
        match direction {
            // Both ask each other at the same time: the one with the smaller id is heard.
            Direction::Inbound if self.joining.contains(&node) && self.own < node => return Err(Code::Duplicate),
            Direction::Inbound | Direction::Visiting => {
                self.take_the_place(&link, direction);
                self.table.admit(node, remote.ip(), direction == Direction::Visiting, now)?;
            }
            Direction::Given | Direction::Outbound => {
                self.joining.remove(&node);
                if self.voices.contains_key(&node) {
                    return Err(Code::Duplicate);
                }
            }
        }
        self.serial += 1;
        let end = End { node, serial: self.serial, actor: self.reach.actor.clone(), duplicate: false };
        let (queue, ticket) = FrameQueue::new(end, self.room.clone(), self.who(&link));
        let ends = link.teller();
        let (serial, version) = (self.serial, link.version().unwrap_or(about.version));
        let neighbour = Neighbour { serial, queue, version, offers: about.offers, turn: Turn::default(), link };
        self.voices.insert(node, neighbour);
        self.table.joined(node, remote, direction, now);
        let visiting = direction == Direction::Visiting;
        self.flood(Input::Joined { node, ends, visiting });
        match direction {
            Direction::Given | Direction::Outbound => {
                self.flood(Input::Reached(node, vec![remote]));
                self.tell_new(node);
                self.write();
            }
            Direction::Inbound => self.dial_back(node, remote.ip(), &about.candidates),
            Direction::Visiting => self.hear_about(node, &about),
        }
        Ok(ticket)
    }

    pub(super) fn who(&self, link: &Link) -> Who {
        who(link, self.dependencies.friends.borrow().contains(link.peer()))
    }

    /// Who asks over another connection than before takes its own place, where that gives way.
    fn take_the_place(&mut self, link: &Link, direction: Direction) {
        let (node, now) = (link.peer(), self.now());
        let other = self.voices.get(&node).is_some_and(|before| !before.link.is_same(link));
        if other && self.table.gives_way(node, direction == Direction::Visiting, now) {
            self.leave(node, Input::Moved(node));
        }
    }

    pub(super) fn ended(&mut self, node: NodeId, serial: u64, duplicate: bool) {
        if self.voices.get(&node).is_none_or(|neighbour| neighbour.serial != serial) {
            return;
        }
        let chosen = self.table.direction(node) == Some(Direction::Outbound);
        self.leave(node, if duplicate { Input::Moved(node) } else { Input::Left(node) });
        if duplicate && chosen {
            // The other connection carries it on.
            self.tasks.spawn(self.reach.clone().chosen(node, Vec::new(), self.about()));
        }
        self.advance();
    }

    fn drop_neighbour(&mut self, node: NodeId) {
        self.leave(node, Input::Left(node));
    }

    fn leave(&mut self, node: NodeId, how: Input) {
        let now = self.now();
        if let Some(gone) = self.voices.remove(&node) {
            gone.turn.close();
        }
        self.table.left(node, now);
        self.flood(how);
    }

    pub(super) fn frame(&mut self, from: NodeId, serial: u64, heard: Heard<NeighbourFrame>) {
        if self.voices.get(&from).is_none_or(|neighbour| neighbour.serial != serial) {
            return;
        }
        let Heard::Known(frame) = heard else {
            tracing::debug!(peer = %from.short(), "a neighbour says what this version does not know");
            return self.flood(Input::Unknown);
        };
        if let NeighbourFrame::About(about) = &frame {
            self.hear_about(from, about);
        }
        self.flood(Input::Frame { from, frame });
    }

    /// Gives the machine an input, and does what it says.
    pub(super) fn flood(&mut self, input: Input) {
        let now = self.now();
        for output in self.flood.handle(input, now) {
            match output {
                FloodOrder::Answer { id, from, what } => self.answer(id, from, what),
                FloodOrder::Aside { id, from, what } => self.answer_aside(id, from, what),
                FloodOrder::Blame(node, fault) => self.blame(node, fault),
                FloodOrder::Found(from, found) => self.found(from, found),
                FloodOrder::Over { id, silent } => self.over(id, &silent),
                FloodOrder::Send(to, frame) => self.say(to, frame),
            }
        }
    }

    pub(super) fn say(&mut self, to: NodeId, frame: NeighbourFrame) {
        let Some(neighbour) = self.voices.get(&to) else { return };
        let frame = frame.for_version(neighbour.version);
        if frame.since() > neighbour.version {
            return self.unsaid(to, &frame);
        }
        let keeps_up = neighbour.queue.say(frame);
        if !keeps_up {
            tracing::debug!(peer = %to.short(), "a neighbour does not read what it is sent");
            self.drop_neighbour(to);
        }
    }

    /// A neighbour of an earlier version would not understand this: what asks it something is as good as answered.
    fn unsaid(&mut self, to: NodeId, frame: &NeighbourFrame) {
        if let NeighbourFrame::Query(query) = frame {
            self.flood(Input::Frame { from: to, frame: NeighbourFrame::Done(query.id) });
        }
    }

    fn blame(&mut self, node: NodeId, fault: Fault) {
        let now = self.now();
        tracing::debug!(peer = %node.short(), ?fault, "a neighbour misbehaves");
        if self.table.blamed(node, now) {
            tracing::warn!(peer = %node.short(), ?fault, "a neighbour misbehaved for long and is left");
            self.drop_neighbour(node);
        }
    }

    pub(super) fn tick(&mut self) {
        self.flood(Input::Tick);
        self.advance();
        self.searches.prune().into_iter().for_each(|id| self.flood(Input::Unwanted(id)));
        self.tell();
        self.write();
    }

    /// Dials whom the table wants dialled.
    pub(super) fn advance(&mut self) {
        if self.wanted.is_none() {
            return;
        }
        let now = self.now();
        for output in self.table.tick(now) {
            match output {
                TableOrder::Dial(node, addrs) => {
                    self.tasks.spawn(self.reach.clone().chosen(node, addrs, self.about()));
                }
                TableOrder::Discover => self.discover(),
            }
        }
    }

    /// Writes what is worth remembering, if it has changed.
    fn write(&mut self) {
        let now = self.now();
        if self.written.1.is_none_or(|at| now >= at + WRITE) {
            self.remember(None);
        }
    }

    /// The same at once; whoever waits for it is answered when it is written.
    pub(super) fn remember(&mut self, written: Option<RpcReplyPort<()>>) {
        let now = self.now();
        let mut remembered = self.table.remembered();
        remembered.extend(self.unused.iter().cloned());
        if !self.dependencies.writes || remembered == self.written.0 {
            return written.into_iter().for_each(|reply| drop(reply.send(())));
        }
        let (file, lines) = (self.dependencies.remembered.clone(), remembered.clone());
        self.written = (remembered, Some(now));
        self.tasks.spawn_blocking(move || {
            if let Err(error) = file.write(lines) {
                tracing::debug!(%error, "neighbours cannot be remembered");
            }
            written.into_iter().for_each(|reply| drop(reply.send(())));
        });
    }

    /// Comes back when the machine is due, if that is before the next tick.
    pub(super) fn wake(&mut self) {
        if let Some(at) = self.flood.wake().filter(|at| self.searches.due(*at)) {
            self.come_back(at.saturating_sub(self.now()));
        }
    }

    pub(super) fn come_back(&mut self, after: Duration) {
        let actor = self.reach.actor.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            // Gone only with the node itself.
            let _ = actor.cast(Message::Tick);
        });
    }
}
