//! The desktop of the person, where there is one: told through `notify-send`, which is started without a shell and left alone.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Between two tellings: whoever offers much tells no more than this.
const PAUSE: Duration = Duration::from_secs(10);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Says that something waits. It names nothing that comes from elsewhere. Where there is no such program nothing happens.
pub fn notify() {
    let Ok(mut last) = LAST.lock() else { return };
    if last.is_some_and(|last| last.elapsed() < PAUSE) {
        return;
    }
    *last = Some(Instant::now());
    let mut program = Command::new("notify-send");
    program.args(["-a", "qshare", "-t", "10000", "qshare", "Something waits in the inbox"]);
    let child = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Ok(mut child) = child {
        // It ends by itself, and is waited for so that nothing is left of it.
        let _ = std::thread::Builder::new().name("notify".to_owned()).spawn(move || child.wait());
    }
}
