//! The executable bits of files that a destination had before a transfer: their bytes are right, their bits may not be.

use crate::io::receive::dest::{DestError, FileKind, LastDir, SafeDir};
use crate::model::SafePath;

/// Gives files their bits; the paths of those whose bit was another.
///
/// # Errors
/// When one cannot be looked at or changed; those before it are done.
pub fn give_bits<'p>(
    dir: &SafeDir,
    files: impl IntoIterator<Item = (&'p SafePath, bool)>,
) -> Result<Vec<SafePath>, DestError> {
    let (mut places, mut changed) = (LastDir::of(dir), Vec::new());
    for (path, executable) in files {
        let other = |is: bool| cfg!(unix) && is != executable;
        if places.stat(path)?.is_some_and(|stat| stat.kind == FileKind::File && other(stat.executable)) {
            dir.set_executable(path, executable)?;
            changed.push(path.clone());
        }
    }
    Ok(changed)
}
