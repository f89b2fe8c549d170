//! Where what was accepted goes: under names that nothing has; and that nothing unfinished stays there of what is declined.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::Partial;
use crate::logic::limits::jobs::{JobError, JobId, JobOrder};
use crate::model::{Cause, ContentId};
use crate::node::error::Error;
use crate::node::inner::orders::JobsRef;
use crate::wire::PutItem;

/// How often is seen whether a transfer has ended, and how often at most: they sync what they have.
const ENDS: (Duration, u32) = (Duration::from_millis(50), 200);

/// Numbers that are tried for a name that is taken.
const NUMBERS: std::ops::Range<u32> = 2..10_000;

/// Where the contents go: names that nothing has, there or of those that are taken. Makes the directory. Blocks. What lies there is
/// never compared with what is offered: whoever offers it would learn of that, and would have it afterwards.
pub(super) fn outputs(
    dir: &Path,
    items: &[PutItem],
    mut taken: HashSet<PathBuf>,
) -> Result<Vec<PathBuf>, (PathBuf, Cause)> {
    std::fs::create_dir_all(dir).map_err(|error| (dir.to_owned(), error.into()))?;
    let mut outputs = Vec::new();
    for item in items {
        let names =
            std::iter::once(item.name.to_string()).chain(NUMBERS.map(|number| numbered(item.name.as_str(), number)));
        let is_free = |path: &PathBuf| !taken.contains(path) && path.symlink_metadata().is_err();
        let path = names.map(|name| dir.join(name)).find(is_free);
        let path =
            path.ok_or_else(|| (dir.join(item.name.as_str()), io::Error::from(io::ErrorKind::AlreadyExists).into()))?;
        taken.insert(path.clone());
        outputs.push(path);
    }
    Ok(outputs)
}

/// Ends transfers, forgets them, and removes what is unfinished of these contents beside where they were to go.
pub(super) async fn discard(jobs: JobsRef, ended: Vec<JobId>, unfinished: Vec<(ContentId, PathBuf)>) {
    for id in ended {
        // It may be over.
        let _ = jobs.order(Some(id), JobOrder::Cancel).await;
        for _ in 0..ENDS.1 {
            // It cannot be forgotten before it has let go of what it writes.
            match jobs.order(Some(id), JobOrder::Clear).await {
                Err(Error::Job(JobError::State { .. })) => sleep(ENDS.0).await,
                _ => break,
            }
        }
    }
    let removed = spawn_blocking(move || {
        for (id, output) in unfinished {
            let parent = output.parent().map(SafeDir::open).and_then(Result::ok);
            if let Some(Err(error)) = parent.map(|parent| Partial::discard(&parent, id)) {
                tracing::info!(%error, "what is unfinished of a declined offer stays");
            }
        }
    });
    let _ = removed.await;
}

/// `notes (2).txt` for `notes.txt`.
fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => format!("{stem} ({number}).{end}"),
        _ => format!("{name} ({number})"),
    }
}
