//! When names that a tracker let go of are announced to it again: as soon as it says that there is room for them, and more
//! and more seldom while that comes to nothing. Not responsible for which names these are: the tracker has taken what it
//! could, and is told all of them.

/// With room for so many it is worth while; with less, where less is missing. A tracker cuts as many at once.
const WORTH: u64 = 256;
/// After a try in vain so many renewals are let pass at most: five minutes.
const MOST: u32 = 16;

/// What is known of one tracker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Regain {
    /// How many names it does not hold.
    missing: u64,
    /// After the next try, so many renewals are let pass, unless there is much more room than `tried`.
    pause: u32,
    rest: u32,
    tried: u64,
}

impl Regain {
    /// An announcement was taken, after which it does not hold so many names.
    pub fn announced(&mut self, missing: u64) {
        if missing < self.missing {
            (self.pause, self.rest, self.tried) = (0, 0, 0);
        }
        self.missing = missing;
    }

    /// At a renewal it does not hold so many names, and has room for so many: whether all are announced again now.
    pub fn is_due(&mut self, missing: u64, room: u64) -> bool {
        self.missing = missing;
        if missing == 0 {
            *self = Self::default();
            return false;
        }
        if self.rest > 0 && room / 2 < self.tried {
            self.rest -= 1;
            return false;
        }
        let due = room >= missing.min(WORTH);
        if due {
            // Until it has helped.
            self.pause = (2 * self.pause + 1).min(MOST);
            (self.rest, self.tried) = (self.pause, room);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_is_told_again_when_there_is_room() {
        let mut regain = Regain::default();
        assert!(!regain.is_due(0, 500_000), "whole");
        assert!(!regain.is_due(1280, 255) && regain.is_due(1280, 256));
        regain.announced(1000);
        assert!(regain.is_due(1000, 256), "it has helped");
        regain.announced(0);
        assert_eq!(regain.missing, 0);
        assert!(!regain.is_due(0, 256));
        assert!(!regain.is_due(3, 2) && regain.is_due(3, 3), "few are missing");
    }

    #[test]
    fn tries_in_vain_become_seldom() {
        let mut regain = Regain::default();
        let tries: Vec<_> = (0..100)
            .filter(|_| {
                let due = regain.is_due(1280, 1280);
                regain.announced(1280);
                due
            })
            .collect();
        assert_eq!(tries, [0, 2, 6, 14, 30, 47, 64, 81, 98]);
        assert!(!regain.is_due(1280, 2559) && regain.is_due(1280, 2560), "many have gone");
    }
}
