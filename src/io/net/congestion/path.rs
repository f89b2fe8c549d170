//! How many bytes one connection may have in flight: a model of the path (the rate that it delivered, its shortest
//! round trip) and, where others keep the queue full, CUBIC.
//!
//! Invariant: the window is a function of the phase; loss alone never makes it smaller than what the path holds by
//! its measured rate, unless the queue is held by others. Pacing and the detection of loss are quinn's.
//!
//! Alone on a path the window is a little more than rate × shortest round trip, so that the link never idles and its
//! queue stays short; random loss does not matter. Once in a while more is tried (`Raise`), and then less (`Drain`):
//! when the round trips stay long while this flow gives way, the queue is somebody else's, and the flow competes as
//! others do until a later `Drain` finds the queue empty.

use std::time::Duration;

use super::cubic::Cubic;
use super::delivery::{Deliveries, Sample};

/// RFC 9002, section 7.2.
pub(super) const INITIAL_WINDOW: u64 = 14_720;
/// Packets that may always be in flight.
const LEAST_PACKETS: u64 = 4;
/// What hosts add to a round trip without any queue: late timers, packets handed over in batches.
const HOST: Duration = Duration::from_millis(2);
/// The same on paths faster than [`FAST`] and shorter than [`NEAR`]. Pacing goes by timers of a millisecond and at most
/// 256 packets: with less in flight than a few of them such paths idle between two (docs/performance.md).
const FAST_HOST: Duration = Duration::from_millis(8);
/// Bytes a second: more than Gigabit Ethernet carries. Below, the longer queue only costs packets.
const FAST: u64 = 125_000_000;
/// Shorter round trips are those of hosts on one network.
const NEAR: Duration = Duration::from_millis(1);
/// Percent of rate × round trip: on the whole, added to try for more, and to let the queue run empty.
const CRUISE: u64 = 110;
const RAISE: u64 = 25;
const DRAIN: u64 = 75;
/// A phase of cruising lasts at least this long and this many round trips.
const CYCLE: Duration = Duration::from_secs(1);
const CYCLE_ROUNDS: u32 = 10;
/// The same while competing: giving way costs more there.
const CROWDED_CYCLE: Duration = Duration::from_secs(4);
/// The shortest round trip is forgotten after one to two of these.
const RTT_AGE: Duration = Duration::from_secs(10);
/// Lost in a round trip, in thousandths: above, the margin shrinks; below the second, it grows again.
const LOSSY: u64 = 5;
const CLEAN: u64 = 2;
/// The same for the end of trying more: on the whole, and with a queue.
const OVERRUN: (u64, u64) = (250, 50);
/// Trying in vain makes the cycles up to so many times longer.
const PATIENCE: u32 = 4;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Doubling each round trip. The rate to beat by a quarter, and in how many round trips it was not.
    Start { best: u64, stale: u32 },
    /// Less than the path holds, until it shows its round trip without our queue. Since when it is so.
    Drain { low: Option<Duration>, shortest: Duration },
    #[default]
    Cruise,
    /// More than the path holds, for as long as the rate grows.
    Raise { best: u64, rounds: u32 },
}

/// The round trip under way.
#[derive(Debug, Clone, Default)]
struct Round {
    /// It ends when something sent after this many delivered bytes is acknowledged.
    until: u64,
    began: u64,
    lost: u64,
    rate: u64,
    shortest: Option<Duration>,
    limited: bool,
}

/// A maximum or minimum over this period and the last.
#[derive(Debug, Clone, Copy, Default)]
struct Two<T> {
    now: Option<T>,
    before: Option<T>,
}

impl<T> Two<T> {
    fn turn(&mut self) {
        if self.now.is_some() {
            self.before = self.now.take();
        }
    }
}

/// One path of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    mtu: u64,
    window: u64,
    in_flight: u64,
    deliveries: Deliveries,
    round: Round,
    phase: Phase,
    since: Duration,
    rate: Two<u64>,
    latest: u64,
    rtt: Two<Duration>,
    rtt_since: Duration,
    last_rtt: Duration,
    /// How much of the margin is in use, percent: loss makes it smaller.
    margin: u64,
    long_rounds: u32,
    patience: u32,
    crowded: Option<Cubic>,
    chance: u64,
}

impl Path {
    /// A path of which nothing is known; `chance` spreads the cycles of many connections.
    pub(super) fn new(mtu: u16, chance: u64) -> Self {
        let mtu = u64::from(mtu);
        Self {
            mtu,
            window: INITIAL_WINDOW.clamp(2 * mtu, 10 * mtu),
            phase: Phase::Start { best: 0, stale: 0 },
            margin: 100,
            patience: 1,
            chance: chance | 1,
            ..Self::default()
        }
    }

    /// Bytes that may be in flight.
    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    /// Packets of so many bytes left.
    pub(super) fn sent(&mut self, now: Duration, bytes: u64) {
        self.deliveries.sent(now, self.in_flight == 0);
        self.in_flight += bytes;
    }

    /// A packet was acknowledged; [`Path::acks_end`] follows.
    pub(super) fn acked(&mut self, now: Duration, sent: Duration, bytes: u64, app_limited: bool) {
        self.deliveries.acked(sent, bytes);
        if app_limited {
            return;
        }
        let (rtt, mtu) = (self.last_rtt, self.mtu);
        if let Some(cubic) = &mut self.crowded {
            cubic.acked(now, rtt, bytes, mtu);
        } else if matches!(self.phase, Phase::Start { .. }) {
            // Twice what comes back, and no more: the rate that is known is at most one round trip old.
            let enough = self.held(200) + INITIAL_WINDOW;
            self.window = (self.window + bytes).min(enough.max(self.window));
        }
    }

    /// The acknowledgements that came together are complete.
    pub(super) fn acks_end(&mut self, now: Duration, in_flight: u64, app_limited: bool) {
        self.in_flight = in_flight;
        self.round.limited |= app_limited;
        let Some(sample) = self.deliveries.end(now, in_flight, app_limited) else { return };
        self.learn(now, &sample);
        if let Phase::Drain { low, shortest } = &mut self.phase {
            if low.is_none() && in_flight <= self.window {
                *low = Some(now);
            }
            if low.is_some_and(|low| sample.sent >= low) {
                *shortest = sample.rtt.min(*shortest);
            }
        }
        if sample.delivered_before >= self.round.until {
            self.round_ends(now);
        }
        self.step(now, &sample);
        self.set_window();
    }

    /// Packets were lost, the last of them sent at `sent`; no bytes when the network said so instead (ECN).
    pub(super) fn lost(&mut self, now: Duration, sent: Duration, bytes: u64, persistent: bool) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        // A mark counts as much as the loss that makes the margin smaller.
        self.round.lost += if bytes == 0 { self.window * LOSSY / 1000 } else { bytes };
        let least = self.least();
        if let Some(cubic) = &mut self.crowded {
            cubic.lost(now, sent, least);
        }
        if persistent {
            self.rate = Two::default();
            self.latest = 0;
            self.crowded = None;
            self.window = least;
            self.enter(Phase::Start { best: 0, stale: 0 }, now);
        }
    }

    /// Packets may be as long as this.
    pub(super) fn resize(&mut self, mtu: u16) {
        self.mtu = u64::from(mtu);
        self.window = self.window.max(self.least());
    }

    fn learn(&mut self, now: Duration, sample: &Sample) {
        self.last_rtt = sample.rtt;
        self.rtt.now = Some(self.rtt.now.map_or(sample.rtt, |known| known.min(sample.rtt)));
        if now.saturating_sub(self.rtt_since) > RTT_AGE {
            self.rtt.turn();
            self.rtt_since = now;
        }
        self.round.shortest = Some(self.round.shortest.map_or(sample.rtt, |known| known.min(sample.rtt)));
        // Shorter than any round trip: a burst of late acknowledgements, not a rate.
        if sample.rtt.is_zero() {
            return;
        }
        self.round.rate = self.round.rate.max(sample.rate);
        if !sample.limited || sample.rate > self.rate() {
            self.rate.now = self.rate.now.max(Some(sample.rate));
        }
    }

    fn round_ends(&mut self, now: Duration) {
        let delivered = self.deliveries.delivered;
        let fresh = Round { until: delivered, began: delivered, ..Round::default() };
        let round = std::mem::replace(&mut self.round, fresh);
        self.latest = round.rate;
        let lost = round.lost * 1000 / (round.lost + delivered - round.began).max(1);
        if lost > LOSSY {
            self.margin = self.margin * 7 / 10;
        } else if lost < CLEAN {
            self.margin = (self.margin + 5).min(100);
        }
        let long = round.shortest.is_some_and(|rtt| rtt > self.intended() * 5 / 4);
        self.long_rounds = if long { self.long_rounds + 1 } else { 0 };
        let overrun = round.lost > 8 * self.mtu && (lost > OVERRUN.0 || (lost > OVERRUN.1 && long));
        match &mut self.phase {
            Phase::Start { best, stale } if !round.limited => {
                if round.rate >= *best + *best / 4 {
                    *best = round.rate;
                    *stale = 0;
                } else {
                    *stale += 1;
                }
                if overrun || *stale >= 3 || (*stale > 0 && long) {
                    self.drain(now);
                }
            }
            Phase::Raise { best, rounds } => {
                *rounds += 1;
                let grows = round.rate > *best + *best / 20;
                *best = round.rate.max(*best);
                if *rounds >= 2 && (!grows || overrun) {
                    let vain = lost > LOSSY && !grows && *rounds == 2;
                    self.patience = if vain { (self.patience * 2).min(PATIENCE) } else { 1 };
                    self.drain(now);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, now: Duration, sample: &Sample) {
        match self.phase {
            Phase::Cruise => {
                let cycle = if self.crowded.is_some() { CROWDED_CYCLE } else { CYCLE * self.patience };
                let cycle = cycle.max(self.shortest() * CYCLE_ROUNDS);
                // Up to a quarter longer, so that connections on one path do not give way together.
                let over = now >= self.since + cycle + cycle * u32::try_from(self.chance % 64).unwrap_or(0) / 256;
                if self.crowded.is_some() {
                    if over {
                        self.rate.turn();
                        self.drain(now);
                    }
                } else if self.long_rounds >= 2 {
                    // More waits than this flow means to cause: others came, or the path carries less than before.
                    self.rate.turn();
                    self.drain(now);
                } else if over {
                    self.rate.turn();
                    self.enter(Phase::Raise { best: self.latest, rounds: 0 }, now);
                }
            }
            Phase::Drain { low: Some(low), shortest } if sample.sent >= low + self.shortest() / 2 => {
                if shortest <= self.intended() {
                    self.crowded = None;
                } else if self.crowded.is_none() {
                    let window = bytes_in(self.rate(), shortest).max(self.least());
                    self.crowded = Some(Cubic::new(window, now));
                }
                self.enter(Phase::Cruise, now);
            }
            Phase::Drain { .. } | Phase::Raise { .. } | Phase::Start { .. } => {}
        }
    }

    fn drain(&mut self, now: Duration) {
        self.enter(Phase::Drain { low: None, shortest: Duration::MAX }, now);
    }

    fn enter(&mut self, phase: Phase, now: Duration) {
        let (rate, shortest, window) = (self.rate(), self.shortest(), self.window);
        let crowded = self.crowded.is_some();
        tracing::debug!(?phase, ?now, rate, ?shortest, window, crowded, "congestion control");
        self.phase = phase;
        self.since = now;
        self.long_rounds = 0;
        // xorshift64 (Marsaglia 2003).
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
    }

    fn set_window(&mut self) {
        let margin = |percent| percent * self.margin / 100;
        let slack = margin(bytes_in(self.rate(), self.host()) + 2 * self.mtu) + self.mtu;
        let window = match (self.phase, &self.crowded) {
            (Phase::Start { .. }, _) => return,
            (Phase::Drain { .. }, _) => self.held(DRAIN),
            (_, Some(cubic)) => cubic.window().max(bytes_in(self.latest, self.shortest())),
            (Phase::Cruise, None) => self.held(100 + margin(CRUISE - 100)) + slack,
            (Phase::Raise { .. }, None) => self.held(100 + margin(CRUISE - 100) + RAISE) + slack,
        };
        self.window = window.max(self.least());
    }

    /// Percent of what the path holds without a queue.
    fn held(&self, percent: u64) -> u64 {
        bytes_in(self.rate(), self.shortest()) * percent / 100
    }

    /// The longest round trip that this flow alone causes while it cruises.
    fn intended(&self) -> Duration {
        self.shortest() * u32::try_from(CRUISE).unwrap_or(100) / 100 + self.host()
    }

    /// What hosts add to a round trip on this path.
    fn host(&self) -> Duration {
        if self.rate() > FAST && self.shortest() < NEAR { FAST_HOST } else { HOST }
    }

    fn rate(&self) -> u64 {
        self.rate.now.max(self.rate.before).unwrap_or(0)
    }

    fn shortest(&self) -> Duration {
        self.rtt.now.into_iter().chain(self.rtt.before).min().unwrap_or_default()
    }

    const fn least(&self) -> u64 {
        LEAST_PACKETS * self.mtu
    }
}

/// Bytes that come in this time.
fn bytes_in(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
}
