//! Reads and writes at an offset, without moving a cursor that other threads share.

use std::fs::File;
use std::io;

/// Fills `buf` from `offset`.
///
/// # Errors
/// When the disk fails or the file ends before.
pub fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buf, offset);
    #[cfg(windows)]
    {
        let (mut buf, mut offset) = (buf, offset);
        while !buf.is_empty() {
            let len = std::os::windows::fs::FileExt::seek_read(file, buf, offset)?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buf = &mut buf[len..];
            offset += len as u64;
        }
        Ok(())
    }
}

/// Writes all of `buf` at `offset`.
///
/// # Errors
/// When the disk fails or is full.
pub fn write_all_at(file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::write_all_at(file, buf, offset);
    #[cfg(windows)]
    {
        let (mut buf, mut offset) = (buf, offset);
        while !buf.is_empty() {
            let len = std::os::windows::fs::FileExt::seek_write(file, buf, offset)?;
            buf = &buf[len..];
            offset += len as u64;
        }
        Ok(())
    }
}
