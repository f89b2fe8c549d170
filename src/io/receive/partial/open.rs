//! Opening a partial file: the lock, what the journal claims, the room for the rest.
//! Invariant: a claim is believed only for units of wanted files whose chunk list, where one is needed, is there.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::earlier::regrouped;
use super::inherit::{self, Legacy};
use super::{Data, Earlier, Names, Partial, PartialError, PartialSpec, Resumed, State, Tree};
use crate::io::receive::dest::{Access, DestError, FileKind, LastDir, SafeDir, Stat, try_lock};
use crate::io::receive::journal::{BootId, Claims, HeaderError, Log, Reader, Record, Resized};
use crate::io::receive::space;
use crate::model::collection::Entry;
use crate::model::units::UnitFile;
use crate::model::{Bitfield, ChunkList, Content, ContentId, Kind, Layout, SafePath, UnitMap, Wanted};

/// How often the journal may be removed by a process that ends while we wait for its lock.
const TRIES: usize = 16;
/// Whoever looks at what others have left takes a lock for an instant, so a taken lock is tried this often.
const LOOKS: usize = 5;
/// The pause between two.
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn open(parent: &SafeDir, spec: PartialSpec) -> Result<(Partial, Resumed), PartialError> {
    let names = Names::of(spec.wanted.content.id);
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
    let mut lists = listed(&spec.wanted.map, &claims);
    let mut units = believed(&spec, &data, &claims, &lists);
    let own = inherit::own(&names, &spec, &data, &claims.have, &lists);
    let legacy = Legacy::find(parent, &names, &spec, &data, &units);
    let noted = units.clone();
    for unit in legacy.moving() {
        units.set(unit);
    }
    space::check(parent, missing_bytes(parent, &names, &spec, &data, &units)?)?;
    let mut partial = Partial {
        parent: parent.clone(),
        names,
        spec,
        data,
        state: Mutex::new(State { log, noted, checkpoint: 0 }),
        dirty: Mutex::default(),
        named: AtomicBool::new(false),
        kin: HashMap::new(),
        superseded: Vec::new(),
    };
    begin_session(&partial, &claims)?;
    for (file, list) in legacy.lists() {
        if lists.iter().all(|(known, _)| *known != file) {
            partial.note_list(file, &list)?;
            lists.push((file, list));
        }
    }
    if !lists.is_empty() {
        partial.set_aside()?;
    }
    let superseded = legacy.superseded();
    // Last: what was moved here must not be removed because something else failed.
    legacy.take(&mut partial)?;
    partial.kin.extend(own);
    Ok((partial, Resumed { units, lists, superseded }))
}

pub(super) fn resume_manifest(parent: &SafeDir, id: ContentId) -> Option<Vec<u8>> {
    let (header, mut reader) = reader(parent, &Names::of(id))?;
    if header.id == id && header.kind == Kind::Collection { manifest_of(&mut reader, id) } else { None }
}

/// The canonical bytes of a collection, if they are noted.
pub(super) fn manifest_of(reader: &mut Reader<impl Read>, id: ContentId) -> Option<Vec<u8>> {
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
            // A run that ended between publishing and clearing up has left the others too.
            if let Some(target) = Earlier::read(parent, &names).and_then(|earlier| earlier.target().cloned()) {
                inherit::remove_all_of(parent, &names, &target)?;
            }
            inherit::remove(parent, &names)
        }
        Err(PartialError::InUse { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The units of all files of which some path is wanted.
pub(super) fn wanted(spec: &PartialSpec, data: &Data) -> Bitfield {
    let Data::Tree(tree) = data else { return Bitfield::full(spec.wanted.map.units()) };
    let mut wanted = Bitfield::empty(spec.wanted.map.units());
    for (index, file) in spec.wanted.map.files().iter().enumerate() {
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
    Ok(there == identity(file)?)
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

pub(super) fn reader(parent: &SafeDir, names: &Names) -> Option<(Content, Reader<BufReader<File>>)> {
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

/// Goes on with the journal if its data is there; else both begin anew. One that was written for another size is gone on
/// with: which of the sizes is true is not known yet, and what was proven for either is content.
fn begin_or_resume(
    parent: &SafeDir,
    names: &Names,
    spec: &PartialSpec,
    journal: File,
) -> Result<(Log, Claims), PartialError> {
    let path = parent.shown(&names.journal);
    let failed = |e| DestError::io("write", &path, e);
    let Content { id, kind, size } = spec.wanted.content;
    let data_there = parent.stat(&names.part)?.is_some();
    let again = journal.try_clone().map_err(failed)?;
    match Log::resume(journal, |found| units_of(found, &spec.wanted), BootId::now()) {
        Ok((found, claims, mut log)) if (found.id, found.kind) == (id, kind) && data_there => {
            if claims.size.unwrap_or(found.size) != size {
                log.append(&Record::Size(size)).map_err(failed)?;
            }
            return Ok((log, claimed(claims, found.size, &spec.wanted.map)));
        }
        // The bytes of a collection are not those of its list, which is the one file that has this id.
        Ok((_, claims, _)) if kind == Kind::File && is_list(&claims, id) => {
            return Err(PartialError::Kind { path });
        }
        Ok((found, ..)) if found.kind != kind => parent.remove_tree(&names.part)?,
        Ok(_) | Err(HeaderError::Torn) => {}
        Err(HeaderError::Io(e)) => return Err(DestError::io("read", &path, e).into()),
        Err(HeaderError::Version) => return Err(PartialError::Version { path }),
    }
    let log = Log::begin(again, &spec.wanted.content).map_err(failed)?;
    Ok((log, Claims { have: Bitfield::empty(spec.wanted.map.units()), ..Claims::default() }))
}

fn units_of(found: &Content, wanted: &Wanted) -> u32 {
    let Content { kind, size, .. } = wanted.content;
    if (found.kind, found.size) == (kind, size) { wanted.map.units() } else { units_of_file(found.size) }
}

/// The units of a single file of that size; none when there can be no such file.
pub(super) fn units_of_file(size: u64) -> u32 {
    Layout::of(size).map_or(0, |layout| layout.chunks())
}

fn is_list(claims: &Claims, id: ContentId) -> bool {
    claims.manifest.as_ref().is_some_and(|bytes| ContentId::of(bytes) == id)
}

/// What a journal claims, whichever sizes it was written for, in units of this map. `size` is its header's.
pub(super) fn claimed(claims: Claims, size: u64, map: &UnitMap) -> Claims {
    let [file] = map.files() else { return claims };
    if claims.resized.is_empty() && file.layout.size() == size {
        return claims;
    }
    let Claims { have, lists, resized, .. } = claims;
    let list = lists.into_iter().find(|(index, _)| *index == 0).map(|(_, list)| list);
    let first = Resized { size, have: have.ranges(), list };
    let (mut have, mut lists) = (Bitfield::empty(map.units()), HashMap::new());
    for Resized { size, have: ranges, list } in std::iter::once(first).chain(resized) {
        let Some(layout) = Layout::of(size) else { continue };
        let mut there = Bitfield::empty(layout.chunks());
        ranges.into_iter().for_each(|range| there.set_range(range));
        let old = UnitFile { id: file.id, layout, first: 0 };
        regrouped(&old, &there, file).into_iter().for_each(|range| have.set_range(range));
        let same = (layout.chunk_size(), layout.chunks()) == (file.layout.chunk_size(), file.layout.chunks());
        lists.extend(list.filter(|_| same).map(|list| (0, list)));
    }
    Claims { have, lists, resized: Vec::new(), ..claims }
}

fn open_data(parent: &SafeDir, names: &Names, spec: &PartialSpec) -> Result<Data, PartialError> {
    let exists = || DestError::Exists { path: parent.shown(&names.part) };
    let there = parent.stat(&names.part)?.map(|s| s.kind);
    let Some(collection) = &spec.wanted.tree else {
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
    if parent.stat(&names.part)?.is_some_and(|stat| !parent.is_ours(stat.owner)) {
        return Err(DestError::OfAnother { path: parent.shown(&names.part) }.into());
    }
    let wanted = |path: &_| !spec.present.contains(path) && !spec.unwanted.contains(path);
    let tree = Tree::new(parent.dir(&names.part)?, there.is_none(), collection, &spec.wanted.map, wanted);
    if there.is_some() {
        move_home(&tree, spec)?;
        cut_tree(&tree, spec)?;
    }
    Ok(Data::Tree(tree))
}

/// What lies behind a file's end is not of it: somebody else has written it, and what is claimed is hashed again. A single
/// file is cut when it is published: until its last unit is proven, its size is a claim.
fn cut(parent: &SafeDir, name: &SafePath, file: &File, size: u64) -> Result<(), PartialError> {
    let longer = file.metadata().map(|meta| meta.is_file() && meta.len() > size);
    let done = longer.and_then(|longer| if longer { file.set_len(size) } else { Ok(()) });
    done.map_err(|e| DestError::io("cut", &parent.shown(name), e).into())
}

fn cut_tree(tree: &Tree, spec: &PartialSpec) -> Result<(), PartialError> {
    let Some(collection) = &spec.wanted.tree else { return Ok(()) };
    let mut places = LastDir::of(&tree.root);
    for (path, entry) in collection.entries() {
        let Entry::File { size, .. } = entry else { continue };
        let longer = |stat: &Stat| stat.kind == FileKind::File && stat.len > *size;
        if places.stat(path)?.as_ref().is_some_and(longer) {
            cut(&tree.root, path, &tree.root.file(path, Access::OpenOrCreate)?, *size)?;
        }
    }
    Ok(())
}

/// An earlier run that wanted other paths has the bytes under another of a file's paths.
fn move_home(tree: &Tree, spec: &PartialSpec) -> Result<(), PartialError> {
    let Some(collection) = &spec.wanted.tree else { return Ok(()) };
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
            tree.root.rename(path, &tree.root, at_home, crate::io::receive::dest::Replace::Never)?;
        }
        settled.insert(home, there || moved);
    }
    Ok(())
}

/// The chunk lists that are noted and belong to their files.
pub(super) fn listed(map: &UnitMap, claims: &Claims) -> Vec<(usize, ChunkList)> {
    let files = map.files().iter().enumerate();
    let lists = files.filter_map(|(index, UnitFile { id, layout, .. })| {
        let values = claims.lists.get(&u32::try_from(index).ok()?)?;
        let list = layout.needs_list().then(|| ChunkList::from_bytes(*id, *layout, values).ok())??;
        Some((index, list))
    });
    lists.collect()
}

/// The units that are claimed, but for those of a file whose list is needed and not there.
pub(super) fn believable(map: &UnitMap, claims: &Claims, lists: &[(usize, ChunkList)]) -> Bitfield {
    let listed: HashSet<usize> = lists.iter().map(|(index, _)| *index).collect();
    let mut believable = claims.have.clone();
    for (index, file) in map.files().iter().enumerate() {
        if file.layout.needs_list() && !listed.contains(&index) {
            for unit in file.units() {
                believable.clear(unit);
            }
        }
    }
    believable
}

fn believed(spec: &PartialSpec, data: &Data, claims: &Claims, lists: &[(usize, ChunkList)]) -> Bitfield {
    let wanted = wanted(spec, data);
    let mut believed = Bitfield::empty(spec.wanted.map.units());
    for unit in believable(&spec.wanted.map, claims, lists).iter().filter(|&unit| wanted.has(unit)) {
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
    let missing = wanted(spec, data).iter().filter(|&unit| !there.has(unit)).map(|u| spec.wanted.map.len(u)).sum();
    let Data::Tree(tree) = data else {
        // Room that was set aside counts; holes in what is there take none.
        let allocated = parent.stat(&names.part)?.map_or(0, |s| s.allocated);
        return Ok(spec.wanted.content.size.saturating_sub(allocated).min(missing));
    };
    let entries = spec.wanted.tree.iter().flat_map(|c| c.entries().iter().enumerate());
    let copies = entries.filter_map(|(index, (path, entry))| match entry {
        Entry::File { size, .. } if !spec.present.contains(path) && !spec.unwanted.contains(path) => {
            (tree.home_of_entry(index) != Some(index)).then_some(*size)
        }
        _ => None,
    });
    Ok(copies.fold(missing, u64::saturating_add))
}

fn begin_session(partial: &Partial, claims: &Claims) -> Result<(), PartialError> {
    let mut state = partial.state();
    let session = Record::Session { boot: BootId::now().0, pid: std::process::id() };
    partial.append(&mut state, &session)?;
    let known = claims.manifest.as_ref().is_some_and(|bytes| ContentId::of(bytes) == partial.spec.wanted.content.id);
    if let Some(manifest) = partial.spec.wanted.manifest.as_ref().filter(|_| !known) {
        partial.append(&mut state, &Record::Manifest(manifest.to_vec()))?;
    }
    if claims.only != partial.spec.only {
        partial.append(&mut state, &Record::Only(partial.spec.only.clone()))?;
    }
    match &partial.spec.target {
        Some(target) if claims.target.as_deref() != Some(target.as_str()) => {
            partial.append(&mut state, &Record::Target(target.to_string()))
        }
        _ => Ok(()),
    }
}
