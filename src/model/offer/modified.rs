//! When a content was last changed, as whoever offers it says: a claim, to be shown and nothing else.
//! Invariant: a date that people can read, so of a year of four digits.

use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer, Serialize};

/// Whole seconds since 1970-01-01 UTC, from 1970-01-02 (before that stands what has no date) to the end of 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Modified(NonZeroU64);

impl Modified {
    const FIRST: u64 = 86_400;
    const LAST: u64 = 253_402_300_799;

    /// None where the seconds are no such date.
    #[must_use]
    pub fn new(seconds: u64) -> Option<Self> {
        NonZeroU64::new(seconds).filter(|_| (Self::FIRST..=Self::LAST).contains(&seconds)).map(Self)
    }

    /// Seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0.get()
    }

    /// What is known of one content of which two dates are told: a copy is often younger than what it is a copy of.
    #[must_use]
    pub fn earlier(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).min()
    }

    /// For `#[serde(deserialize_with = "…")]`: what others claim; none where that is no date.
    ///
    /// # Errors
    /// When it is neither nothing nor a number of seconds.
    pub fn claimed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Self>, D::Error> {
        Ok(Option::deserialize(from)?.and_then(Self::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_date_is_none_and_the_earlier_of_two_counts() {
        for none in [0, 1, 86_399, 253_402_300_800, u64::MAX] {
            assert_eq!(Modified::new(none), None, "{none}");
        }
        let [one, two] = [86_400, 253_402_300_799].map(Modified::new);
        assert!(one.is_some() && Modified::earlier(two, one) == one && Modified::earlier(two, None) == two);
        assert_eq!(Modified::earlier(None, None), None);
    }
}
