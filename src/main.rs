//! The program: makes the runtime and hands over to the command line.

use std::process::ExitCode;
use std::time::Duration;

/// QUIC allocates a fresh block for every batch of datagrams and frees it on another thread: the C library gives such
/// blocks back to the system and faults them in again (docs/performance.md). Threads of its own give back what has been free
/// for 10 s: without them a node that has become quiet would keep what it held in its busiest moment.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A thread that waits for the disk ends when it was idle for so long. Each takes its turn at what a node looks at every second
/// or so: with the 10 s that are usual none of those that a busy moment has made would ever be idle.
const IDLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(qshare::cli::network_threads()).thread_keep_alive(IDLE);
    match runtime.enable_all().build() {
        Ok(runtime) => qshare::cli::run(runtime),
        Err(error) => {
            eprintln!("qshare: the runtime cannot be started: {error}; check the limits of this process");
            ExitCode::FAILURE
        }
    }
}
