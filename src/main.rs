//! The program: makes the runtime and hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => qshare::cli::run(runtime),
        Err(error) => {
            eprintln!("qshare: the runtime cannot be started: {error}; check the limits of this process");
            ExitCode::FAILURE
        }
    }
}
