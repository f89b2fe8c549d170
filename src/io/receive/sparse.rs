//! Room for a file that is being received: set aside before it comes, and given back where nothing but zeros came.
//! Invariant: what is read back is what was written. A file system that knows no holes gets the zeros themselves.

use std::fs::File;
use std::io;
use std::ops::Range;

use crate::io::positional::write_all_at;

/// The shortest run of zeros that is left out, and where runs begin and end: longer than any file system's block, so
/// that each gives room back; long enough that a file with many short ones is not cut into pieces for little.
pub const HOLE: usize = 64 << 10;

/// What a run of zeros is compared with: comparing memory stops at the first byte that differs, so that the bytes of
/// other files cost one look for each [`HOLE`] of them.
static ZEROS: [u8; HOLE] = [0; HOLE];

/// Writes bytes of a file that will have `size` bytes, and leaves holes where they are zeros. Offsets are multiples of
/// [`HOLE`]; others are written as well, with fewer holes. Never shortens the file, so that several may write at once.
///
/// # Errors
/// When the file cannot be written.
pub fn write_at(file: &File, bytes: &[u8], offset: u64, size: u64) -> io::Result<()> {
    let mut lengthened = false;
    for (range, zeros) in runs(bytes) {
        let at = offset + range.start as u64;
        if !zeros {
            write_all_at(file, &bytes[range], at)?;
            continue;
        }
        // The same length for all who write this file: nobody cuts off what another has written.
        if !std::mem::replace(&mut lengthened, true) && file.metadata()?.len() < size {
            file.set_len(size)?;
        }
        if !punch(file, at, range.len() as u64) {
            write_all_at(file, &bytes[range], at)?;
        }
    }
    Ok(())
}

/// The bytes as runs that are zeros or not, in order.
fn runs(bytes: &[u8]) -> Vec<(Range<usize>, bool)> {
    let mut runs: Vec<(Range<usize>, bool)> = Vec::new();
    for (index, block) in bytes.chunks(HOLE).enumerate() {
        let zeros = block.len() == HOLE && block == ZEROS;
        let (start, end) = (index * HOLE, index * HOLE + block.len());
        match runs.last_mut() {
            Some((run, kind)) if *kind == zeros => run.end = end,
            _ => runs.push((start..end, zeros)),
        }
    }
    runs
}

/// Makes a range read as zeros and gives its room back; false where that cannot be.
#[cfg(target_os = "linux")]
fn punch(file: &File, offset: u64, len: u64) -> bool {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    loop {
        match fallocate(file, flags, offset, len) {
            Err(Errno::INTR) => {}
            punched => return punched.is_ok(),
        }
    }
}

#[cfg(not(target_os = "linux"))]
const fn punch(_: &File, _: u64, _: u64) -> bool {
    false
}

/// Sets room aside for these ranges of a file that will have `size` bytes; a file system that cannot gets a sparse
/// file, and so does one in memory, where it would only touch every page once more.
///
/// # Errors
/// When there is no room.
#[cfg(target_os = "linux")]
pub fn set_aside(file: &File, ranges: &[Range<u64>], size: u64) -> io::Result<()> {
    if !crate::io::positional::is_in_memory(file)? {
        for range in ranges {
            if !allocate(file, range)? {
                break;
            }
        }
    }
    lengthen(file, size)
}

/// Sets room aside for these ranges of a file that will have `size` bytes; here it gets its length alone.
///
/// # Errors
/// When the file cannot be changed.
#[cfg(not(target_os = "linux"))]
pub fn set_aside(file: &File, _: &[Range<u64>], size: u64) -> io::Result<()> {
    lengthen(file, size)
}

/// False where the file system cannot.
#[cfg(target_os = "linux")]
fn allocate(file: &File, range: &Range<u64>) -> io::Result<bool> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    loop {
        match fallocate(file, FallocateFlags::empty(), range.start, range.end - range.start) {
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
            done => return Ok(done.map(|()| true)?),
        }
    }
}

fn lengthen(file: &File, size: u64) -> io::Result<()> {
    if file.metadata()?.len() < size { file.set_len(size) } else { Ok(()) }
}

/// Copies a whole file of `size` bytes into an empty one, holes included.
///
/// # Errors
/// When one cannot be read or the other not written.
pub fn copy(from: &File, to: &File, size: u64) -> io::Result<()> {
    /// Read at once: as many pages as pay for the call, few enough for a core's cache.
    const PIECE: u64 = 256 << 10;
    let mut buf = vec![0; usize::try_from(size.min(PIECE)).unwrap_or(HOLE)];
    let mut at = 0;
    while at < size {
        let len = usize::try_from((size - at).min(PIECE)).unwrap_or(HOLE);
        crate::io::positional::read_exact_at(from, &mut buf[..len], at)?;
        write_at(to, &buf[..len], at, size)?;
        at += len as u64;
    }
    lengthen(to, size)
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
