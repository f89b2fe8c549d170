//! A transfer under way as a source: served from its first proven unit, and the place where proofs are kept.
//! Invariant: a unit is there only after its bytes were proven, written and noted. Not responsible for fetching.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use itertools::Itertools as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::io::receive::partial::{Partial, PartialError};
use crate::io::share::source::{ReadError, Source, SourceFile};
use crate::model::units::UnitPlace;
use crate::model::{Bitfield, ChunkList, ContentId, Kind, UnitMap};

/// What is transferred, and where its bytes are kept.
#[derive(Debug)]
pub struct PartialSource {
    /// Where the bytes are.
    pub partial: Arc<Partial>,
    executable: AtomicBool,
    have: Mutex<Bitfield>,
    lists: RwLock<HashMap<usize, Arc<ChunkList>>>,
    /// Files whose list is not in the journal yet.
    unsaved: Mutex<BTreeSet<usize>>,
    growth: watch::Sender<u32>,
}

impl PartialSource {
    /// A source with no unit yet, that knows the chunk lists of an earlier run; whether a single file may be executed.
    pub fn new(partial: Arc<Partial>, lists: impl IntoIterator<Item = (usize, ChunkList)>, executable: bool) -> Self {
        let have = Mutex::new(Bitfield::empty(partial.wanted().map.units()));
        let lists = lists.into_iter().map(|(file, list)| (file, Arc::new(list))).collect();
        Self {
            partial,
            executable: AtomicBool::new(executable),
            have,
            lists: RwLock::new(lists),
            unsaved: Mutex::default(),
            growth: watch::Sender::new(0),
        }
    }

    /// A provider says that the owner of this single file may execute it.
    pub fn set_executable(&self) {
        self.executable.store(self.kind() == Kind::File, Ordering::Relaxed);
    }

    /// The chunk lists that are known, by index of file.
    pub fn lists(&self) -> HashMap<usize, Arc<ChunkList>> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether these bytes are exactly that unit; false while its file's chunk list is not known.
    pub fn proves(&self, place: UnitPlace, bytes: &[u8]) -> bool {
        let file = self.map().files()[place.file];
        if !file.layout.needs_list() {
            return bytes.len() as u64 == place.len && ContentId::of(bytes) == file.id;
        }
        self.list(place.file).is_some_and(|list| list.proves(place.chunk, bytes))
    }

    /// Writes and notes proven units; they can be served from now on. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn store(&self, units: &[(UnitPlace, impl AsRef<[u8]>)]) -> Result<(), PartialError> {
        for (place, bytes) in units {
            self.save_list_of(place.file)?;
            self.partial.write(*place, bytes.as_ref())?;
        }
        let stored = units.iter().map(|(place, _)| place.unit);
        self.partial.record(stored.clone().collect())?;
        self.add(stored);
        Ok(())
    }

    /// Takes note of a chunk list that merges to its file's id. The disk learns of it, and room is made for the file,
    /// with the first unit that it proves: until then the file's size is only a claim.
    pub fn learn_list(&self, file: usize, list: ChunkList) {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).insert(file);
        self.lists.write().unwrap_or_else(PoisonError::into_inner).insert(file, Arc::new(list));
    }

    fn save_list_of(&self, file: usize) -> Result<(), PartialError> {
        // Held while it is written: no unit of the file may come before its list.
        let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = self.list(file).filter(|_| unsaved.contains(&file)) {
            self.partial.save_list(file, &list)?;
            unsaved.remove(&file);
        }
        Ok(())
    }

    /// These units are proven and on the disk: those of an earlier run that were hashed again, too.
    pub fn add(&self, units: impl IntoIterator<Item = u32>) {
        let count = {
            let mut have = self.have.lock().unwrap_or_else(PoisonError::into_inner);
            units.into_iter().for_each(|unit| {
                have.set(unit);
            });
            have.count()
        };
        // Not under the lock: whoever waits for growth looks at what is there while holding the channel's own.
        self.growth.send_replace(count);
    }

    /// Writes the whole to a stream, in order, as it becomes known: for ever, where it does not.
    ///
    /// # Errors
    /// When a unit cannot be read back, or the stream takes no more.
    pub async fn deliver(self: &Arc<Self>, to: &mut (impl AsyncWrite + Unpin + ?Sized)) -> std::io::Result<u64> {
        let mut growth = self.growth.subscribe();
        let mut delivered = 0;
        for place in (0..self.map().units()).filter_map(|unit| self.map().place(unit)) {
            growth.wait_for(|_| self.has(place.unit)).await.map_err(std::io::Error::other)?;
            let source = Arc::clone(self);
            let read = tokio::task::spawn_blocking(move || source.read_back(place)).await;
            let bytes = read.map_err(std::io::Error::other)??;
            to.write_all(&bytes).await?;
            delivered += bytes.len() as u64;
        }
        to.flush().await?;
        Ok(delivered)
    }

    /// Units of all files whose chunks can be proven already that another unfinished transfer claims.
    pub(crate) fn all_units_of_kin(&self) -> Vec<u32> {
        self.partial.kin().flat_map(|file| self.units_of_kin(file)).sorted_unstable().collect()
    }

    /// Units of a file that another unfinished transfer claims; none while they could not be proven.
    pub(crate) fn units_of_kin(&self, file: usize) -> Vec<u32> {
        self.partial.units_of_kin(file, self.list(file).as_deref())
    }

    /// A unit as another unfinished transfer has it. Blocks.
    pub(crate) fn read_kin(&self, place: UnitPlace) -> std::io::Result<Vec<u8>> {
        read_by(place, |bytes| self.partial.read_kin(place, bytes))
    }

    /// A unit as it is on the disk. Blocks.
    pub(crate) fn read_back(&self, place: UnitPlace) -> std::io::Result<Vec<u8>> {
        read_by(place, |bytes| self.partial.read_at(place.file, bytes, place.offset))
    }
}

fn read_by(place: UnitPlace, read: impl FnOnce(&mut [u8]) -> Result<(), PartialError>) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(place.len).map_err(std::io::Error::other)?];
    read(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

impl Source for PartialSource {
    fn kind(&self) -> Kind {
        self.partial.wanted().content.kind
    }

    fn size(&self) -> u64 {
        self.partial.wanted().content.size
    }

    fn map(&self) -> &UnitMap {
        &self.partial.wanted().map
    }

    fn have(&self) -> Bitfield {
        self.have.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn has(&self, unit: u32) -> bool {
        self.have.lock().unwrap_or_else(PoisonError::into_inner).has(unit)
    }

    fn growth(&self) -> Option<watch::Receiver<u32>> {
        Some(self.growth.subscribe())
    }

    fn open(&self, file: usize) -> Result<Box<dyn SourceFile>, ReadError> {
        Ok(Box::new(PartialFile { partial: Arc::clone(&self.partial), file }))
    }

    fn list(&self, file: usize) -> Option<Arc<ChunkList>> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).get(&file).cloned()
    }

    fn manifest(&self) -> Option<Arc<[u8]>> {
        self.partial.wanted().manifest.clone()
    }

    fn executable(&self) -> bool {
        self.executable.load(Ordering::Relaxed)
    }
}

/// One of its files.
struct PartialFile {
    partial: Arc<Partial>,
    file: usize,
}

impl SourceFile for PartialFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<(), ReadError> {
        self.partial.read_at(self.file, buf, offset).map_err(|error| ReadError::Io(std::io::Error::other(error)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::io::receive::dest::SafeDir;
    use crate::io::receive::partial::PartialSpec;
    use crate::model::units::chunk_list::chunk_value;
    use crate::model::{ChunkIndex, Layout, Wanted};

    const SIZE: usize = 300 << 10;
    const CHUNK: usize = 256 << 10;

    #[test]
    fn a_list_takes_no_room_and_is_not_kept_until_it_has_proven_a_unit() {
        let bytes: Vec<u8> = (0..SIZE).map(|n| u8::try_from(n * 7 % 251).expect("small")).collect();
        let (id, layout) = (ContentId::of(&bytes), Layout::of(SIZE as u64).expect("small"));
        let wanted = Arc::new(Wanted::file(id, SIZE as u64).expect("small"));
        let last = wanted.map.place(1).expect("there");
        let values = (0..layout.chunks()).zip(bytes.chunks(CHUNK));
        let values = values.map(|(n, chunk)| chunk_value(layout, ChunkIndex(n), chunk)).collect();
        let list = ChunkList::new(id, layout, values).expect("own list");
        let home = tempfile::tempdir().expect("tempdir");
        let spec = || PartialSpec::of(Arc::clone(&wanted));
        let open = || Partial::open(&SafeDir::open(home.path()).expect("home"), spec()).expect("opened");
        let source = |partial| PartialSource::new(Arc::new(partial), [], false);

        let first = source(open().0);
        let path = first.partial.path();
        first.learn_list(0, list.clone());
        assert!(first.proves(last, &bytes[CHUNK..]));
        assert!(fs::metadata(&path).map_or(0, |m| m.len()) < SIZE as u64, "no room for what is only claimed");
        drop(first);

        let (partial, resumed) = open();
        assert!(resumed.lists.is_empty());
        let second = source(partial);
        second.learn_list(0, list);
        second.store(&[(last, &bytes[CHUNK..])]).expect("stored");
        assert_eq!(fs::metadata(&path).expect("there").len(), SIZE as u64);
        drop(second);
        assert_eq!(open().1.lists.len(), 1);
    }
}
