//! `qshare hash`: content ids of files, in the form that b3sum prints.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::args::HashArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::activity::Activity;
use crate::cli::render::json::Line;
use crate::io::hash::{HashError, hash_file};
use crate::io::stamp::FileStamp;
use crate::model::{ContentId, Shown};

/// Runs the command. A file that cannot be hashed is named; the others are hashed nevertheless.
pub(crate) async fn run(context: &Context, arguments: HashArgs) -> Result<Exit, Failure> {
    let mut signals = context.signals()?;
    let cancel = Arc::new(AtomicBool::new(false));
    let activity = Activity::start(&context.output, "hashing");
    let total = arguments.files.iter().filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    activity.set(0, total);
    let mut failed = 0;
    for file in &arguments.files {
        let (path, counter, cancelled) = (file.clone(), activity.counter(), cancel.clone());
        let mut job = tokio::task::spawn_blocking(move || {
            let count = |bytes| {
                counter.fetch_add(bytes, Ordering::Relaxed);
            };
            hash(&path, &count, &cancelled)
        });
        let hashed = tokio::select! {
            hashed = &mut job => hashed.map_err(anyhow::Error::from)?,
            stop = signals.next() => {
                cancel.store(true, Ordering::Relaxed);
                return Err(Failure::Stopped(stop));
            }
        };
        match hashed {
            Ok(id) => tell(context, id, file)?,
            Err(error) => {
                failed += 1;
                context.output.fail(&Failure::Other(anyhow::anyhow!(
                    "{} cannot be hashed: {error}; check that it is a file that you may read",
                    shown(file)
                )));
            }
        }
    }
    drop(activity);
    match failed {
        0 => Ok(Exit::DONE),
        _ => Err(Failure::Some { failed, total: arguments.files.len() }),
    }
}

fn hash(path: &Path, progress: &(dyn Fn(u64) + Sync), cancel: &AtomicBool) -> Result<ContentId, HashError> {
    // The path is the user's own: its links are followed, once.
    let path = path.canonicalize()?;
    let stamp = FileStamp::of(&path.metadata()?);
    hash_file(&path, &stamp, progress, cancel).map(|hashed| hashed.id)
}

fn tell(context: &Context, id: ContentId, path: &Path) -> Result<(), Failure> {
    context.output.emit(&Line::hashed(id, path))?;
    context.output.print(&line(id, &path.to_string_lossy()))
}

/// As b3sum prints it: a backslash first when the path has a backslash or a line end, which are then escaped.
fn line(id: ContentId, path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let mark = if escaped == path { "" } else { "\\" };
    format!("{mark}{id}  {escaped}\n")
}

fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
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

    #[test]
    fn a_file_is_hashed_through_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("f");
        std::fs::write(&file, b"some bytes").expect("written");
        let hashed = |path: &Path| hash(path, &|_| (), &AtomicBool::new(false));
        assert_eq!(hashed(&file).expect("hashed"), ContentId::of(b"some bytes"));
        #[cfg(unix)]
        {
            let link = dir.path().join("l");
            std::os::unix::fs::symlink(&file, &link).expect("linked");
            assert_eq!(hashed(&link).expect("hashed"), ContentId::of(b"some bytes"));
        }
        assert!(hashed(&dir.path().join("absent")).is_err());
    }
}
