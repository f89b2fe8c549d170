//! How long to wait before a tracker that could not be reached is tried again (design, section 3): full jitter
//! below a ceiling that doubles from 0.5 s to 5 s, and is 30 s once a minute has passed without success.

use std::time::Duration;

use rand::Rng;

const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(30);
const LATE: Duration = Duration::from_secs(60);

/// The state since the last success.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackOff {
    failing: Option<(Duration, Duration)>,
}

impl BackOff {
    /// After a failure: how long to wait.
    pub fn next(&mut self, now: Duration, rng: &mut impl Rng) -> Duration {
        let (since, ceiling) = self.failing.unwrap_or((now, FIRST));
        self.failing = Some((since, (ceiling * 2).min(MOST)));
        let ceiling = if now.saturating_sub(since) >= LATE { LATER } else { ceiling };
        rng.random_range(Duration::ZERO..=ceiling)
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.failing = None;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn ceilings_double_to_five_seconds_and_are_thirty_after_a_minute() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut longest = |at: u64, failures: usize| {
            let waits = (0..300).map(|_| {
                let mut back_off = BackOff::default();
                for _ in 0..failures {
                    back_off.next(Duration::ZERO, &mut rng);
                }
                back_off.next(Duration::from_secs(at), &mut rng)
            });
            waits.max().expect("some")
        };
        for (at, failures, ceiling) in [(0, 0, 500), (0, 1, 1000), (0, 9, 5000), (59, 9, 5000), (60, 9, 30_000)] {
            let longest = longest(at, failures).as_millis();
            assert!((ceiling * 4 / 5..=ceiling).contains(&longest), "{at} {failures}: {longest}");
        }
        let mut back_off = BackOff::default();
        for _ in 0..9 {
            back_off.next(Duration::ZERO, &mut rng);
        }
        back_off.reset();
        assert!(back_off.next(Duration::from_secs(99), &mut rng) <= FIRST);
    }
}
