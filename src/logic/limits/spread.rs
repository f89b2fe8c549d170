//! Which of the acceptable units a loaded provider sends: those that it has sent least, so that a crowd soon
//! holds every unit once and can feed itself. Not responsible for who may ask.

use std::collections::HashMap;

use crate::model::ContentId;

/// Contents whose counts are kept; the one asked for longest ago is forgotten first.
const CONTENTS: usize = 64;

/// How often each unit was sent.
#[derive(Debug, Default)]
pub struct Spread {
    contents: HashMap<ContentId, Counts>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Counts {
    used: u64,
    sent: HashMap<u32, u32>,
}

impl Spread {
    /// Chooses the least sent of the acceptable units and counts it as sent; ties go to the first.
    pub fn choose(&mut self, id: ContentId, acceptable: impl IntoIterator<Item = u32>) -> Option<u32> {
        let counts = self.counts(id);
        let unit = acceptable.into_iter().min_by_key(|unit| counts.sent.get(unit).copied().unwrap_or(0))?;
        *counts.sent.entry(unit).or_default() += 1;
        Some(unit)
    }

    /// Counts units that were sent without a choice.
    pub fn sent(&mut self, id: ContentId, units: impl IntoIterator<Item = u32>) {
        let counts = self.counts(id);
        for unit in units {
            *counts.sent.entry(unit).or_default() += 1;
        }
    }

    /// Forgets what was sent of a content: those who have it are no longer there to pass it on.
    pub fn forget(&mut self, id: ContentId) {
        self.contents.remove(&id);
    }

    fn counts(&mut self, id: ContentId) -> &mut Counts {
        self.clock += 1;
        let oldest = self.contents.iter().min_by_key(|(_, c)| c.used).map(|(id, _)| *id);
        if self.contents.len() >= CONTENTS
            && !self.contents.contains_key(&id)
            && let Some(oldest) = oldest
        {
            self.contents.remove(&oldest);
        }
        let counts = self.contents.entry(id).or_default();
        counts.used = self.clock;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_sent_unit_goes_first() {
        let mut spread = Spread::default();
        let id = ContentId::of(b"x");
        let drawn: Vec<_> = (0..4).map(|_| spread.choose(id, [7, 8, 9])).collect();
        assert_eq!(drawn, [Some(7), Some(8), Some(9), Some(7)]);
        spread.sent(id, [8, 8]);
        assert_eq!(spread.choose(id, [8, 9]), Some(9));
        assert_eq!(spread.choose(id, []), None);
    }

    #[test]
    fn only_so_many_contents_are_remembered() {
        let mut spread = Spread::default();
        for n in 0..200_u8 {
            spread.choose(ContentId::of(&[n]), [0]);
        }
        assert_eq!(spread.contents.len(), CONTENTS);
    }
}
