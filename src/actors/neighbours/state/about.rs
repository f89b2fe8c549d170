//! What this node says of itself to its neighbours, and what it makes of what they say. Invariant: what a neighbour says of
//! its addresses is told on only where it was dialled back under its own id.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use itertools::Itertools as _;
use ractor::ActorRef;

use super::State;
use crate::actors::neighbours::Message;
use crate::actors::shelf::Shelf;
use crate::logic::flood::Input;
use crate::logic::neighbours::Direction;
use crate::model::NodeId;
use crate::model::address::{is_publishable, may_dial_back};
use crate::wire::{About, NeighbourFrame, limits};

/// How often a change of what this node offers is told to its neighbours.
const TELL: Duration = Duration::from_secs(5);

/// What was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Told {
    offers: u64,
    at: Duration,
}

impl State {
    /// What this node says of itself. A command says where it is only while it has something to give: then it is asked.
    pub(in crate::actors::neighbours) fn about(&self) -> About {
        let offers = self.offers();
        let nowhere = self.dependencies.visiting && offers == 0;
        let candidates = if nowhere { Vec::new() } else { self.dependencies.endpoint.candidates() };
        About { candidates, offers, version: limits::VERSION }
    }

    /// How many offers it says to have: this is told to everyone.
    fn offers(&self) -> u64 {
        let (offers, under_way) = self.dependencies.shelf.public();
        if self.dependencies.visiting { offers + under_way as u64 } else { offers }
    }

    /// Tells the neighbours when this node offers more or less than before. That a command has something to give, or
    /// nothing any more, cannot wait: its transfer may take seconds.
    pub(in crate::actors::neighbours) fn tell(&mut self) {
        let (now, offers) = (self.now(), self.offers());
        let urgent = self.dependencies.visiting && (offers == 0) != (self.told.offers == 0);
        if offers == self.told.offers || (now < self.told.at + TELL && !urgent) {
            return;
        }
        self.told = Told { offers, at: now };
        let about = self.about();
        let all: Vec<NodeId> = self.voices.keys().copied().collect();
        all.into_iter().for_each(|node| self.say(node, NeighbourFrame::About(about.clone())));
    }

    /// A node that this command has just asked to be a neighbour may not know yet that there is something to give.
    pub(super) fn tell_new(&mut self, node: NodeId) {
        let about = self.about();
        if self.dependencies.visiting && about.offers > 0 {
            self.say(node, NeighbourFrame::About(about));
        }
    }

    /// What a neighbour says of itself: one that visits is asked, or not any more, as soon as it is known where it is.
    pub(super) fn hear_about(&mut self, node: NodeId, about: &About) {
        let Some(neighbour) = self.voices.get_mut(&node) else { return };
        neighbour.offers = about.offers;
        let remote = neighbour.link.remote();
        if self.table.direction(node) != Some(Direction::Visiting) {
            return;
        }
        if about.offers == 0 {
            self.flood(Input::Reached(node, Vec::new()));
        } else {
            self.dial_back(node, remote.ip(), &about.candidates);
        }
    }

    /// Sees where a neighbour that dialled us can be dialled by others.
    pub(super) fn dial_back(&mut self, node: NodeId, observed: IpAddr, candidates: &[SocketAddr]) {
        let Some(port) = candidates.first().map(SocketAddr::port) else { return };
        let now = self.now();
        let near = candidates.iter().take(limits::CANDIDATES).copied();
        let near = near.filter(|addr| may_dial_back(addr.ip(), observed)).chain([SocketAddr::new(observed, port)]);
        let near = near.filter(|addr| is_publishable(*addr)).unique();
        let addrs: Vec<SocketAddr> = near.filter(|addr| self.probes.allow(*addr, now)).collect();
        if !addrs.is_empty() {
            self.tasks.spawn(self.reach.clone().dial_back(node, addrs));
        }
    }
}

/// Tells the actor of each change of what is under way on the shelf, as long as the node lives.
pub(super) async fn follow(shelf: Shelf, actor: ActorRef<Message>) {
    let mut changes = shelf.transfer_changes();
    while changes.changed().await.is_ok() {
        if actor.cast(Message::ShelfChanged).is_err() {
            return;
        }
    }
}
