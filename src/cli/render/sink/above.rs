//! Lines that come while somebody types, or while something else is shown: a thread of its own writes them, whole and one after
//! the other. Invariant: whoever tells never waits, and what finds no room is counted and told. Not responsible for where the
//! lines stand: who makes it writes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use crate::model::Shown;
use crate::model::text::shown::MAX_WIDTH;

/// Texts that wait to be written.
const WAITING: usize = 4096;
/// How long the last of them may take whoever reads them.
const LAST: Duration = Duration::from_millis(500);

/// Where lines go. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Above {
    to: SyncSender<Told>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Told {
    Lines(String),
    /// Who wants to know that all before it was written.
    End(SyncSender<()>),
}

impl Above {
    /// Lines go to `write`, each text with the end of its last line, until all clones are gone.
    pub(crate) fn start(mut write: impl FnMut(String) + Send + 'static) -> Self {
        let (to, texts) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let missed = Arc::clone(&lost);
        std::thread::spawn(move || {
            while let Ok(told) = texts.recv() {
                match told {
                    Told::Lines(lines) => write(lines),
                    Told::End(written) => drop(written.try_send(())),
                }
                let missed = missed.swap(0, Ordering::Relaxed);
                if missed > 0 {
                    write(format!("qshare: {missed} more could not be told: nobody read them\n"));
                }
            }
        });
        Self { to, lost }
    }

    /// Tells lines. What could move the terminal is escaped once more, and every line is ended.
    pub(crate) fn told(&self, text: &str) {
        let lines: String = text.trim_end_matches('\n').split('\n').map(escaped).collect();
        if self.to.try_send(Told::Lines(lines)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was told is written; for a moment, where nobody reads it.
    pub(crate) fn end(&self) {
        let (to, written) = sync_channel(1);
        if self.to.try_send(Told::End(to)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }
}

/// A line of any width: names in it were cut where they were shown.
fn escaped(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let pieces = chars.chunks(MAX_WIDTH).map(|piece| Shown(&piece.iter().collect::<String>()).to_string());
    pieces.collect::<String>() + "\n"
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn lines_are_escaped_and_ended_and_those_without_room_are_counted() {
        let (go, gate) = channel::<()>();
        let (to, written) = channel();
        let above = Above::start(move |text| {
            // Somebody who does not read.
            let _ = gate.recv();
            let _ = to.send(text);
        });
        above.told("a\u{1b}[2Jb\nsecond");
        above.told(&"x".repeat(3000));
        (0..WAITING + 9).for_each(|n| above.told(&n.to_string()));
        drop((go, above));
        let all: Vec<String> = written.iter().collect();
        assert_eq!(all[0], "a\\u{1b}[2Jb\nsecond\n");
        assert!(
            all.iter().any(|text| text.len() == 3001) && all.iter().any(|text| text.ends_with("nobody read them\n"))
        );
        assert!(all.len() <= WAITING + 3, "{}", all.len());
    }
}
