//! The window of CUBIC (RFC 9438), for paths whose queue others keep full: what most of them use.
//! Invariant: one reduction for each round trip with loss. Whether it counts is decided above.

use std::time::Duration;

/// The window is left at this many tenths after a loss (RFC 9438, section 4.6).
const BETA: u64 = 7;
/// No epoch is longer, in milliseconds: past it the cube has outgrown every window.
const MAX_EPOCH: u64 = 60_000;

/// A window in bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Cubic {
    window: u64,
    /// Where the last loss was.
    plateau: u64,
    /// When growth began, and after how many milliseconds it reaches the plateau.
    epoch: Option<(Duration, u64)>,
    /// What a flow of Reno would have by now (section 4.3).
    friendly: u64,
    /// Acknowledged bytes that have not yet become growth of `friendly`, times 9.
    credit: u64,
    reduced: Duration,
}

impl Cubic {
    /// Begins with a window; losses of packets sent before now do not count.
    pub(super) fn new(window: u64, now: Duration) -> Self {
        Self { window, plateau: window, reduced: now, ..Self::default() }
    }

    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    /// Bytes were acknowledged while the window was in use.
    pub(super) fn acked(&mut self, now: Duration, rtt: Duration, bytes: u64, mtu: u64) {
        let (since, reached) = *self.epoch.get_or_insert_with(|| {
            self.friendly = self.window;
            self.credit = 0;
            (now, reach(self.plateau.saturating_sub(self.window), mtu))
        });
        // Reno with this reduction is fair when it grows by 9/17 of a packet each round trip, past the plateau by 1.
        self.credit += bytes * if self.friendly < self.plateau { 9 } else { 17 };
        let grown = self.credit / (17 * self.friendly.max(1));
        self.credit -= grown * 17 * self.friendly.max(1);
        self.friendly += grown * mtu;
        let at = millis(now.saturating_sub(since) + rtt).min(MAX_EPOCH);
        let target = curve(self.plateau, at, reached, mtu).clamp(self.window, self.window + self.window / 2);
        self.window +=
            u64::try_from(u128::from(target - self.window) * u128::from(bytes) / u128::from(self.window.max(1)))
                .unwrap_or(0);
        self.window = self.window.max(self.friendly);
    }

    /// A packet sent at `sent` was lost.
    pub(super) fn lost(&mut self, now: Duration, sent: Duration, least: u64) {
        if sent <= self.reduced {
            return;
        }
        self.reduced = now;
        // Fast convergence (section 4.7): a flow that has less than before makes room.
        self.plateau = if self.window < self.plateau { self.window * (10 + BETA) / 20 } else { self.window };
        self.window = (self.window * BETA / 10).max(least);
        self.epoch = None;
    }
}

/// `plateau + 0.4 packets/s³ × (at - reached)³`, in bytes.
fn curve(plateau: u64, at: u64, reached: u64, mtu: u64) -> u64 {
    let away = u128::from(at.abs_diff(reached));
    let bytes = u64::try_from(4 * u128::from(mtu) * away * away * away / 10_000_000_000).unwrap_or(u64::MAX);
    if at >= reached { plateau.saturating_add(bytes) } else { plateau.saturating_sub(bytes) }
}

/// After how many milliseconds the curve has risen by this many bytes.
fn reach(bytes: u64, mtu: u64) -> u64 {
    let cube = u128::from(bytes) * 10_000_000_000 / (4 * u128::from(mtu.max(1)));
    let (mut low, mut high) = (0, MAX_EPOCH);
    while low < high {
        let middle = (low + high).div_ceil(2);
        let side = u128::from(middle);
        if side * side * side <= cube { low = middle } else { high = middle - 1 }
    }
    low
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
