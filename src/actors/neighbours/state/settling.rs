//! Until when neighbours are expected, and with them answers: a search that has found something ends sooner than one that
//! has not, and neither before all who were heard of have been asked.

use std::time::Duration;

use super::State;
use crate::logic::flood::Input;
use crate::model::{NodeId, QueryId};

/// After its start a node expects neighbours this long at most; a search waits for them (design, section 9: 1 s).
pub(super) const SETTLING: Duration = Duration::from_secs(1);
/// The same where the LAN is listened to and nobody else is expected: everyone there has been asked three times by then, the
/// last time after 0.4 s, and answers at once (`io::net::lan::question`).
const LISTENING: Duration = Duration::from_millis(700);
/// After the first node was heard on the LAN, how long others may take that hear the same question: they answer 20 to
/// 120 ms after it (RFC 6762, section 6), so within 100 ms of each other, and a search that has found something waits no
/// longer for nodes that nobody has heard of.
const SPREAD: Duration = Duration::from_millis(150);
/// Nodes of the LAN that are known as such.
const HEARD: usize = 1000;

impl State {
    /// Neighbours are wanted from now on: when it may be decided that no more come.
    pub(super) fn will_settle(&mut self) {
        self.come_back(LISTENING);
        self.come_back(SETTLING);
    }

    /// A node was heard on the LAN.
    pub(super) fn heard_on_lan(&mut self, node: NodeId) {
        if self.lan.len() < HEARD {
            self.lan.insert(node);
        }
        if self.lan_heard.is_none() {
            self.lan_heard = Some(self.now());
            self.come_back(SPREAD);
        }
    }

    /// Whether no more neighbours are about to come.
    pub(super) fn is_settled(&self) -> bool {
        self.is_quiet_for(|passed, _| passed >= LISTENING)
    }

    /// Whether everyone who was heard of is a neighbour or has failed, and who was asked at the same time has had time to
    /// be heard: enough for a search that has found something, while one that has not goes on listening.
    fn is_quiet(&self) -> bool {
        self.is_quiet_for(|passed, heard| passed >= LISTENING || heard.is_some_and(|since| since >= SPREAD))
    }

    /// `listened` is told how long neighbours have been wanted, and how long ago the first was heard on the LAN.
    fn is_quiet_for(&self, listened: impl FnOnce(Duration, Option<Duration>) -> bool) -> bool {
        let Some(wanted) = self.wanted else { return false };
        let passed = self.now().saturating_sub(wanted);
        let heard = self.lan_heard.map(|at| self.now().saturating_sub(at));
        let listening = self.dependencies.lan.is_some() && !listened(passed, heard);
        passed >= SETTLING || !(self.is_expecting() || listening)
    }

    /// Whether somebody who was heard of is neither a neighbour yet nor has failed.
    pub(super) fn is_expecting(&self) -> bool {
        !self.expected.is_empty() || self.table.dialling() > 0 || !self.friends.sought
    }

    pub(in crate::actors::neighbours) fn settle(&mut self) {
        if self.is_settled() {
            self.release();
            self.waiting.drain(..).for_each(|reply| drop(reply.send(())));
            self.sought.end(self.now());
        } else if self.is_quiet() {
            let found = self.searches.with_hits();
            self.release_of(found);
        }
        self.tell_silent();
        self.tell_known();
    }

    fn release(&mut self) {
        if self.coming().next().is_none() {
            return self.flood(Input::Settled);
        }
        self.release_of(self.searches.all());
    }

    fn release_of(&mut self, searches: Vec<QueryId>) {
        for id in searches {
            if !self.is_held_for_friends(id) {
                self.flood(Input::Release(id));
            }
        }
    }
}
