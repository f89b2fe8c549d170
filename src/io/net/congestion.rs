//! Congestion control on networks: `path::Path` under quinn's trait.
//! Invariant: the clock is here and nowhere below. Pacing and the detection of loss are quinn's.

mod cubic;
mod delivery;
mod path;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

use path::Path;

/// Makes the controller of each path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Factory;

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Adapter { path: Path::new(current_mtu, rand::random()), born: now })
    }
}

#[derive(Debug, Clone)]
struct Adapter {
    path: Path,
    born: Instant,
}

impl Adapter {
    fn at(&self, time: Instant) -> Duration {
        time.saturating_duration_since(self.born)
    }
}

impl Controller for Adapter {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        self.path.sent(self.at(now), bytes);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, _rtt: &RttEstimator) {
        self.path.acked(self.at(now), self.at(sent), bytes, app_limited);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _largest: Option<u64>) {
        self.path.acks_end(self.at(now), in_flight, app_limited);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, persistent: bool, lost_bytes: u64) {
        self.path.lost(self.at(now), self.at(sent), lost_bytes, persistent);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.path.resize(new_mtu);
    }

    fn window(&self) -> u64 {
        self.path.window()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        path::INITIAL_WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
