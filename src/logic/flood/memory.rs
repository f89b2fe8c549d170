//! Which queries were handled lately. Invariant: bounded in size and time; the oldest is forgotten first.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::model::QueryId;

/// For how long a query is remembered: longer than any copy of it can be on its way.
const LASTING: Duration = Duration::from_secs(60);
/// How many are remembered at most: 24 neighbours at 64 a second, for 40 s. 2 MB.
const MOST: usize = 65_536;

/// The queries of the last minute.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ids: HashSet<QueryId>,
    order: VecDeque<(Duration, QueryId)>,
    /// Those of them that were answered with nothing because of who asked.
    withheld: HashSet<QueryId>,
}

impl Memory {
    /// Remembers a query; says whether it is new.
    pub(super) fn insert(&mut self, id: QueryId, now: Duration) -> bool {
        while self.order.front().is_some_and(|(since, _)| *since + LASTING <= now || self.order.len() >= MOST) {
            if let Some((_, old)) = self.order.pop_front() {
                self.ids.remove(&old);
                self.withheld.remove(&old);
            }
        }
        let new = self.ids.insert(id);
        if new {
            self.order.push_back((now, id));
        }
        new
    }

    /// Whoever asked was told nothing, and another who asks the same may be told.
    pub(super) fn withhold(&mut self, id: QueryId) {
        if self.ids.contains(&id) {
            self.withheld.insert(id);
        }
    }

    pub(super) fn is_withheld(&self, id: QueryId) -> bool {
        self.withheld.contains(&id)
    }

    pub(super) fn contains(&self, id: QueryId) -> bool {
        self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> QueryId {
        QueryId::from_bytes((n as u128).to_be_bytes())
    }

    #[test]
    fn a_query_is_new_once_a_minute() {
        let mut memory = Memory::default();
        assert!(memory.insert(id(1), Duration::ZERO) && !memory.insert(id(1), Duration::from_secs(59)));
        assert!(memory.insert(id(2), LASTING) && !memory.contains(id(1)) && memory.insert(id(1), LASTING));
        memory.withhold(id(2));
        memory.withhold(id(3));
        assert!(memory.is_withheld(id(2)) && !memory.is_withheld(id(3)), "what is not remembered");
        memory.insert(id(4), LASTING * 2);
        assert!(!memory.is_withheld(id(2)));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut memory = Memory::default();
        for n in 0..=MOST {
            assert!(memory.insert(id(n), Duration::from_millis(n as u64 / 1000)));
        }
        assert!(!memory.contains(id(0)) && memory.contains(id(1)));
        assert_eq!((memory.ids.len(), memory.order.len()), (MOST, MOST));
    }
}
