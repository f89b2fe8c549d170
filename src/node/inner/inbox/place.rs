//! Where what was accepted goes: under names that nothing has; and that nothing unfinished stays there of what is declined.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::transfer::end;
use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::{Names, Partial};
use crate::logic::limits::inbox::Entry;
use crate::logic::limits::jobs::{JobId, JobOrder};
use crate::model::{Cause, ContentId};
use crate::node::inner::orders::JobsRef;
use crate::wire::PutItem;

/// Numbers that are tried for a name that is taken.
const NUMBERS: std::ops::Range<u32> = 2..10_000;

/// Where the contents go: names that nothing has, there or of those that are taken. Makes the directory. Blocks. What lies there is
/// never compared with what is offered: whoever offers it would learn of that, and would have it afterwards. Likewise what another
/// transfer has left there of the same content is not gone on with, but for what this offer has had: then it goes into a directory of
/// its own, with a number.
pub(super) fn outputs(
    dir: &Path,
    items: &[PutItem],
    (mut taken, mut own): (HashSet<PathBuf>, HashSet<PathBuf>),
) -> Result<Vec<PathBuf>, (PathBuf, Cause)> {
    let mut outputs = Vec::new();
    for item in items {
        let full = || (dir.join(item.name.as_str()), io::Error::from(io::ErrorKind::AlreadyExists).into());
        let is_free = |path: &PathBuf| !taken.contains(path) && path.symlink_metadata().is_err();
        let dirs = std::iter::once(dir.to_owned()).chain(NUMBERS.map(|number| dir.join(number.to_string())));
        let mut notes = dirs.map(|dir| dir.join(Names::of(item.id).journal.as_str()));
        let note = notes.find(|note| own.contains(note) || is_free(note)).ok_or_else(full)?;
        let dir = note.parent().unwrap_or(dir);
        std::fs::create_dir_all(dir).map_err(|error| (dir.to_owned(), error.into()))?;
        let names =
            std::iter::once(item.name.to_string()).chain(NUMBERS.map(|number| numbered(item.name.as_str(), number)));
        let path = names.map(|name| dir.join(name)).find(is_free).ok_or_else(full)?;
        taken.insert(path.clone());
        own.insert(note);
        outputs.push(path);
    }
    Ok(outputs)
}

/// What transfers of an offer write beside where its contents go, as far as that is known.
pub(super) fn notes(entry: &Entry) -> impl Iterator<Item = PathBuf> {
    let all = entry.put.items.iter().zip(&entry.outputs);
    all.map(|(item, output)| output.with_file_name(Names::of(item.id).journal.as_str()))
}

/// Ends transfers, forgets them, and removes what is unfinished of these contents beside where they were to go.
pub(super) async fn discard(jobs: JobsRef, ended: Vec<JobId>, unfinished: Vec<(ContentId, PathBuf)>) {
    // They cannot be forgotten before they have let go of what they write.
    end(&jobs, &ended).await;
    for id in ended {
        // It may have left the list.
        let _ = jobs.order(Some(id), JobOrder::Clear).await;
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
