//! Positional reads and writes of whole buffers, without moving a cursor that other threads share.

use std::fs::File;
use std::io;

/// Fills the buffer from that offset.
///
/// # Errors
/// When the file ends before, or cannot be read.
#[cfg(unix)]
pub fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

/// Fills the front of the buffer from that offset with what is in memory, and says how much that is: 0 at the end, and
/// where the file system cannot tell. Does not wait for a disk (`RWF_NOWAIT`, preadv2(2)), but for swap.
///
/// # Errors
/// When the file cannot be read.
#[cfg(target_os = "linux")]
pub fn read_ready_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let mut len = 0;
    while len < buf.len() {
        let rest = &mut [io::IoSliceMut::new(&mut buf[len..])];
        match preadv2(file, rest, offset + len as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) | Err(Errno::AGAIN) => break,
            Ok(more) => len += more,
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) if is_in_memory(file)? => {
                return std::os::unix::fs::FileExt::read_at(file, buf, offset);
            }
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(len)
}

/// Elsewhere nobody can tell.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn read_ready_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Ok(0)
}

/// Whether the file is on a file system without a disk.
///
/// # Errors
/// When the system does not say.
#[cfg(target_os = "linux")]
pub fn is_in_memory(file: &File) -> io::Result<bool> {
    /// As `statfs(2)` lists it.
    const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;
    Ok(rustix::fs::fstatfs(file)?.f_type == TMPFS_MAGIC)
}

/// Writes the whole buffer at that offset.
///
/// # Errors
/// When the file cannot be written.
#[cfg(unix)]
pub fn write_all_at(file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, buf, offset)
}

/// Fills the buffer from that offset.
///
/// # Errors
/// When the file ends before, or cannot be read.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

/// Writes the whole buffer at that offset.
///
/// # Errors
/// When the file cannot be written.
#[cfg(windows)]
pub fn write_all_at(file: &File, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, buf, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => {
                buf = &buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
