//! What is asked in order to measure: the time of day and throughput.

use serde::{Deserialize, Serialize};

/// See [`crate::wire::Request::Clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {}

/// The time of day at the asked side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockNow {
    /// Milliseconds since 1970, UTC.
    pub unix_ms: u64,
}

/// See [`crate::wire::Request::Bench`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bench {
    /// How many bytes; at most 16 GiB.
    pub bytes: u64,
    /// The asked side sends; else it receives.
    pub download: bool,
    /// Through a file on the asked side; else from memory.
    pub file: bool,
}

/// What the asked side of a bench measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchEnd {
    /// Its processor time during the test, in microseconds.
    pub cpu_us: u64,
    /// Its path's MTU at the end, in bytes.
    pub mtu: u16,
    /// Packets that it sent on this connection during the test.
    pub sent: u64,
    /// How many of them were lost.
    pub lost: u64,
    /// The most memory that its process has held at once, in bytes; 0 when it does not know.
    #[serde(default)]
    pub memory: u64,
}
