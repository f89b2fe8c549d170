//! The journal of a partial file: which units are on the disk. Format, byte by byte, in `docs/storage.md`.
//! Invariant: each record's checksum covers the one before, so what is read is always a prefix of what was
//! written, however the file was torn or bent. Not responsible for whether the data is there: that is hashed again.

mod log;
mod replay;

use std::io::{self, Read};
use std::ops::Range;

use crate::model::{Content, ContentId, Kind};

pub use log::{BootId, Log};
pub use replay::{Claims, Resized, replay};

/// The first bytes of every journal; the last of them is the version.
pub const MAGIC: [u8; 8] = *b"qsharej\x01";
/// Bytes of the header.
pub const HEADER: usize = 57;
/// The longest record body: a manifest of 128 MiB, and its type.
pub const MAX_BODY: usize = crate::model::collection::MAX_MANIFEST + 1;

const LEN: usize = 4;
const SUM: usize = 8;
type Sum = [u8; SUM];

/// One thing noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Data and journal up to this offset in the journal have been synced.
    Checkpoint(u64),
    /// These units have been proven and written.
    Have(Vec<Range<u32>>),
    /// The chunk list of one file of the unit map, as it travels.
    List {
        /// Index of the file.
        file: u32,
        /// The chaining values.
        values: Vec<u8>,
    },
    /// The collection's canonical bytes.
    Manifest(Vec<u8>),
    /// The patterns of the paths that are asked for; all when there are none.
    Only(Vec<String>),
    /// A process has begun to use the journal.
    Session {
        /// Which run of the operating system.
        boot: [u8; 16],
        /// Which process.
        pid: u32,
    },
    /// From here on a single file is taken to have this size, and records speak of its units: somebody has lied about one
    /// of the sizes.
    Size(u64),
    /// The final name, in the journal's own directory.
    Target(String),
}

/// Why a file is not a journal that can be read.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Empty, or torn while its header was written.
    #[error("the journal has no header")]
    Torn,
    /// Written by another version.
    #[error("the journal is of another version")]
    Version,
}

/// The header of a journal of that content, its size as it was first taken to be.
pub fn header_of(content: &Content) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8] = u8::from(content.kind == Kind::Collection);
    bytes[9..17].copy_from_slice(&content.size.to_be_bytes());
    bytes[17..49].copy_from_slice(content.id.as_bytes());
    let sum = sum_of(&[&bytes[..49]]);
    bytes[49..].copy_from_slice(&sum);
    bytes
}

fn content_of(bytes: &[u8; HEADER]) -> Result<(Content, Sum), HeaderError> {
    let sum = sum_of(&[&bytes[..49]]);
    if bytes[49..] != sum || bytes[..7] != MAGIC[..7] {
        return Err(HeaderError::Torn);
    }
    let kind = match (bytes[7], bytes[8]) {
        (version, _) if version != MAGIC[7] => return Err(HeaderError::Version),
        (_, 0) => Kind::File,
        (_, 1) => Kind::Collection,
        _ => return Err(HeaderError::Version),
    };
    let mut size = [0; 8];
    size.copy_from_slice(&bytes[9..17]);
    let mut id = [0; 32];
    id.copy_from_slice(&bytes[17..49]);
    Ok((Content { id: ContentId::from_bytes(id), kind, size: u64::from_be_bytes(size) }, sum))
}

impl Record {
    fn body(&self) -> Vec<u8> {
        match self {
            Self::Checkpoint(upto) => [&[5][..], &upto.to_be_bytes()].concat(),
            Self::Have(ranges) => {
                let mut body = vec![4];
                body.extend(ranges.iter().flat_map(|r| [r.start.to_be_bytes(), r.end.to_be_bytes()].concat()));
                body
            }
            Self::List { file, values } => [&[3][..], &file.to_be_bytes(), values].concat(),
            Self::Manifest(bytes) => [&[2][..], bytes].concat(),
            // No pattern on a command line has a NUL byte in it.
            Self::Only(globs) => [&[8][..], globs.join("\0").as_bytes()].concat(),
            Self::Session { boot, pid } => [&[1][..], boot, &pid.to_be_bytes()].concat(),
            Self::Size(size) => [&[7][..], &size.to_be_bytes()].concat(),
            Self::Target(name) => [&[6][..], name.as_bytes()].concat(),
        }
    }

    fn parse(mut body: Vec<u8>) -> Option<Self> {
        let (&kind, payload) = body.split_first()?;
        match kind {
            1 => {
                let (boot, pid) = payload.split_first_chunk::<16>()?;
                Some(Self::Session { boot: *boot, pid: u32::from_be_bytes(pid.try_into().ok()?) })
            }
            2 => Some(Self::Manifest(body.split_off(1))),
            3 => {
                let file = u32::from_be_bytes(*payload.first_chunk()?);
                Some(Self::List { file, values: body.split_off(5) })
            }
            4 => {
                let (pairs, rest) = payload.as_chunks::<8>();
                let number = |b: &[u8]| b.iter().fold(0, |n, b| n << 8 | u32::from(*b));
                let ranges: Vec<_> = pairs.iter().map(|p| number(&p[..4])..number(&p[4..])).collect();
                (rest.is_empty() && ranges.iter().all(|r| r.start < r.end)).then_some(Self::Have(ranges))
            }
            5 => Some(Self::Checkpoint(u64::from_be_bytes(payload.try_into().ok()?))),
            6 => Some(Self::Target(std::str::from_utf8(payload).ok()?.to_owned())),
            7 => Some(Self::Size(u64::from_be_bytes(payload.try_into().ok()?))),
            8 if payload.is_empty() => Some(Self::Only(Vec::new())),
            8 => Some(Self::Only(std::str::from_utf8(payload).ok()?.split('\0').map(str::to_owned).collect())),
            _ => None,
        }
    }
}

/// The bytes of a record that follows one with checksum `before`, and its own checksum.
fn encode(record: &Record, before: Sum) -> (Vec<u8>, Sum) {
    let body = record.body();
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let sum = sum_of(&[&before, &len, &body]);
    ([&len[..], &body, &sum].concat(), sum)
}

/// Reads records one by one, and never past the first that is not whole.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    rest: u64,
    end: u64,
    sum: Sum,
}

impl<R: Read> Reader<R> {
    /// Reads the header of a journal of `len` bytes.
    ///
    /// # Errors
    /// When it has none that can be read.
    pub fn new(mut from: R, len: u64) -> Result<(Content, Self), HeaderError> {
        let mut bytes = [0; HEADER];
        if len < HEADER as u64 || !filled(&mut from, &mut bytes)? {
            return Err(HeaderError::Torn);
        }
        let (content, sum) = content_of(&bytes)?;
        Ok((content, Self { from, rest: len - HEADER as u64, end: HEADER as u64, sum }))
    }

    /// The next whole record; `None` at the end, or at the first that is torn. Allocates no more than is there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn record(&mut self) -> io::Result<Option<Record>> {
        let mut prefix = [0; LEN];
        if self.rest < (LEN + SUM) as u64 || !filled(&mut self.from, &mut prefix)? {
            return Ok(None);
        }
        let len = u32::from_be_bytes(prefix) as usize;
        if len > MAX_BODY || len as u64 > self.rest - (LEN + SUM) as u64 {
            return self.torn();
        }
        let (mut body, mut sum) = (vec![0; len], [0; SUM]);
        let whole = filled(&mut self.from, &mut body)? && filled(&mut self.from, &mut sum)?;
        if !whole || sum != sum_of(&[&self.sum, &prefix, &body]) {
            return self.torn();
        }
        let Some(record) = Record::parse(body) else { return self.torn() };
        let all = (LEN + len + SUM) as u64;
        (self.rest, self.end, self.sum) = (self.rest - all, self.end + all, sum);
        Ok(Some(record))
    }

    /// Where the last whole record ended.
    pub const fn end(&self) -> u64 {
        self.end
    }

    fn torn(&mut self) -> io::Result<Option<Record>> {
        self.rest = 0;
        Ok(None)
    }
}

fn filled(from: &mut impl Read, buf: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buf) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

fn sum_of(parts: &[&[u8]]) -> Sum {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut sum = [0; SUM];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM]);
    sum
}

#[cfg(test)]
mod tests;
