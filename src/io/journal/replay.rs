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
    /// Units that are on the disk, to be hashed again.
    pub have: Bitfield,
    /// Chunk lists by index of file, unproven.
    pub lists: HashMap<u32, Vec<u8>>,
    /// A collection's canonical bytes, unproven.
    pub manifest: Option<Vec<u8>>,
    /// The patterns of the paths that the last of them asked for; all when there are none.
    pub only: Vec<String>,
    /// The process that used it last.
    pub pid: Option<u32>,
    /// The final name that the last of them had for it, unchecked.
    pub target: Option<String>,
}

/// Reads all that is whole. Chunk lists and manifests prove themselves, so they count wherever they stand.
///
/// # Errors
/// When the file cannot be read.
pub fn replay<R: Read>(reader: &mut Reader<R>, units: u32, boot: [u8; 16]) -> io::Result<Claims> {
    let mut claims = Claims { have: Bitfield::empty(units), ..Claims::default() };
    // Not yet covered by a checkpoint, with the offset at which each record ends.
    let mut since: Vec<(u64, Range<u32>)> = Vec::new();
    let mut written_in = None;
    while let Some(record) = reader.record()? {
        match record {
            Record::Checkpoint(upto) => since.retain(|(end, range)| {
                let covered = *end <= upto;
                if covered {
                    claims.have.set_range(range.clone());
                }
                !covered
            }),
            Record::Have(ranges) => since.extend(ranges.into_iter().map(|r| (reader.end(), r))),
            Record::List { file, values } => drop(claims.lists.insert(file, values)),
            Record::Manifest(bytes) => claims.manifest = Some(bytes),
            Record::Only(globs) => claims.only = globs,
            Record::Session { boot: now, pid } => {
                if written_in.replace(now) != Some(now) {
                    since.clear();
                }
                claims.pid = Some(pid);
            }
            Record::Target(name) => claims.target = Some(name),
        }
    }
    if written_in == Some(boot) {
        since.into_iter().for_each(|(_, range)| claims.have.set_range(range));
    }
    Ok(claims)
}
