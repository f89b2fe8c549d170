//! A journal on the disk, being written.
//! Invariant: records stand one after the other; one that failed half-way is overwritten by the next.

use std::fs::File;
use std::io::{self, BufReader, Seek as _};

use super::{Claims, HEADER, HeaderError, Reader, Record, Sum, encode, header_of, replay};
use crate::io::positional::write_all_at;
use crate::model::Content;

/// One run of the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// This run. Where the system does not tell, one that never was: then only what a checkpoint covers counts
    /// after a restart of the process.
    pub fn now() -> Self {
        let told = std::fs::read("/proc/sys/kernel/random/boot_id").ok().filter(|text| !text.is_empty());
        told.map_or_else(|| Self(rand::random()), |text| Self::from_text(&text))
    }

    fn from_text(text: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(text.trim_ascii()).as_bytes()[..16]);
        Self(bytes)
    }
}

/// An open journal.
#[derive(Debug)]
pub struct Log {
    file: File,
    end: u64,
    sum: Sum,
}

impl Log {
    /// Begins a journal; what the file held is gone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(file: File, content: &Content) -> io::Result<Self> {
        file.set_len(0)?;
        let bytes = header_of(content);
        write_all_at(&file, &bytes, 0)?;
        let mut sum = Sum::default();
        sum.copy_from_slice(&bytes[HEADER - super::SUM..]);
        Ok(Self { file, end: HEADER as u64, sum })
    }

    /// Reads a journal to go on with it, and cuts a torn tail. `units` are those of its header's size.
    ///
    /// # Errors
    /// When it has no header, or cannot be read or cut.
    pub fn resume(
        mut file: File,
        units: impl FnOnce(&Content) -> u32,
        boot: BootId,
    ) -> Result<(Content, Claims, Self), HeaderError> {
        let len = file.metadata()?.len();
        file.rewind()?;
        let (content, mut reader) = Reader::new(BufReader::with_capacity(1 << 16, &file), len)?;
        let claims = replay(&mut reader, units(&content), boot.0)?;
        let (end, sum) = (reader.end, reader.sum);
        drop(reader);
        file.set_len(end)?;
        Ok((content, claims, Self { file, end, sum }))
    }

    /// Appends a record, without syncing.
    ///
    /// # Errors
    /// When it cannot be written; then it is as if it had not been tried.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let (bytes, sum) = encode(record, self.sum);
        write_all_at(&self.file, &bytes, self.end)?;
        self.end += bytes.len() as u64;
        self.sum = sum;
        Ok(())
    }

    /// Where the next record will begin.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// A handle by which the journal can be synced while others append.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}
