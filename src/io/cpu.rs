//! How much processor time this process has used.

use std::time::Duration;

/// User and system time of all threads so far; zero where the platform does not tell.
#[must_use]
pub fn process_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
    }
    #[cfg(not(unix))]
    Duration::ZERO
}
