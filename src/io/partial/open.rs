//! Opening a partial file: the lock, what the journal claims, the room for the rest.
//! Invariant: a claim is believed only for units of wanted files whose chunk list, where one is needed, is there.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::{Data, Givers, Names, Partial, PartialError, PartialSpec, Resumed, State, Tree};
use crate::io::dest::{Access, DestError, FileKind, SafeDir, try_lock};
use crate::io::journal::{BootId, Claims, Header, HeaderError, Log, Reader, Record};
use crate::io::space;
use crate::model::collection::Entry;
use crate::model::units::UnitFile;
use crate::model::{Bitfield, ChunkList, ContentId, Kind, UnitIndex};

/// How often the journal may be removed by a process that ends while we wait for its lock.
const TRIES: usize = 16;

pub(super) fn open(parent: &SafeDir, spec: PartialSpec) -> Result<(Partial, Resumed), PartialError> {
    let names = Names::of(spec.id);
    let journal = lock_journal(parent, &names)?;
    let new = is_new(parent, &names, &journal)?;
    let held = journal.try_clone();
    let opened = open_locked(parent, names.clone(), spec, journal);
    if opened.is_err() && new {
        // Nothing was there before and nothing was proven: nothing is left behind. The error is the one to tell.
        let _ = parent.remove_tree(&names.part);
        let _ = parent.remove_file(&names.journal);
    }
    drop(held);
    opened
}

/// Whether no earlier run has left anything.
fn is_new(parent: &SafeDir, names: &Names, journal: &File) -> Result<bool, PartialError> {
    let empty = journal.metadata().is_ok_and(|meta| meta.len() == 0);
    Ok(empty && parent.stat(&names.part)?.is_none())
}

fn open_locked(
    parent: &SafeDir,
    names: Names,
    spec: PartialSpec,
    journal: File,
) -> Result<(Partial, Resumed), PartialError> {
    let (log, claims) = begin_or_resume(parent, &names, &spec, journal)?;
    let data = open_data(parent, &names, &spec)?;
    let lists = lists(&spec, &claims);
    let units = believed(&spec, &data, &claims, &lists);
    space::check(parent, missing_bytes(parent, &names, &spec, &data, &units)?)?;
    let state = State { log, noted: units.clone(), checkpoint: 0 };
    let (dirty, named) = (Mutex::new(HashSet::new()), AtomicBool::new(false));
    let partial = Partial { parent: parent.clone(), names, spec, data, state: Mutex::new(state), dirty, named };
    begin_session(&partial, &claims)?;
    for (_, list) in &lists {
        partial.data.set_aside(&partial, list.layout().size())?;
    }
    Ok((partial, Resumed { units, lists }))
}

pub(super) fn resume_manifest(parent: &SafeDir, id: ContentId) -> Option<Vec<u8>> {
    let (header, mut reader) = reader(parent, &Names::of(id))?;
    if header.id != id || header.kind != Kind::Collection {
        return None;
    }
    while let Some(record) = reader.record().ok()? {
        if let Record::Manifest(bytes) = record {
            return Some(bytes).filter(|b| ContentId::of(b) == id);
        }
    }
    None
}

pub(super) fn discard(parent: &SafeDir, id: ContentId) -> Result<(), PartialError> {
    let names = Names::of(id);
    if parent.stat(&names.journal)?.is_none() && parent.stat(&names.part)?.is_none() {
        return Ok(());
    }
    match lock_journal(parent, &names) {
        Ok(_held) => {
            parent.remove_tree(&names.part)?;
            Givers::of(parent, id).remove()?;
            Ok(parent.remove_file(&names.journal)?)
        }
        Err(PartialError::InUse { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The units of all files of which some path is wanted.
pub(super) fn wanted(spec: &PartialSpec, data: &Data) -> Bitfield {
    let Data::Tree(tree) = data else { return Bitfield::full(spec.map.units()) };
    let mut wanted = Bitfield::empty(spec.map.units());
    for (index, file) in spec.map.files().iter().enumerate() {
        if tree.home(index).is_some() {
            wanted.set_range(file.units());
        }
    }
    wanted
}

/// Opens and locks the journal. One that was removed between the two is not the journal any more.
fn lock_journal(parent: &SafeDir, names: &Names) -> Result<File, PartialError> {
    let path = parent.shown(&names.journal);
    let in_use = |pid| PartialError::InUse { path: parent.shown(&names.part), pid };
    for _ in 0..TRIES {
        let file = parent.file(&names.journal, Access::OpenOrCreate)?;
        if !try_lock(&file).map_err(|e| DestError::io("lock", &path, e))? {
            return Err(in_use(last_pid(parent, names)));
        }
        let there = parent.stat(&names.journal)?.and_then(|s| s.identity);
        if there == identity(&file).map_err(|e| DestError::io("look at", &path, e))? {
            return Ok(file);
        }
    }
    Err(in_use(None))
}

#[cfg(unix)]
fn identity(file: &File) -> std::io::Result<Option<(u64, u64)>> {
    use std::os::unix::fs::MetadataExt as _;
    file.metadata().map(|m| Some((m.dev(), m.ino())))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "one signature on all platforms")]
fn identity(_file: &File) -> std::io::Result<Option<(u64, u64)>> {
    Ok(None)
}

pub(super) fn reader(parent: &SafeDir, names: &Names) -> Option<(Header, Reader<BufReader<File>>)> {
    let file = parent.file(&names.journal, Access::Read).ok()?;
    let len = file.metadata().ok()?.len();
    Reader::new(BufReader::new(file), len).ok()
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

/// Goes on with the journal if its data is there; else both begin anew.
fn begin_or_resume(
    parent: &SafeDir,
    names: &Names,
    spec: &PartialSpec,
    journal: File,
) -> Result<(Log, Claims), PartialError> {
    let path = parent.shown(&names.journal);
    let failed = |e| DestError::io("write", &path, e);
    let header = Header { id: spec.id, kind: spec.kind, size: spec.size };
    let data_there = parent.stat(&names.part)?.is_some();
    let again = journal.try_clone().map_err(failed)?;
    match Log::resume(journal, spec.map.units(), BootId::now()) {
        Ok((found, claims, log)) if found == header && data_there => return Ok((log, claims)),
        // A size that somebody lied about may have come first; then nothing of it was ever proven.
        Ok((found, claims, _)) if found != header && claims.have.count() > 0 => {
            return Err(PartialError::Mismatch { path });
        }
        Ok((found, ..)) if found != header => parent.remove_tree(&names.part)?,
        Ok(_) | Err(HeaderError::Torn) => {}
        Err(HeaderError::Io(e)) => return Err(DestError::io("read", &path, e).into()),
        Err(HeaderError::Version) => return Err(PartialError::Version { path }),
    }
    let log = Log::begin(again, &header).map_err(failed)?;
    Ok((log, Claims { have: Bitfield::empty(spec.map.units()), ..Claims::default() }))
}

fn open_data(parent: &SafeDir, names: &Names, spec: &PartialSpec) -> Result<Data, PartialError> {
    let exists = || DestError::Exists { path: parent.shown(&names.part) };
    let there = parent.stat(&names.part)?.map(|s| s.kind);
    let Some(collection) = &spec.collection else {
        return match there {
            None | Some(FileKind::File) => {
                let file = parent.file(&names.part, Access::OpenOrCreate)?;
                Ok(Data::File { file, turn: Mutex::default() })
            }
            Some(FileKind::Link) => Err(DestError::Link { path: parent.shown(&names.part) }.into()),
            Some(_) => Err(exists().into()),
        };
    };
    parent.create_dirs(&names.part)?;
    let wanted = |path: &_| !spec.present.contains(path) && !spec.unwanted.contains(path);
    let tree = Tree::new(parent.dir(&names.part)?, there.is_none(), (collection, &spec.map), wanted);
    if there.is_some() {
        move_home(&tree, spec)?;
    }
    Ok(Data::Tree(tree))
}

/// An earlier run that wanted other paths has the bytes under another of a file's paths.
fn move_home(tree: &Tree, spec: &PartialSpec) -> Result<(), PartialError> {
    let Some(collection) = &spec.collection else { return Ok(()) };
    let entries = collection.entries();
    let mut settled: HashMap<usize, bool> = HashMap::new();
    for (index, (path, entry)) in entries.iter().enumerate() {
        let Entry::File { size, .. } = entry else { continue };
        let Some(home) = tree.home_of_entry(index).filter(|&home| home != index && *size > 0) else { continue };
        let (at_home, _) = &entries[home];
        let there = match settled.get(&home) {
            Some(&there) => there,
            None => tree.root.stat(at_home)?.is_some(),
        };
        let moved = !there && tree.root.stat(path)?.is_some_and(|s| s.kind == FileKind::File);
        if moved {
            if let Some(above) = at_home.parent() {
                tree.root.create_dirs(&above)?;
            }
            tree.root.rename(path, &tree.root, at_home, crate::io::dest::Replace::Never)?;
        }
        settled.insert(home, there || moved);
    }
    Ok(())
}

pub(super) fn lists(spec: &PartialSpec, claims: &Claims) -> Vec<(usize, ChunkList)> {
    let files = spec.map.files().iter().enumerate();
    let lists = files.filter_map(|(index, UnitFile { id, layout, .. })| {
        let values = claims.lists.get(&u32::try_from(index).ok()?)?;
        let list = layout.needs_list().then(|| ChunkList::from_bytes(*id, *layout, values).ok())??;
        Some((index, list))
    });
    lists.collect()
}

fn believed(spec: &PartialSpec, data: &Data, claims: &Claims, lists: &[(usize, ChunkList)]) -> Bitfield {
    let mut provable = wanted(spec, data);
    let listed: HashSet<usize> = lists.iter().map(|(index, _)| *index).collect();
    for (index, file) in spec.map.files().iter().enumerate() {
        if file.layout.needs_list() && !listed.contains(&index) {
            for unit in file.units() {
                provable.clear(unit);
            }
        }
    }
    let mut believed = Bitfield::empty(spec.map.units());
    for unit in claims.have.iter().filter(|&unit| provable.has(unit)) {
        believed.set(unit);
    }
    believed
}

/// Bytes that the disk has to take yet: units not there, and copies.
fn missing_bytes(
    parent: &SafeDir,
    names: &Names,
    spec: &PartialSpec,
    data: &Data,
    there: &Bitfield,
) -> Result<u64, PartialError> {
    let Data::Tree(tree) = data else {
        let allocated = parent.stat(&names.part)?.map_or(0, |s| s.allocated);
        return Ok(spec.size.saturating_sub(allocated));
    };
    let units = wanted(spec, data).iter().filter(|&unit| !there.has(unit)).map(|u| spec.map.len(UnitIndex(u))).sum();
    let entries = spec.collection.iter().flat_map(|c| c.entries().iter().enumerate());
    let copies = entries.filter_map(|(index, (path, entry))| match entry {
        Entry::File { size, .. } if !spec.present.contains(path) && !spec.unwanted.contains(path) => {
            (tree.home_of_entry(index) != Some(index)).then_some(*size)
        }
        _ => None,
    });
    Ok(copies.fold(units, u64::saturating_add))
}

fn begin_session(partial: &Partial, claims: &Claims) -> Result<(), PartialError> {
    let mut state = partial.state();
    let session = Record::Session { boot: BootId::now().0, pid: std::process::id() };
    partial.append(&mut state, &session)?;
    let known = claims.manifest.as_ref().is_some_and(|bytes| ContentId::of(bytes) == partial.spec.id);
    match &partial.spec.collection {
        Some(collection) if !known => partial.append(&mut state, &Record::Manifest(collection.manifest())),
        _ => Ok(()),
    }
}
