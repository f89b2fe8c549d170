//! Reading a small file that people or other programs may have put in the place of ours: only a regular one, and no more of it
//! than it may have. Invariant: never waits for a pipe or a device, and never takes more memory than its bound.

use std::io::{self, Read as _};
use std::path::Path;

use crate::io::share::stamp::open_typed;

/// All bytes of a regular file of at most `most` bytes; links are followed, for people move such files.
///
/// # Errors
/// When it is missing, not a regular file, larger, or cannot be read.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, _) = open_typed(path)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than the {most} bytes that such a file may have")));
    }
    Ok(bytes)
}

/// The same as text, where what is no UTF-8 is replaced: a line of it is no line.
///
/// # Errors
/// As [`read`].
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read(path, most)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_within_their_bound_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a");
        std::fs::write(&path, "four").expect("written");
        assert_eq!(read(&path, 4).expect("read"), b"four");
        assert!(read(&path, 3).expect_err("larger").to_string().contains("more than the 3 bytes"));
        assert_eq!(read(&dir.path().join("b"), 4).expect_err("missing").kind(), io::ErrorKind::NotFound);
        #[cfg(unix)]
        {
            let pipe = dir.path().join("pipe");
            rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
            assert!(read(&pipe, 4).expect_err("a pipe").to_string().contains("not a regular file"));
        }
    }
}
