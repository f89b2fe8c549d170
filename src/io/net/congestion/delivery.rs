//! Delivery rate and round trips out of acknowledgements (draft-cheng-iccrg-delivery-rate-estimation): how much was
//! delivered between the sending of a packet and its acknowledgement, over the longer of the two intervals.
//! Invariant: the records are in the order of sending, one for each moment at which packets left, and bounded.

use std::collections::VecDeque;
use std::time::Duration;

/// Records kept: more moments of sending than a window of 8 MiB in single packets has. A connection that only
/// acknowledges would add one each time.
const MAX_RECORDS: usize = 8192;

/// What was known when packets left.
#[derive(Debug, Clone)]
struct Record {
    at: Duration,
    delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
    limited: bool,
}

/// What a batch of acknowledgements tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// When the newest packet of the batch was sent.
    pub(super) sent: Duration,
    /// Bytes delivered in all when it was sent: the round trip that it ends began there.
    pub(super) delivered_before: u64,
    /// Its round trip, with what the peer waited before it answered.
    pub(super) rtt: Duration,
    /// Bytes a second.
    pub(super) rate: u64,
    /// There was less to send than the path would have carried.
    pub(super) limited: bool,
}

/// The bookkeeping of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Deliveries {
    /// Bytes acknowledged in all.
    pub(super) delivered: u64,
    delivered_at: Duration,
    first_sent: Duration,
    records: VecDeque<Record>,
    newest: Option<Duration>,
    limited_until: u64,
}

impl Deliveries {
    /// Packets leave now; `idle` when nothing was in flight.
    pub(super) fn sent(&mut self, now: Duration, idle: bool) {
        if idle {
            self.delivered_at = now;
            self.first_sent = now;
        }
        if self.records.back().is_some_and(|last| last.at >= now) {
            return;
        }
        if self.records.len() == MAX_RECORDS {
            self.records.pop_front();
        }
        self.records.push_back(Record {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            limited: self.delivered < self.limited_until,
        });
    }

    /// One packet was acknowledged.
    pub(super) fn acked(&mut self, sent: Duration, bytes: u64) {
        self.delivered += bytes;
        self.newest = self.newest.max(Some(sent));
    }

    /// The batch is complete; `None` when its packets were overtaken by acknowledged ones.
    pub(super) fn end(&mut self, now: Duration, in_flight: u64, app_limited: bool) -> Option<Sample> {
        let newest = self.newest.take();
        self.delivered_at = now;
        if app_limited {
            self.limited_until = self.delivered + in_flight.max(1);
        }
        let newest = newest?;
        while self.records.front().is_some_and(|record| record.at < newest) {
            self.records.pop_front();
        }
        let record = self.records.front().filter(|record| record.at == newest)?;
        self.first_sent = record.at;
        let acks = now.saturating_sub(record.delivered_at);
        let interval = acks.max(record.at.saturating_sub(record.first_sent));
        let bytes = u128::from(self.delivered - record.delivered);
        let rate = bytes * 1_000_000_000 / interval.as_nanos().max(1);
        Some(Sample {
            sent: record.at,
            delivered_before: record.delivered,
            rtt: now.saturating_sub(record.at),
            rate: u64::try_from(rate).unwrap_or(u64::MAX),
            limited: record.limited,
        })
    }
}
