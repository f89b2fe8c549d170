//! The lock of a partial file: that of its journal, held for as long as the file is open.
//! Invariant: what is locked is what has the journal's name.

use std::fs::File;
use std::time::Duration;

use super::claims::reader;
use super::{Names, PartialError};
use crate::io::receive::dest::{Access, DestError, SafeDir, try_lock};
use crate::io::receive::journal::Record;
use crate::io::share::stamp::FileStamp;

/// How often the journal may be removed by a process that ends while we wait for its lock.
const TRIES: usize = 16;
/// Whoever looks at what others have left takes a lock for an instant, so a taken lock is tried this often.
const LOOKS: usize = 5;
/// The pause between two.
const PAUSE: Duration = Duration::from_millis(10);

/// Opens and locks the journal. One that was removed between the two is not the journal any more.
pub(super) fn lock_journal(parent: &SafeDir, names: &Names) -> Result<File, PartialError> {
    let path = parent.shown(&names.journal);
    let in_use = |pid| PartialError::InUse { path: parent.shown(&names.part), pid };
    let mut looks = 0;
    for _ in 0..TRIES {
        let file = parent.file(&names.journal, Access::OpenOrCreate)?;
        while !try_lock(&file).map_err(|e| DestError::io("lock", &path, e))? {
            looks += 1;
            if looks >= LOOKS {
                return Err(in_use(last_pid(parent, names)));
            }
            std::thread::sleep(PAUSE);
        }
        if is_named(parent, names, &file).map_err(|e| DestError::io("look at", &path, e))? {
            return Ok(file);
        }
    }
    Err(in_use(None))
}

/// The lock of another transfer's journal, if nobody has it.
pub(super) fn hold(parent: &SafeDir, names: &Names) -> Option<File> {
    let file = parent.file(&names.journal, Access::Read).ok()?;
    (try_lock(&file).ok()? && is_named(parent, names, &file).ok()?).then_some(file)
}

/// Whether the open file is still what has the journal's name.
fn is_named(parent: &SafeDir, names: &Names, file: &File) -> std::io::Result<bool> {
    let there = parent.stat(&names.journal).ok().flatten().and_then(|s| s.identity);
    Ok(there == FileStamp::of_file(file)?.identity())
}

fn last_pid(parent: &SafeDir, names: &Names) -> Option<u32> {
    let (_, mut reader) = reader(parent, names)?;
    let mut last = None;
    while let Ok(Some(record)) = reader.record() {
        if let Record::Session { pid, .. } = record {
            last = Some(pid);
        }
    }
    last
}
