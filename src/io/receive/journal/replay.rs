//! What a journal claims, given what has happened since it was written.
//! Invariant: a unit counts when it was noted in this run of the operating system, or before a checkpoint.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;

use super::{Reader, Record};
use crate::model::Bitfield;

/// What a journal claims.
#[derive(Debug, Default)]
pub struct Claims {
    /// Units that are on the disk, to be hashed again; those of the header's size.
    pub have: Bitfield,
    /// Chunk lists by index of file, unproven.
    pub lists: HashMap<u32, Vec<u8>>,
    /// A collection's canonical bytes, unproven.
    pub manifest: Option<Vec<u8>>,
    /// The patterns of the paths that the last of them asked for; all when there are none.
    pub only: Vec<String>,
    /// The process that used it last.
    pub pid: Option<u32>,
    /// What is claimed under other sizes than the header's, in the order in which these first came.
    pub resized: Vec<Resized>,
    /// The size that the last run took it to have, if any did not take the header's.
    pub size: Option<u64>,
    /// The final name that the last of them had for it, unchecked.
    pub target: Option<String>,
}

/// What was noted while the content was taken to have another size. It is content all the same.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Resized {
    /// The size in bytes.
    pub size: u64,
    /// Units of that size.
    pub have: Vec<Range<u32>>,
    /// The chunk list of that size, unproven.
    pub list: Option<Vec<u8>>,
}

/// Reads all that is whole. Chunk lists and manifests prove themselves, so they count wherever they stand.
///
/// # Errors
/// When the file cannot be read.
pub fn replay<R: Read>(reader: &mut Reader<R>, units: u32, boot: [u8; 16]) -> io::Result<Claims> {
    let mut claims = Claims { have: Bitfield::empty(units), ..Claims::default() };
    // Not yet covered by a checkpoint, with the offset at which each record ends and the size that it is of.
    let mut since: Vec<(u64, Option<u64>, Range<u32>)> = Vec::new();
    let mut written_in = None;
    while let Some(record) = reader.record()? {
        match record {
            Record::Checkpoint(upto) => {
                for (_, size, range) in since.extract_if(.., |(end, ..)| *end <= upto) {
                    claims.add(size, range);
                }
            }
            Record::Have(ranges) => since.extend(ranges.into_iter().map(|r| (reader.end(), claims.size, r))),
            Record::List { file, values } => match claims.size {
                None => drop(claims.lists.insert(file, values)),
                Some(size) => claims.of(size).list = Some(values),
            },
            Record::Manifest(bytes) => claims.manifest = Some(bytes),
            Record::Only(globs) => claims.only = globs,
            Record::Session { boot: now, pid } => {
                if written_in.replace(now) != Some(now) {
                    since.clear();
                }
                claims.pid = Some(pid);
            }
            Record::Size(size) => claims.size = Some(size),
            Record::Target(name) => claims.target = Some(name),
        }
    }
    if written_in == Some(boot) {
        since.into_iter().for_each(|(_, size, range)| claims.add(size, range));
    }
    Ok(claims)
}

impl Claims {
    fn add(&mut self, size: Option<u64>, range: Range<u32>) {
        match size {
            None => self.have.set_range(range),
            Some(size) => self.of(size).have.push(range),
        }
    }

    fn of(&mut self, size: u64) -> &mut Resized {
        let known = self.resized.iter().position(|known| known.size == size);
        let place = known.unwrap_or_else(|| {
            self.resized.push(Resized { size, ..Resized::default() });
            self.resized.len() - 1
        });
        &mut self.resized[place]
    }
}
