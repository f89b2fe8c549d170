//! Where what was accepted goes: under names that nothing has.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::Cause;
use crate::wire::PutItem;

/// Numbers that are tried for a name that is taken.
const NUMBERS: std::ops::Range<u32> = 2..10_000;

/// Where the contents go: names that nothing has, there or of those that are taken. Makes the directory. Blocks.
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

/// `notes (2).txt` for `notes.txt`.
fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => format!("{stem} ({number}).{end}"),
        _ => format!("{name} ({number})"),
    }
}
