//! What is looked for here: one TTL after the other while nothing comes, and where the answers go.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;

use super::State;
use super::settling::SETTLING;
use crate::logic::flood::Input;
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
    },
    /// Whether everyone who is known by now has answered, where that has changed: others may still be heard of.
    Known(bool),
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
    found: bool,
    whole: bool,
    /// Whoever asked was told that all who are known have answered.
    known: bool,
    /// None: nodes for the own table.
    answers: Option<mpsc::Sender<Answer>>,
}

impl Searches {
    /// Searches that nobody waits for.
    pub(super) fn prune(&mut self) -> Vec<QueryId> {
        let gone = |search: &Search| search.answers.as_ref().is_some_and(mpsc::Sender::is_closed);
        self.by_id.extract_if(|_, search| gone(search)).map(|(id, _)| id).collect()
    }

    /// Searches that have found something.
    pub(super) fn with_hits(&self) -> Vec<QueryId> {
        self.by_id.iter().filter(|(_, search)| search.found).map(|(id, _)| *id).collect()
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
        self.next_wave(Search { what, waves, found: false, whole: true, known: false, answers: Some(answers) });
    }

    /// Asks the neighbours for theirs.
    pub(super) fn discover(&mut self) {
        let waves = [DISCOVERY].into();
        self.next_wave(Search { what: Sought::Nodes, waves, found: false, whole: true, known: false, answers: None });
    }

    fn next_wave(&mut self, mut search: Search) {
        let Some(ttl) = search.waves.pop_front() else {
            if let Some(answers) = search.answers {
                // Whoever asked may have gone.
                let _ = answers.try_send(Answer::Over { whole: search.whole });
            }
            return;
        };
        let query = FloodQuery { id: QueryId::from_bytes(rand::random()), ttl, what: search.what.clone() };
        self.searches.by_id.insert(query.id, search);
        let settled = self.wanted.unwrap_or_default() + SETTLING;
        let hold = if self.is_settled() { Duration::ZERO } else { settled };
        self.flood(Input::Ask { query, hold });
    }

    pub(super) fn found(&mut self, from: NodeId, found: QueryHits) {
        let Some(search) = self.searches.by_id.get_mut(&found.id) else { return };
        search.found |= !found.hits.is_empty() || !found.nodes.is_empty();
        let direct = found.hits.iter().all(|hit| hit.providers.iter().all(|provider| provider.node == from));
        let lan = direct && self.lan.contains(&from);
        match &search.answers {
            // Full: whoever asked has more than it can take.
            Some(answers) => drop(answers.try_send(Answer::Found { lan, hits: found.hits, nodes: found.nodes })),
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
            let (Sought::Words(_), Some(answers)) = (&search.what, &search.answers) else { continue };
            // Full: whoever asked has more than it can take, and is told the next time.
            if known != search.known && answers.try_send(Answer::Known(known)).is_ok() {
                search.known = known;
            }
        }
    }

    pub(super) fn over(&mut self, id: QueryId, whole: bool) {
        let Some(mut search) = self.searches.by_id.remove(&id) else { return };
        search.whole &= whole;
        if search.found {
            search.waves.clear();
        }
        self.next_wave(search);
    }
}
