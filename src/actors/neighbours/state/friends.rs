//! Where friends are: at the address that was given with the name, or where a tracker knows them. They are dialled
//! first, so a friend that is there is a neighbour soon.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::State;
use crate::actors::connections::{ConnectionsRef, known_at};
use crate::actors::neighbours::{Message, NeighbourNotice};
use crate::io::net::resolve::resolve;
use crate::logic::flood::Input;
use crate::logic::neighbours::Source;
use crate::model::{Friend, Friends, NodeId, PeerTarget, QueryId};
use crate::wire::Role;

/// Friends that are looked for.
const MOST: usize = 64;
/// Between two times of looking.
const AGAIN: Duration = Duration::from_secs(60);
/// How long looking for one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the actor knows of friends.
pub(super) struct Known {
    /// All of them, as they change.
    pub(super) all: watch::Receiver<Arc<Friends>>,
    /// They have been looked for once.
    pub(super) sought: bool,
    /// Those that are near, or at an address that is known now: others are only remembered from another time.
    near: BTreeSet<NodeId>,
    /// Nodes that are remembered from another time.
    remembered: BTreeSet<NodeId>,
    /// Where the user says that they are.
    at: BTreeMap<NodeId, Vec<SocketAddr>>,
    /// Of whom the user has been told that somebody else is there.
    told: Vec<NodeId>,
}

impl Known {
    pub(super) fn new(all: watch::Receiver<Arc<Friends>>, remembered: BTreeSet<NodeId>) -> Self {
        let sought = all.borrow().is_empty();
        Self { all, sought, near: BTreeSet::new(), remembered, at: BTreeMap::new(), told: Vec::new() }
    }

    /// A node was heard of.
    pub(super) fn heard(&mut self, node: NodeId, source: Source) {
        let now = matches!(source, Source::Friend | Source::Lan | Source::Tracker);
        if now && self.all.borrow().contains(node) {
            self.near.insert(node);
        }
    }
}

impl State {
    /// Who the friends are.
    pub(in crate::actors::neighbours) fn befriend(&mut self, nodes: BTreeSet<NodeId>) {
        self.flood(Input::Friends(nodes.clone()));
        self.table.befriend(nodes);
    }

    /// Friends that are about to be neighbours and be asked; one that cannot be reached is none of them any more.
    pub(super) fn coming(&self) -> impl Iterator<Item = NodeId> {
        let near = self.friends.near.iter().copied();
        near.filter(|node| !self.voices.contains_key(node) && self.table.is_dialling(*node))
    }

    /// Friends that are only remembered and are dialled: they are waited for as those are, and not named, for who is away does
    /// not keep quiet.
    fn returning(&self) -> impl Iterator<Item = NodeId> {
        let friends = self.friends.all.borrow().clone();
        let remembered = self.friends.remembered.iter().copied().filter(move |node| friends.contains(*node));
        remembered.filter(|node| !self.voices.contains_key(node) && self.table.is_dialling(*node))
    }

    /// Friends near that have not answered a query.
    pub(super) fn silent(&self, id: QueryId) -> SilentFriends {
        let friends = self.friends.all.borrow();
        let asked = friends.iter().filter_map(|f| Some((f.node, self.flood.is_silent(id, f.node)?)));
        let mut nodes: Vec<NodeId> = self.coming().collect();
        let mut awaited = !nodes.is_empty() || self.returning().next().is_some();
        for (node, may_answer) in asked {
            nodes.push(node);
            awaited |= may_answer;
        }
        SilentFriends { nodes, awaited }
    }

    /// All friends have been looked for.
    pub(in crate::actors::neighbours) const fn friends_sought(&mut self) {
        self.friends.sought = true;
    }

    /// A friend is said by the user to be at these addresses.
    pub(in crate::actors::neighbours) fn friend_at(&mut self, node: NodeId, addrs: Vec<SocketAddr>) {
        self.heard(node, &addrs, Source::Friend);
        self.friends.at.insert(node, addrs);
    }

    /// Another node answered where a chosen one was expected. What others say of addresses is a hint; what the user says
    /// of a friend is not, so the user is told, once.
    pub(super) fn met_another(&mut self, node: NodeId, addr: SocketAddr, found: NodeId) {
        let given = self.friends.at.get(&node).is_some_and(|addrs| addrs.contains(&addr));
        let name = self.friends.all.borrow().of(node).map(|friend| friend.name.clone());
        let (true, Some(name), false) = (given, name, self.friends.told.contains(&node)) else { return };
        self.friends.told.push(node);
        self.warn(NeighbourNotice::NotTheFriend { addr, found, name });
    }
}

/// Friends near that have not answered a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SilentFriends {
    /// Which.
    pub nodes: Vec<NodeId>,
    /// One of them may still answer.
    pub awaited: bool,
}

/// Looks for friends as long as the node lives.
#[derive(Clone)]
pub(super) struct Seek {
    pub(super) actor: ActorRef<Message>,
    pub(super) connections: ConnectionsRef,
    pub(super) trackers: Vec<PeerTarget>,
    pub(super) friends: watch::Receiver<Arc<Friends>>,
}

impl Seek {
    pub(super) async fn run(mut self) {
        loop {
            let friends = Arc::clone(&self.friends.borrow_and_update());
            let nodes = friends.iter().map(|friend| friend.node).collect();
            if self.actor.cast(Message::Friends(nodes)).is_err() {
                return;
            }
            let mut lookups = JoinSet::new();
            for friend in friends.iter().take(MOST).cloned() {
                lookups.spawn(timeout(PATIENCE, self.clone().look(friend)));
            }
            lookups.join_all().await;
            if self.actor.cast(Message::FriendsSought).is_err() {
                return;
            }
            tokio::select! {
                Ok(()) = self.friends.changed() => {}
                () = sleep(AGAIN) => {}
            }
        }
    }

    /// Tells the actor where a friend may be. One that cannot be found now is looked for again.
    async fn look(self, friend: Friend) {
        if self.connections.existing(friend.node).await.is_some() {
            return;
        }
        // Gone only with the node itself.
        if let Some(target) = &friend.at {
            match resolve(target).await {
                Ok(addrs) => drop(self.actor.cast(Message::FriendAt(friend.node, addrs))),
                Err(error) => tracing::debug!(%error, "a friend's address"),
            }
        }
        for tracker in &self.trackers {
            if let Some(addrs) = self.ask(tracker, friend.node).await {
                drop(self.actor.cast(Message::Heard(friend.node, addrs, Source::Tracker)));
            }
        }
    }

    /// Where a tracker knows a node.
    async fn ask(&self, tracker: &PeerTarget, node: NodeId) -> Option<Vec<SocketAddr>> {
        let link = self.connections.to_role(tracker, Role::Tracker).await.ok()?;
        known_at(&link, node).await.ok()?
    }
}
