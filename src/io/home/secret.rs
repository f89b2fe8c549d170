//! Files and directories that only their owner may read.
//! Invariant: a file written here is whole or absent, and was never readable by others.

use std::io::{self, Write};
use std::path::Path;

use crate::io::home::small;

/// Bytes that a secret may have; the longest, a key in PEM, has some 200.
const MOST: u64 = 64 << 10;

/// Creates a directory and its parents, readable by the owner alone where they are new.
///
/// # Errors
/// When the file system refuses.
pub fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Reads a secret, or makes it with `make` and writes it. When two processes make it at once, one of them wins
/// and both return the winner's.
///
/// # Errors
/// When the file system refuses, or what `make` says.
pub fn read_or_create(path: &Path, make: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    match small::read(path, MOST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let bytes = make()?;
    let file = written(path, &bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(bytes),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => small::read(path, MOST),
        Err(error) => Err(error.error),
    }
}

/// Replaces a file as a whole.
///
/// # Errors
/// When the file system refuses.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = written(path, bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// As [`replace`], for what a crash may take.
///
/// # Errors
/// When the file system refuses.
pub fn replace_hint(path: &Path, bytes: &[u8]) -> io::Result<()> {
    written(path, bytes)?.persist(path).map(drop).map_err(|error| error.error)
}

/// A file beside `path`; `tempfile` makes it with mode 0600.
fn written(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    create_dir(dir)?;
    let mut file = tempfile::Builder::new().prefix(".secret-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("new/key");
        assert_eq!(read_or_create(&path, || Ok(b"first".to_vec())).expect("made"), b"first");
        assert_eq!(read_or_create(&path, || Ok(b"second".to_vec())).expect("read"), b"first");
        replace(&path, b"third").expect("replaced");
        assert_eq!(std::fs::read(&path).expect("read"), b"third");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&dir.path().join("new"))), (0o600, 0o700));
        }
    }

    #[test]
    fn a_failure_to_make_leaves_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("key");
        assert!(read_or_create(&path, || Err(io::ErrorKind::Other.into())).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).expect("dir").count(), 0);
    }
}
