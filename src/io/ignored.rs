//! Signals that whoever started the process has it ignore: `nohup` does so with SIGHUP, and a shell without job control
//! with the SIGINT of what it runs in the background. Listening to such a signal would bring it back.

/// Whether the process ignores this signal now. Known on Linux; elsewhere it is taken not to.
#[cfg(unix)]
pub fn is_ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| is_in(&status, signal))
}

/// Has a write beyond the limit of a file's size (setrlimit(2), `RLIMIT_FSIZE`) fail, so that it is an error like any other:
/// its signal would end the process without a word. To be called within the runtime; it lasts as long as the process.
///
/// # Errors
/// When the operating system refuses.
#[cfg(unix)]
pub fn write_errors_instead_of_signals() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // The handler stays when nobody listens.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// There is no such signal here.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn write_errors_instead_of_signals() -> std::io::Result<()> {
    Ok(())
}

/// `SigIgn` in `/proc/PID/status` is a mask in hexadecimal, in which bit 0 is signal 1 (proc_pid_status(5)).
#[cfg(unix)]
fn is_in(status: &str, signal: i32) -> bool {
    let text = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = text.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or_default();
    u32::try_from(signal)
        .ok()
        .and_then(|signal| mask.checked_shr(signal.checked_sub(1)?))
        .is_some_and(|rest| rest & 1 == 1)
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn the_mask_has_a_bit_for_each_signal() {
        use super::is_in;

        let status = "Name:\tqshare\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001003\nSigCgt:\t0\n";
        let ignored: Vec<i32> = (-1..=70).filter(|signal| is_in(status, *signal)).collect();
        assert_eq!(ignored, [1, 2, 13]);
        assert!(!is_in("", 1) && !is_in("SigIgn:\tx\n", 1));
    }
}
