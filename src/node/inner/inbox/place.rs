//! Where what was accepted goes: where it lies already, else under names that nothing has; and that nothing unfinished stays there of
//! what is declined.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::Partial;
use crate::io::share::hash::hash_held;
use crate::logic::limits::jobs::{JobError, JobId, JobOrder};
use crate::model::{Cause, ContentId, Kind};
use crate::node::error::Error;
use crate::node::inner::orders::JobsRef;
use crate::wire::PutItem;

/// How often is seen whether a transfer has ended, and how often at most: they sync what they have.
const ENDS: (Duration, u32) = (Duration::from_millis(50), 200);

/// Numbers that are tried for a name that is taken.
const NUMBERS: std::ops::Range<u32> = 2..10_000;
/// Files of its size under such names that are read to see whether they are it.
const COMPARED: usize = 4;

/// Where the contents go: where each of them lies already, else names that nothing has, there or of those that are taken. Also
/// whether all of them lie there. Makes the directory. Blocks.
pub(super) fn outputs(
    dir: &Path,
    items: &[PutItem],
    mut taken: HashSet<PathBuf>,
) -> Result<(Vec<PathBuf>, bool), (PathBuf, Cause)> {
    std::fs::create_dir_all(dir).map_err(|error| (dir.to_owned(), error.into()))?;
    let (mut outputs, mut there) = (Vec::new(), 0);
    for item in items {
        let (path, is_there) = output(dir, item, &taken)
            .ok_or_else(|| (dir.join(item.name.as_str()), io::Error::from(io::ErrorKind::AlreadyExists).into()))?;
        there += usize::from(is_there);
        taken.insert(path.clone());
        outputs.push(path);
    }
    Ok((outputs, there == items.len()))
}

/// Where one content goes, and whether it lies there.
fn output(dir: &Path, item: &PutItem, taken: &HashSet<PathBuf>) -> Option<(PathBuf, bool)> {
    let mut left = COMPARED;
    let names = std::iter::once(item.name.to_string()).chain(NUMBERS.map(|n| numbered(item.name.as_str(), n)));
    let free = names.map(|name| dir.join(name)).filter(|path| !taken.contains(path));
    for path in free {
        match path.symlink_metadata() {
            Err(_) => return Some((path, false)),
            Ok(meta) if left > 0 && item.kind == Kind::File && meta.is_file() && meta.len() == item.size => {
                left -= 1;
                if is_it(&path, item) {
                    return Some((path, true));
                }
            }
            Ok(_) => {}
        }
    }
    None
}

/// What cannot be read is taken for another file.
fn is_it(path: &Path, item: &PutItem) -> bool {
    let hashed = File::open(path).and_then(|file| hash_held(&file, &|_| {}));
    hashed.is_ok_and(|hashed| hashed.is_some_and(|hashed| hashed.id == item.id))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContentId, SafePath};

    #[test]
    fn what_lies_there_is_not_copied_and_what_is_another_thing_is_not_touched() {
        let dir = tempfile::tempdir().expect("a directory");
        let item = |content: &[u8], kind: Kind| PutItem {
            name: SafePath::parse("a.txt").expect("a name"),
            id: ContentId::of(content),
            kind,
            size: content.len() as u64,
            files: 1,
            executable: false,
        };
        let place = |items: &[PutItem], taken: HashSet<PathBuf>| {
            let (places, there) = outputs(dir.path(), items, taken).expect("a place");
            let names = places.iter().map(|path| path.file_name().expect("named").to_string_lossy().into_owned());
            (names.collect::<Vec<_>>().join(", "), there)
        };
        let one = item(b"one", Kind::File);
        assert_eq!(place(&[one.clone(), one.clone()], HashSet::new()), ("a.txt, a (2).txt".to_owned(), false));
        std::fs::write(dir.path().join("a.txt"), "one").expect("written");
        assert_eq!(place(std::slice::from_ref(&one), HashSet::new()), ("a.txt".to_owned(), true));
        assert_eq!(place(&[one.clone(), one.clone()], HashSet::new()), ("a.txt, a (2).txt".to_owned(), false));
        assert_eq!(place(&[item(b"two", Kind::File)], HashSet::new()), ("a (2).txt".to_owned(), false));
        assert_eq!(place(&[item(b"one", Kind::Collection)], HashSet::new()), ("a (2).txt".to_owned(), false));
        std::fs::write(dir.path().join("a (2).txt"), "two").expect("written");
        assert_eq!(place(&[item(b"two", Kind::File)], HashSet::new()), ("a (2).txt".to_owned(), true));
        assert_eq!(place(&[one], [dir.path().join("a.txt")].into()), ("a (3).txt".to_owned(), false));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("secret"), "one").expect("written");
        std::os::unix::fs::symlink("secret", dir.path().join("a")).expect("made");
        let name = SafePath::parse("a").expect("a name");
        let id = ContentId::of(b"one");
        let item = PutItem { name, id, kind: Kind::File, size: 3, files: 1, executable: false };
        let placed = outputs(dir.path(), &[item], HashSet::new()).expect("a place");
        assert_eq!(placed, (vec![dir.path().join("a (2)")], false));
    }
}
