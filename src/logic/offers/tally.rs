//! How many hits there are beyond those that are shown, as far as those who answered have told.
//! Invariant: what is not called a lower bound is exact for all who were asked.

use std::cmp::max;

use serde::{Deserialize, Serialize};

/// What one who answered has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Hits that it gave.
    pub given: u64,
    /// How many more it has; none when it gave as many as an answer may hold, and may have more.
    pub more: Option<u64>,
}

/// Hits beyond those that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Beyond {
    /// How many more there are.
    pub more: u64,
    /// There may be even more.
    pub at_least: bool,
}

/// `merged` different hits were given, `kept` of them are shown; `whole` when everyone who was asked has answered.
pub fn beyond(told: &[Told], merged: u64, kept: u64, whole: bool) -> Beyond {
    let with_hits = told.iter().filter(|told| told.given > 0 || told.more != Some(0));
    // Two that both have more may have the same, or not: the bigger one bounds from below what they have together.
    let (mut most, mut complete, mut givers) = (merged, true, 0);
    for told in with_hits {
        most = max(most, told.given.saturating_add(told.more.unwrap_or(0)));
        complete &= told.more == Some(0);
        givers += 1;
    }
    let known = told.iter().all(|told| told.more.is_some());
    let exact = whole && (complete || (givers == 1 && known));
    Beyond { more: most.saturating_sub(kept), at_least: !exact }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn told(given: u64, more: Option<u64>) -> Told {
        Told { given, more }
    }

    #[track_caller]
    fn check(all: &[Told], (merged, kept, whole): (u64, u64, bool), more: u64, at_least: bool) {
        assert_eq!(beyond(all, merged, kept, whole), Beyond { more, at_least }, "{all:?}");
    }

    #[test]
    fn one_that_tells_how_many_it_has_is_exact() {
        check(&[told(50, Some(250))], (50, 50, true), 250, false);
        check(&[told(50, Some(250)), told(0, Some(0))], (50, 50, true), 250, false);
    }

    #[test]
    fn answers_that_are_all_there_are_exact_together() {
        check(&[told(40, Some(0)), told(30, Some(0))], (60, 50, true), 10, false);
        check(&[], (0, 0, true), 0, false);
    }

    #[test]
    fn a_full_answer_may_hide_others() {
        check(&[told(100, None)], (100, 50, true), 50, true);
        check(&[told(100, None), told(50, Some(250))], (120, 50, true), 250, true);
    }

    #[test]
    fn two_that_have_more_may_have_the_same_or_not() {
        check(&[told(50, Some(10)), told(50, Some(250))], (80, 50, true), 250, true);
    }

    #[test]
    fn who_did_not_answer_may_have_more() {
        check(&[told(3, Some(0))], (3, 3, false), 0, true);
    }
}
