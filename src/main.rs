//! The program: makes the runtime and hands over to the command line.

use std::process::ExitCode;

/// QUIC allocates a fresh block for every batch of datagrams and frees it on another thread: the C library gives such
/// blocks back to the system and faults them in again (docs/performance.md). Threads of its own give back what has been free
/// for 10 s: without them a node that has become quiet would keep what it held in its busiest moment.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    match runtime.worker_threads(qshare::cli::network_threads()).enable_all().build() {
        Ok(runtime) => qshare::cli::run(runtime),
        Err(error) => {
            eprintln!("qshare: the runtime cannot be started: {error}; check the limits of this process");
            ExitCode::FAILURE
        }
    }
}
