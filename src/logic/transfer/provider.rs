//! One provider as a transfer sees it: what it has, how fast it is, what it was asked for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::logic::picker::RequestId;
use crate::logic::transfer::speed::Speed;
use crate::model::Bitfield;

use super::denial::{Denials, Part};
use super::event::Why;

/// No byte for so long: its units are also asked elsewhere.
pub(super) const STALLED: Duration = Duration::from_secs(2);
/// No byte for so long: it is left. Next to nothing for so long: it is left where others can do the same.
pub(super) const SILENT: Duration = Duration::from_secs(10);
/// Less within [`STALLED`] is next to nothing: 1 KiB a second, half of what each of sixteen gives over a line of 256 kbit/s.
pub(super) const STEP: u64 = 2 << 10;
/// Failures in a row after which it is left.
pub(super) const STRIKES: u32 = 3;
/// The first wait after a failure; it grows with each.
pub(super) const PAUSE: Duration = Duration::from_millis(300);

/// Which units a provider has.
#[derive(Debug, Clone)]
pub(super) enum Holding {
    All,
    Part(Bitfield),
}

/// A connected provider.
#[derive(Debug, Clone)]
pub(super) struct Provider {
    pub(super) rtt: Duration,
    pub(super) network: IpAddr,
    /// It has brought something that was proven.
    pub(super) gave: bool,
    /// It has given nothing at all so far, and that is late.
    pub(super) late: bool,
    /// None until its first Have event.
    pub(super) holding: Option<Holding>,
    /// Units that its Have events claimed, repetitions included.
    pub(super) claimed: u64,
    /// How many nodes fetch from it, this one included.
    pub(super) fetching: u32,
    pub(super) speed: Speed,
    pub(super) requests: BTreeSet<RequestId>,
    pub(super) last_byte: Duration,
    /// When it had last given a [`STEP`] of what it was asked for, and what it has given since.
    pub(super) step: (Duration, u64),
    /// For how long earlier requests had waited for one.
    pub(super) slow_before: Duration,
    /// Silence of earlier requests since its last byte: that they were given up does not make it any better.
    pub(super) quiet_before: Duration,
    pub(super) retry_at: Duration,
    pub(super) strikes: u32,
    /// Why it is left alone until `retry_at`.
    pub(super) why_paused: Option<Why>,
    /// What it has not got as it was, against its Have events.
    pub(super) denials: Denials,
    /// Files whose chunk list it has not got.
    pub(super) no_list: BTreeSet<usize>,
    /// The picker's version at which nothing was found for it.
    pub(super) starved: Option<u64>,
}

impl Provider {
    pub(super) fn new(rtt: Duration, network: IpAddr, now: Duration) -> Self {
        Self {
            rtt,
            network,
            gave: false,
            late: false,
            holding: None,
            claimed: 0,
            fetching: 0,
            speed: Speed::default(),
            requests: BTreeSet::new(),
            last_byte: now,
            step: (now, 0),
            slow_before: Duration::ZERO,
            quiet_before: Duration::ZERO,
            retry_at: Duration::ZERO,
            strikes: 0,
            why_paused: None,
            denials: Denials::default(),
            no_list: BTreeSet::new(),
            starved: None,
        }
    }

    /// Whether it may be asked now.
    pub(super) fn is_ready(&self, now: Duration) -> bool {
        self.holding.is_some() && self.retry_at <= now
    }

    /// Why nothing comes from it now, although it is connected. What it said holds while it is asked anew, until it is silent.
    pub(super) fn pausing(&self, now: Duration) -> Option<Why> {
        let stalls = if self.quiet(now) >= STALLED { Why::Silent } else { Why::Crawling };
        let holds = self.retry_at > now || self.requests.is_empty() || now.saturating_sub(self.last_byte) < STALLED;
        self.why_paused.filter(|_| holds).or_else(|| self.is_stalled(now).then_some(stalls))
    }

    pub(super) fn is_partial(&self) -> bool {
        matches!(self.holding, Some(Holding::Part(_)))
    }

    /// Whether it says that it has the unit; its file's health is for the caller to check.
    pub(super) fn has(&self, unit: u32) -> bool {
        let there = match &self.holding {
            None => false,
            Some(Holding::All) => true,
            Some(Holding::Part(field)) => field.has(unit),
        };
        there && !self.denials.blocks(Part::Unit(unit))
    }

    /// A complete provider from which others fetch too: it may choose which units to send.
    pub(super) const fn is_crowded(&self) -> bool {
        matches!(self.holding, Some(Holding::All)) && self.fetching >= 2
    }

    /// How long nothing has come of what was asked for; what it has is asked for first.
    pub(super) fn quiet(&self, now: Duration) -> Duration {
        if self.requests.is_empty() && self.holding.is_some() {
            return Duration::ZERO;
        }
        self.quiet_before + now.saturating_sub(self.last_byte)
    }

    /// For how long what was asked for has come so slowly that it might as well not.
    pub(super) fn slow(&self, now: Duration) -> Duration {
        if self.requests.is_empty() {
            return Duration::ZERO;
        }
        self.slow_before + now.saturating_sub(self.step.0)
    }

    /// Nothing comes, or next to nothing.
    pub(super) fn is_stalled(&self, now: Duration) -> bool {
        self.quiet(now) >= STALLED || self.slow(now) >= STALLED
    }

    /// It is asked for something, after it was asked for nothing.
    pub(super) fn begin(&mut self, now: Duration) {
        self.last_byte = now;
        self.step = (now, 0);
        self.speed.start(now);
    }

    /// Bytes have come, or something was proven.
    pub(super) fn gave(&mut self, bytes: u64, proven: bool, now: Duration) {
        (self.last_byte, self.quiet_before, self.late) = (now, Duration::ZERO, false);
        self.step.1 += bytes;
        if proven || self.step.1 >= STEP {
            (self.step, self.slow_before) = ((now, 0), Duration::ZERO);
        }
        if bytes > 0 {
            self.speed.add(bytes, now);
        }
    }

    /// For so long nobody took what it sends: that is no silence of its own.
    pub(super) fn held(&mut self, time: Duration, now: Duration) {
        self.last_byte = (self.last_byte + time).min(now).max(self.last_byte);
        self.step.0 = (self.step.0 + time).min(now).max(self.step.0);
    }

    /// It is asked for nothing any more. That requests were given up does not make it any better.
    pub(super) fn stop(&mut self, now: Duration) {
        self.quiet_before += now.saturating_sub(self.last_byte);
        self.slow_before += now.saturating_sub(self.step.0);
        self.speed.stop(now);
    }

    /// A failure without a lie: waits a little, longer each time. Says whether it was one too many.
    pub(super) fn strike(&mut self, now: Duration) -> bool {
        self.strikes += 1;
        self.retry_at = self.retry_at.max(now + PAUSE * self.strikes);
        self.why_paused = Some(Why::Failing);
        self.strikes >= STRIKES
    }
}
