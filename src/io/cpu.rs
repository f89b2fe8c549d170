//! Processor time and memory: how much this process has used, and who goes first.

use std::time::Duration;

/// Threads that move packets: one connection is fastest on one thread, and hashing, the disk and often the other end
/// want the rest of the machine (docs/performance.md).
pub fn network_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// User and system time of all threads so far; zero where the platform does not tell.
pub fn process_time() -> Duration {
    #[cfg(unix)]
    return clock(rustix::time::ClockId::ProcessCPUTime);
    #[cfg(not(unix))]
    Duration::ZERO
}

/// User and system time of the calling thread so far, however long it waited; zero where the platform does not tell.
pub fn thread_time() -> Duration {
    #[cfg(unix)]
    return clock(rustix::time::ClockId::ThreadCPUTime);
    #[cfg(not(unix))]
    Duration::ZERO
}

#[cfg(unix)]
fn clock(id: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(id);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

/// The most memory that the process has held at once, in bytes; zero where the platform does not tell.
pub fn peak_memory() -> u64 {
    told_of_memory("VmHWM:")
}

/// The memory that the process holds now, in bytes; zero where the platform does not tell.
pub fn memory() -> u64 {
    told_of_memory("VmRSS:")
}

#[cfg(target_os = "linux")]
fn told_of_memory(key: &str) -> u64 {
    // proc(5): `VmHWM:     12345 kB`.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    told.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

#[cfg(not(target_os = "linux"))]
fn told_of_memory(_: &str) -> u64 {
    0
}

/// Lets the process's other threads go first from now on, and other processes: the calling thread has work without
/// haste. Linux only; elsewhere priorities belong to the process.
pub fn give_way() {
    // Refused, it only means that nothing changes.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
}

/// A quarter of the weight of a thread of the default priority (the kernel's `sched_prio_to_weight`).
#[cfg(target_os = "linux")]
const NICE: i32 = 6;

#[cfg(all(test, target_os = "linux"))]
mod tests;
