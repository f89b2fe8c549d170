//! What is looked for here: one TTL after the other while nothing comes, and where the answers go.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;

use super::State;
use super::friends::SilentFriends;
use super::settling::SETTLING;
use crate::logic::flood::Input;
use crate::logic::look::FRIENDS;
use crate::logic::neighbours::Source;
use crate::model::{Hit, NodeId, QueryId};
use crate::wire::{FloodQuery, QueryHits, Seen, Sought};

/// How far neighbours are asked for when places are free.
const DISCOVERY: u8 = 2;

/// What a search over the neighbours brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Something was found.
    Found {
        /// The neighbour that told of it was heard on the LAN, and has it itself.
        lan: bool,
        /// Offers, each with its providers.
        hits: Vec<Hit>,
        /// Nodes.
        nodes: Vec<Seen>,
        /// Who told of it has brought so much that it may have left out something.
        full: bool,
    },
    /// Whether everyone who is known by now has answered, where that has changed: others may still be heard of.
    Known(bool),
    /// Which friends near have not answered, where that has changed: only for what is looked for by words.
    Silent(SilentFriends),
    /// Nothing more comes.
    Over {
        /// Everyone who was asked has answered.
        whole: bool,
    },
}

/// The searches under way.
#[derive(Debug, Default)]
pub(super) struct Searches {
    by_id: HashMap<QueryId, Search>,
    /// When the actor comes back already.
    woken: Option<Duration>,
}

#[derive(Debug)]
struct Search {
    what: Sought,
    waves: VecDeque<u8>,
    /// Since when something is found.
    found: Option<Duration>,
    whole: bool,
    /// Whoever asked was told that all who are known have answered.
    known: bool,
    /// What whoever asked was told of friends.
    silent: SilentFriends,
    /// None: nodes for the own table.
    answers: Option<mpsc::Sender<Answer>>,
}

impl Search {
    fn of(what: Sought, waves: VecDeque<u8>) -> Self {
        let silent = SilentFriends::default();
        Self { what, waves, found: None, whole: true, known: false, silent, answers: None }
    }
}

impl Searches {
    /// Searches that nobody waits for.
    pub(super) fn prune(&mut self) -> Vec<QueryId> {
        let gone = |search: &Search| search.answers.as_ref().is_some_and(mpsc::Sender::is_closed);
        self.by_id.extract_if(|_, search| gone(search)).map(|(id, _)| id).collect()
    }

    /// Searches that have found something.
    pub(super) fn with_hits(&self) -> Vec<QueryId> {
        self.by_id.iter().filter(|(_, search)| search.found.is_some()).map(|(id, _)| *id).collect()
    }

    /// All searches.
    pub(super) fn all(&self) -> Vec<QueryId> {
        self.by_id.keys().copied().collect()
    }

    /// Those by words that somebody waits for: of several things one is chosen.
    fn choices(&self) -> Vec<QueryId> {
        let is_choice = |search: &Search| search.what.is_by_name() && search.answers.is_some();
        self.by_id.iter().filter(|(_, search)| is_choice(search)).map(|(id, _)| *id).collect()
    }

    /// Whether the actor has to be woken for this moment, for which it has not been yet.
    pub(super) fn due(&mut self, at: Duration) -> bool {
        let due = self.woken != Some(at);
        self.woken = Some(at);
        due
    }
}

impl State {
    pub(in crate::actors::neighbours) fn search(
        &mut self,
        what: Sought,
        waves: Vec<u8>,
        answers: mpsc::Sender<Answer>,
    ) {
        self.begin();
        let waves = waves.into();
        self.next_wave(Search { answers: Some(answers), ..Search::of(what, waves) });
    }

    /// Asks the neighbours for theirs.
    pub(super) fn discover(&mut self) {
        let waves = [DISCOVERY].into();
        self.next_wave(Search::of(Sought::Nodes, waves));
    }

    fn next_wave(&mut self, mut search: Search) {
        let Some(ttl) = search.waves.pop_front() else {
            if let Some(answers) = search.answers {
                // Whoever asked may have gone.
                let _ = answers.try_send(Answer::Silent(search.silent));
                let _ = answers.try_send(Answer::Over { whole: search.whole });
            }
            return;
        };
        let is_choice = search.what.is_by_name();
        let query = FloodQuery { id: QueryId::from_bytes(rand::random()), ttl, what: search.what.clone() };
        self.searches.by_id.insert(query.id, search);
        let settled = self.wanted.unwrap_or_default() + SETTLING;
        let mut hold = if self.is_settled() { Duration::ZERO } else { settled };
        if is_choice && self.coming().next().is_some() {
            // Given up sooner where nothing is found, and where they come.
            hold = self.now().max(settled) + FRIENDS;
        }
        self.flood(Input::Ask { query, hold });
    }

    /// Whether a search goes on for friends that are about to be asked. Where others have found nothing, it goes on to
    /// those further away as it would without them.
    pub(super) fn is_held_for_friends(&self, id: QueryId) -> bool {
        let Some(search) = self.searches.by_id.get(&id) else { return false };
        let found_lately = |at: Duration| self.now() < at + FRIENDS;
        search.what.is_by_name()
            && self.coming().next().is_some()
            && search.found.map_or_else(|| self.flood.is_awaited_by(id), found_lately)
    }

    pub(super) fn found(&mut self, from: NodeId, found: QueryHits) {
        let now = self.now();
        let Some(search) = self.searches.by_id.get_mut(&found.id) else { return };
        if !found.hits.is_empty() || !found.nodes.is_empty() {
            search.found.get_or_insert(now);
        }
        let direct = found.hits.iter().all(|hit| hit.providers.iter().all(|provider| provider.node == from));
        let lan = direct && self.lan.contains(&from);
        let full = self.flood.is_full(found.id, from);
        match &search.answers {
            // Full: whoever asked has more than it can take, and will not have heard all.
            Some(answers) => {
                let answer = Answer::Found { lan, hits: found.hits, nodes: found.nodes, full };
                search.whole &= answers.try_send(answer).is_ok();
            }
            None => self.learn(found.nodes),
        }
    }

    fn learn(&mut self, nodes: Vec<Seen>) {
        let mut new = false;
        for seen in nodes {
            new |= self.table.heard(seen.node, &seen.addrs, Source::Neighbour);
        }
        if new {
            self.table.discovered();
            self.advance();
        }
    }

    /// Tells those who look by words, which may mean several things, when all who are known have answered.
    pub(super) fn tell_known(&mut self) {
        let settled = !self.is_expecting();
        for (id, search) in &mut self.searches.by_id {
            let known = settled && search.whole && self.flood.is_answered(*id);
            let Some(answers) = search.answers.as_ref().filter(|_| search.what.is_by_name()) else { continue };
            // Full: whoever asked has more than it can take, and is told the next time.
            if known != search.known && answers.try_send(Answer::Known(known)).is_ok() {
                search.known = known;
            }
        }
    }

    /// Tells the same of friends that have not answered.
    pub(super) fn tell_silent(&mut self) {
        for id in self.searches.choices() {
            let silent = self.silent(id);
            let Some(search) = self.searches.by_id.get_mut(&id).filter(|search| search.silent != silent) else {
                continue;
            };
            let Some(answers) = &search.answers else { continue };
            if answers.try_send(Answer::Silent(silent.clone())).is_ok() {
                search.silent = silent;
            }
        }
    }

    pub(super) fn over(&mut self, id: QueryId, silent: &[NodeId]) {
        let Some(mut search) = self.searches.by_id.remove(&id) else { return };
        search.whole &= silent.is_empty();
        let friends = silent.iter().copied().filter(|node| self.friends.all.borrow().contains(*node));
        search.silent = SilentFriends { nodes: self.coming().chain(friends).collect(), awaited: false };
        if search.found.is_some() {
            search.waves.clear();
        }
        self.next_wave(search);
    }
}
