//! `qshare hash`: content ids of files, in the form that b3sum prints and in the order of the arguments; with `--check` whether
//! files still have the ids of such a list.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cli::args::HashArgs;
use crate::cli::context::{Context, heed};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::activity::Activity;
use crate::cli::render::json::{Checked, Line};
use crate::cli::say;
use crate::io::share::hash::{HashError, hash_stream, hash_typed};
use crate::model::obstacle::cause;
use crate::model::{ContentId, Obstacle};
use crate::node::ErrorCode;

mod work;

use work::{STDIN, Work, line, shown};

/// Results that wait to be printed; when it is full, hashing waits.
const WAITING: usize = 1024;

/// A result with the place of its file among all.
type Told = (usize, Result<ContentId, HashError>);

/// Runs the command. A file that cannot be hashed is named; the others are hashed nevertheless.
pub(crate) async fn run(context: &Context, arguments: HashArgs) -> Result<Exit> {
    let mut signals = context.signals()?;
    let activity = Activity::start(&context.output, "hashing");
    let HashArgs { files, check } = arguments;
    let looking = spawn_blocking(move || if check { Work::of_lists(files) } else { Work::of_paths(files) });
    let looked = heed(&mut signals, looking).await?;
    let Work { files, expected, failed } = looked.map_err(anyhow::Error::from)?;
    failed.iter().for_each(|sentence| context.output.fail(&Failure::Other(anyhow::anyhow!("{sentence}"))));
    let (failed, all) = (failed.len(), files.len() + failed.len());
    let total = files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    activity.set(0, total);
    let files: Arc<[PathBuf]> = files.into();
    let mut hashing = Hashing::start(files.clone(), &activity);
    let mut lines = Lines {
        context,
        files: &files,
        expected,
        waiting: BTreeMap::new(),
        next: 0,
        failed,
        quiet: context.output.quiet,
    };
    loop {
        let mut told = Vec::new();
        if heed(&mut signals, hashing.told.recv_many(&mut told, WAITING)).await? == 0 {
            break;
        }
        lines.take(told)?;
    }
    (&mut hashing.job).await.map_err(anyhow::Error::from)?;
    drop(activity);
    match lines.failed {
        0 => Ok(Exit::DONE),
        failed => Err(Failure::Some { failed, total: all, code: ErrorCode::Failed }),
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
            let (streams, files): (Vec<_>, Vec<_>) =
                files.iter().enumerate().partition(|(_, file)| file.as_os_str() == STDIN);
            let (places, files): (Vec<usize>, Vec<&PathBuf>) = files.into_iter().unzip();
            hash_typed(&files, &count, &cancelled, &|n, hashed| tell(places[n], hashed.map(|h| h.id)));
            for (place, _) in streams {
                tell(place, hash_stream(&mut std::io::stdin().lock(), &count, &cancelled));
            }
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
    expected: Option<Vec<ContentId>>,
    /// Results of files whose predecessors are not done yet.
    waiting: BTreeMap<usize, Result<ContentId, HashError>>,
    next: usize,
    failed: usize,
    /// What is right is not told, as for b3sum.
    quiet: bool,
}

impl Lines<'_> {
    fn take(&mut self, told: Vec<Told>) -> Result<()> {
        self.waiting.extend(told);
        let mut text = String::new();
        while let Some(hashed) = self.waiting.remove(&self.next) {
            let place = self.next;
            self.next += 1;
            text += &match self.expected.as_ref().map(|expected| expected[place]) {
                None => self.hashed(place, hashed)?,
                Some(expected) => self.checked(place, &hashed, expected)?,
            };
        }
        self.context.output.print(&text)
    }

    /// An id for people; an error is told at once.
    fn hashed(&mut self, place: usize, hashed: Result<ContentId, HashError>) -> Result<String> {
        let (file, output) = (&self.files[place], &self.context.output);
        match hashed {
            Ok(id) => {
                output.emit(&Line::Hashed { id, path: file.to_string_lossy() })?;
                Ok(line(id, &file.to_string_lossy()))
            }
            Err(error) => {
                self.failed += 1;
                let sentence = anyhow::anyhow!("{} cannot be hashed: {}", shown(file), why(&error));
                output.fail(&Failure::Other(sentence));
                Ok(String::new())
            }
        }
    }

    /// Whether it has the id that it is to have, in b3sum's words.
    fn checked(&mut self, place: usize, hashed: &Result<ContentId, HashError>, expected: ContentId) -> Result<String> {
        let file = &self.files[place];
        let (verdict, error) = match hashed {
            Ok(id) if *id == expected => ("OK".to_owned(), None),
            Ok(_) => ("FAILED".to_owned(), None),
            Err(error) => (format!("FAILED ({})", why(error)), Some(why(error))),
        };
        let ok = verdict == "OK";
        self.failed += usize::from(!ok);
        self.context.output.emit(&Line::Checked(Checked::of(file, expected, ok, error)))?;
        Ok(if ok && self.quiet { String::new() } else { format!("{}: {verdict}\n", shown(file)) })
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
