//! `qshare hash`: content ids of files, in the form that b3sum prints and in the order of the arguments.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cli::args::HashArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::activity::Activity;
use crate::cli::render::json::Line;
use crate::cli::say;
use crate::io::share::hash::{HashError, hash_typed};
use crate::model::obstacle::cause;
use crate::model::{ContentId, Obstacle};
use crate::node::shown;

/// Results that wait to be printed; when it is full, hashing waits.
const WAITING: usize = 1024;

/// A result with the place of its file among the arguments.
type Told = (usize, Result<ContentId, HashError>);

/// Runs the command. A file that cannot be hashed is named; the others are hashed nevertheless.
pub(crate) async fn run(context: &Context, arguments: HashArgs) -> Result<Exit, Failure> {
    let mut signals = context.signals()?;
    let activity = Activity::start(&context.output, "hashing");
    let total = arguments.files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    activity.set(0, total);
    let files: Arc<[PathBuf]> = arguments.files.into();
    let mut hashing = Hashing::start(files.clone(), &activity);
    let mut lines = Lines { context, files: &files, waiting: BTreeMap::new(), next: 0, failed: 0 };
    loop {
        let mut told = Vec::new();
        let count = tokio::select! {
            count = hashing.told.recv_many(&mut told, WAITING) => count,
            stop = signals.next() => return Err(Failure::Stopped(stop)),
        };
        if count == 0 {
            break;
        }
        lines.take(told)?;
    }
    (&mut hashing.job).await.map_err(anyhow::Error::from)?;
    drop(activity);
    match lines.failed {
        0 => Ok(Exit::DONE),
        failed => Err(Failure::Some { failed, total: files.len() }),
    }
}

/// The hashing under way. Dropping it cancels what is left.
struct Hashing {
    told: mpsc::Receiver<Told>,
    job: JoinHandle<()>,
    cancel: Arc<AtomicBool>,
}

impl Hashing {
    fn start(files: Arc<[PathBuf]>, activity: &Activity) -> Self {
        let (tell, told) = mpsc::channel(WAITING);
        let (cancel, counter) = (Arc::<AtomicBool>::default(), activity.counter());
        let cancelled = cancel.clone();
        let job = spawn_blocking(move || {
            let count = |bytes| {
                counter.fetch_add(bytes, Ordering::Relaxed);
            };
            // Nobody waits for results of a command that has ended.
            let tell = |place, hashed: Result<_, _>| drop(tell.blocking_send((place, hashed)));
            hash_typed(&files, &count, &cancelled, &|place, hashed| tell(place, hashed.map(|h| h.id)));
        });
        Self { told, job, cancel }
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// Prints results in the order of the files.
struct Lines<'a> {
    context: &'a Context,
    files: &'a [PathBuf],
    /// Results of files whose predecessors are not done yet.
    waiting: BTreeMap<usize, Result<ContentId, HashError>>,
    next: usize,
    failed: usize,
}

impl Lines<'_> {
    fn take(&mut self, told: Vec<Told>) -> Result<(), Failure> {
        self.waiting.extend(told);
        let mut text = String::new();
        while let Some(hashed) = self.waiting.remove(&self.next) {
            let file = &self.files[self.next];
            self.next += 1;
            match hashed {
                Ok(id) => {
                    self.context.output.emit(&Line::Hashed { id, path: file.to_string_lossy() })?;
                    text.push_str(&line(id, &file.to_string_lossy()));
                }
                Err(error) => {
                    self.failed += 1;
                    self.context.output.fail(&Failure::Other(anyhow::anyhow!(
                        "{} cannot be hashed: {}",
                        shown(file),
                        why(&error)
                    )));
                }
            }
        }
        self.context.output.print(&text)
    }
}

/// Why, and what to do.
fn why(error: &HashError) -> String {
    match error {
        HashError::Io(error) => format!("{}; {}", cause(error), say::advice(Obstacle::of(error))),
        HashError::Changed => format!("{error}; run it again when nobody writes to it"),
        HashError::Cancelled | HashError::TooLarge => error.to_string(),
    }
}

/// As b3sum prints it: a backslash first when the path has a backslash or a line end, which are then escaped.
fn line(id: ContentId, path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let mark = if escaped == path { "" } else { "\\" };
    format!("{mark}{id}  {escaped}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_b3sum() {
        let id = ContentId::of(b"");
        assert_eq!(line(id, "a b"), format!("{id}  a b\n"));
        assert_eq!(line(id, "a\\b\nc"), format!("\\{id}  a\\\\b\\nc\n"));
    }
}
