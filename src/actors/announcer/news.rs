//! What one session tells the person, each thing once until it has changed.

use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::{Acknowledged, AnnouncerNotice, Event};
use crate::actors::connections::{ConnectError, ConnectKind};
use crate::io::net::frames::CallError;
use crate::logic::changes::Shared;
use crate::wire::Announced;

/// Says what becomes of one tracker.
pub(super) struct SessionNews {
    tracker: String,
    port: u16,
    events: mpsc::Sender<Event>,
    unreachable: bool,
    /// Where it reached this node.
    reached: Vec<SocketAddr>,
    /// How many offers it holds as it said last.
    held: u64,
    /// It was told that those are not all.
    lacks: bool,
    /// Kinds of failures that were told since the tracker was last heard of.
    failures: Vec<Failure>,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Exchange(Discriminant<CallError>),
    Link(ConnectKind),
}

impl SessionNews {
    pub(super) fn new(tracker: String, port: u16, events: mpsc::Sender<Event>) -> Self {
        Self {
            tracker,
            port,
            events,
            unreachable: false,
            reached: Vec::new(),
            held: 0,
            lacks: false,
            failures: Vec::new(),
        }
    }

    /// The tracker has taken an announcement, after which it should hold all of `shared`.
    pub(super) fn announced(&mut self, announced: &Announced, shared: &Shared) {
        let Announced { taken, refused, .. } = *announced;
        self.reached.clone_from(&announced.reachable);
        let reachable = !announced.reachable.is_empty();
        self.now(taken, refused, shared, reachable);
        let names = shared.offers.all().names;
        let lacks = taken < names;
        if lacks && !self.lacks {
            self.warn(AnnouncerNotice::Full { tracker: self.tracker.clone(), taken, names });
        }
        self.lacks = lacks;
        self.reachable(reachable);
    }

    /// The tracker holds so many of what was announced to it.
    pub(super) fn holds(&mut self, held: u64, shared: &Shared, reachable: bool) {
        let names = shared.offers.all().names;
        if held == self.held {
            return;
        }
        self.now(held, names.saturating_sub(held), shared, reachable);
        let lacks = held < names;
        if lacks && !self.lacks {
            self.warn(AnnouncerNotice::Cut { tracker: self.tracker.clone(), held, names });
        }
        self.lacks = lacks;
    }

    fn now(&mut self, offers: u64, refused: u64, shared: &Shared, reachable: bool) {
        let hashed = shared.offers.iter().filter(|offer| offer.id.is_some()).count() as u64;
        let tracker = self.tracker.clone();
        let (hashed, reached) = (hashed.min(offers), self.reached.clone());
        self.say(Event::Announced(Acknowledged { tracker, offers, hashed, refused, reachable, reached }));
        self.held = offers;
    }

    /// Whether the tracker reached this node.
    pub(super) fn reachable(&mut self, reachable: bool) {
        if !reachable && !self.unreachable {
            self.warn(AnnouncerNotice::Unreached { tracker: self.tracker.clone(), port: self.port });
        }
        self.unreachable = !reachable;
    }

    /// The tracker answers.
    pub(super) fn heard(&mut self) {
        if !std::mem::take(&mut self.failures).is_empty() {
            self.warn(AnnouncerNotice::Back { tracker: self.tracker.clone() });
        }
    }

    /// There is no link to the tracker.
    pub(super) fn unreached(&mut self, error: &ConnectError) {
        let notice = AnnouncerNotice::Unlinked { tracker: self.tracker.clone(), error: error.clone() };
        self.failed(Failure::Link(error.kind()), notice);
    }

    /// Each kind of failure is told once, as it came first: a resolver that fails now in one way and now in another is one
    /// trouble.
    fn failed(&mut self, failure: Failure, notice: AnnouncerNotice) {
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
            self.warn(notice);
        }
    }

    /// An exchange came to nothing. A lost connection is mended without a word, unless connecting fails too.
    pub(super) fn lost(&mut self, error: &CallError) {
        if !matches!(error, CallError::Lost(_)) {
            let notice = AnnouncerNotice::NotTaken { tracker: self.tracker.clone(), error: error.clone() };
            self.failed(Failure::Exchange(discriminant(error)), notice);
        }
    }

    fn warn(&self, notice: AnnouncerNotice) {
        self.say(Event::Notice(notice));
    }

    fn say(&self, event: Event) {
        // A listener that does not keep up misses it: a session never waits for it.
        let _ = self.events.try_send(event);
    }
}
