//! What a provider said it has not got, or not as it was: asked for again after a while, and longer each time.
//! Nothing of it is for ever: a file that was only touched is there again once its provider has hashed it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::Fault;

/// How long it is not asked for again: at first, and at most. A touched file of some megabytes is hashed within the
/// first ones.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A file, by its index in the unit map.
    File(usize),
    /// A unit.
    Unit(u32),
}

#[derive(Debug, Clone, Copy)]
struct Denial {
    fault: Fault,
    times: u32,
    /// None: may be asked for again now.
    until: Option<Duration>,
}

/// All that one provider denied and has not given since.
#[derive(Debug, Clone, Default)]
pub(super) struct Denials(BTreeMap<Part, Denial>);

impl Denials {
    /// It was denied; several requests for the same that were under way at once count as one.
    pub(super) fn deny(&mut self, part: Part, fault: Fault, now: Duration) {
        let denial = self.0.entry(part).or_insert(Denial { fault, times: 0, until: None });
        if denial.until.is_some() {
            return;
        }
        denial.until = Some(now + AGAIN.1.min(AGAIN.0 * 2_u32.pow(denial.times.min(10))));
        denial.times += 1;
    }

    /// Those whose time is over may be asked for again.
    pub(super) fn expire(&mut self, now: Duration) {
        for denial in self.0.values_mut() {
            denial.until = denial.until.filter(|until| *until > now);
        }
    }

    /// Whether it is not to be asked for now.
    pub(super) fn blocks(&self, part: Part) -> bool {
        self.0.get(&part).is_some_and(|denial| denial.until.is_some())
    }

    /// What was wrong with it when it was last denied, if it has not come since.
    pub(super) fn fault(&self, unit: u32, file: usize) -> Option<Fault> {
        let denial = self.0.get(&Part::File(file)).or_else(|| self.0.get(&Part::Unit(unit)));
        denial.map(|denial| denial.fault)
    }

    /// It was given after all.
    pub(super) fn forgive(&mut self, unit: u32, file: usize) {
        if !self.0.is_empty() {
            self.0.remove(&Part::File(file));
            self.0.remove(&Part::Unit(unit));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
