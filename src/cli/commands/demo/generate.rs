//! The tree that the demo shares when none is given: one large file, some hundred small ones, an executable, an empty
//! file and an empty directory. Invariant: the same bytes every time, and none that could be made smaller.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::cli::commands::demo::job::Watch;

/// The tree's name.
pub(super) const NAME: &str = "demo-tree";
/// Its bytes, without the executable's.
pub(super) const BYTES: u64 = LARGE + SMALL_BYTES;

const KIB: u64 = 1 << 10;
const LARGE: u64 = 192 << 20;
/// Small files, and in how many directories.
const SMALL: u64 = 304;
const DIRECTORIES: u64 = 16;
const SMALL_BYTES: u64 = small_bytes();
const SCRIPT: &[u8] = b"#!/bin/sh\necho 'fetched, proven and still executable'\n";
/// What is written at a time.
const PIECE: usize = 1 << 20;

/// Sizes from 1 to 430 KiB, each of them different from its neighbours'; some files have several chunks.
const fn small_size(number: u64) -> u64 {
    KIB + (number * 7919 % 430) * KIB
}

const fn small_bytes() -> u64 {
    let (mut number, mut bytes) = (0, 0);
    while number < SMALL {
        bytes += small_size(number);
        number += 1;
    }
    bytes
}

/// Makes the tree. Ends early and without an error when it is no longer wanted.
pub(super) fn tree(root: &Path, watch: &Watch) -> io::Result<()> {
    for directory in 0..DIRECTORIES {
        fs::create_dir_all(root.join(directory_name(directory)))?;
    }
    fs::create_dir_all(root.join("empty directory"))?;
    File::create(root.join("empty.txt"))?;
    script(&root.join("run.sh"))?;
    noise(&root.join("large.bin"), LARGE, watch)?;
    for number in 0..SMALL {
        let name = format!("{}/small-{number:03}.bin", directory_name(number % DIRECTORIES));
        noise(&root.join(name), small_size(number), watch)?;
    }
    Ok(())
}

fn directory_name(number: u64) -> String {
    format!("small/{number:02}")
}

fn script(path: &Path) -> io::Result<()> {
    fs::write(path, SCRIPT)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// Fills a file with BLAKE3's output for its name.
fn noise(path: &Path, bytes: u64, watch: &Watch) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut stream = blake3::Hasher::new().update(name.as_bytes()).finalize_xof();
    let mut file = File::create(path)?;
    let mut piece = vec![0; usize::try_from(bytes).map_or(PIECE, |bytes| bytes.min(PIECE))];
    let mut left = bytes;
    while left > 0 && !watch.is_cancelled() {
        let len = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
        stream.fill(&mut piece[..len]);
        file.write_all(&piece[..len])?;
        watch.add(len as u64);
        left -= len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_about_a_quarter_of_a_gibibyte() {
        assert!((250 << 20..262 << 20).contains(&BYTES), "{BYTES}");
    }

    #[test]
    fn noise_has_the_asked_length_and_is_the_same_every_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, bytes| {
            let path = dir.path().join(name);
            noise(&path, bytes, &Watch::default()).expect("written");
            fs::read(path).expect("there")
        };
        let first = write("a", PIECE as u64 + 3);
        assert_eq!(first.len(), PIECE + 3);
        assert_eq!((write("a", 100) == first[..100], write("b", 100) == first[..100]), (true, false));
    }
}
