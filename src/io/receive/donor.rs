//! The bytes of another transfer of the same content in the same directory, held while that lasts: once it has them all
//! they have another name, and are copied from here.
//! Invariant: a copy counts only for files whose bytes, as they are in the donor, have the right ids.

use std::fs::File;

use crate::io::positional::read_exact_at;
use crate::io::receive::dest::{Access, FileKind, SafeDir};
use crate::io::receive::partial::{Names, Partial, PartialError, Resumed};
use crate::io::share::hash::hash_held;
use crate::io::share::stamp::FileStamp;
use crate::model::ContentId;
use crate::model::collection::Entry;
use crate::model::units::UnitFile;

/// Donors held at most: while one transfer after the other has its turn, the one that has it all may be an early one.
const MOST: usize = 8;

/// What other transfers have made, while this one waited.
#[derive(Debug, Default)]
pub struct Donors(Vec<Donor>);

impl Donors {
    /// Holds one more, unless it is held.
    pub fn add(&mut self, donor: Option<Donor>) {
        let Some(donor) = donor.filter(|new| !self.0.iter().any(|held| held.identity == new.identity)) else { return };
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(donor);
    }

    /// Whether the owner of one that is a single file may execute it.
    pub fn is_executable(&self) -> bool {
        let file = |donor: &Donor| match &donor.held {
            Held::File(file) => FileStamp::of_file(file).is_ok_and(|stamp| stamp.executable),
            Held::Tree(_) => false,
        };
        self.0.iter().any(file)
    }

    /// Copies what is whole into a partial file that has not got it; adds it to what that claims to have. Blocks.
    ///
    /// # Errors
    /// When it cannot be written; what no donor has got is no error.
    pub fn give(&self, to: &Partial, resumed: Resumed) -> Result<Resumed, PartialError> {
        self.0.iter().try_fold(resumed, |resumed, donor| donor.give(to, resumed))
    }
}

/// What another transfer has made.
#[derive(Debug)]
pub struct Donor {
    held: Held,
    identity: Option<(u64, u64)>,
}

#[derive(Debug)]
enum Held {
    File(File),
    Tree(SafeDir),
}

impl Donor {
    /// What a transfer of the content has in this directory; `None` when it has nothing yet. Blocks.
    pub fn of(parent: &SafeDir, id: ContentId) -> Option<Self> {
        let part = Names::of(id).part;
        let stat = parent.stat(&part).ok()??;
        let held = match stat.kind {
            FileKind::Directory => Held::Tree(parent.dir(&part).ok()?),
            FileKind::File => Held::File(parent.file(&part, Access::Read).ok()?),
            FileKind::Link | FileKind::Other => return None,
        };
        Some(Self { held, identity: stat.identity })
    }

    fn give(&self, to: &Partial, mut resumed: Resumed) -> Result<Resumed, PartialError> {
        let part = to.parent.stat(&to.names.part)?;
        if self.identity.is_none() || part.is_none_or(|stat| stat.identity == self.identity) {
            // The other transfer has ended without it, and this one goes on with its bytes.
            return Ok(resumed);
        }
        let wanted = to.wanted_units();
        for (index, file) in to.spec.wanted.map.files().iter().enumerate() {
            let missing = |unit: &u32| wanted.has(*unit) && !resumed.units.has(*unit);
            if !file.units().any(|unit| missing(&unit)) {
                continue;
            }
            if let Some(from) = self.find(to, file) {
                copy(&from, to, index, &mut resumed)?;
            }
        }
        Ok(resumed)
    }

    fn find(&self, to: &Partial, file: &UnitFile) -> Option<File> {
        match (&self.held, &to.spec.wanted.tree) {
            (Held::File(held), None) => held.try_clone().ok(),
            (Held::Tree(dir), Some(collection)) => {
                let same = |entry: &Entry| matches!(entry, Entry::File { size, id, .. } if (*id, *size) == (file.id, file.layout.size()));
                let paths = collection.entries().iter().filter(|(_, entry)| same(entry));
                paths.filter_map(|(path, _)| dir.file(path, Access::Read).ok()).next()
            }
            _ => None,
        }
    }
}

/// Copies one file if it is whole, unit by unit; its bytes are hashed again from the copy before they count.
fn copy(from: &File, to: &Partial, index: usize, resumed: &mut Resumed) -> Result<(), PartialError> {
    let file = to.spec.wanted.map.files()[index];
    let size = file.layout.size();
    if !from.metadata().is_ok_and(|meta| meta.len() == size) {
        return Ok(());
    }
    let Ok(Some(hashed)) = hash_held(from, &|_| ()) else { return Ok(()) };
    if hashed.id != file.id {
        return Ok(());
    }
    if let Some(list) = hashed.list
        && !resumed.lists.iter().any(|(known, _)| *known == index)
    {
        to.save_list(index, &list)?;
        resumed.lists.push((index, list));
    }
    // Where the file system can, the copy shares the disk's blocks.
    let shared = to.data.reflink(from);
    let mut units = Vec::new();
    for unit in file.units() {
        let Some(place) = to.spec.wanted.map.place(unit) else { continue };
        if !shared {
            let mut bytes = vec![0; usize::try_from(place.len).unwrap_or_default()];
            if read_exact_at(from, &mut bytes, place.offset).is_err() {
                break;
            }
            to.write(place, &bytes)?;
        }
        units.push(unit);
    }
    units.iter().for_each(|unit| {
        resumed.units.set(*unit);
    });
    to.record(units)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;
    use crate::io::receive::partial::PartialSpec;
    use crate::io::receive::partial::tests::{at, bytes, path, place};
    use crate::io::receive::publish::PublishPlan;
    use crate::model::{Collection, Wanted};

    fn spec(collection: Option<Collection>, content: &[u8]) -> PartialSpec {
        let wanted = match collection {
            Some(tree) => {
                let manifest = tree.manifest();
                Wanted::tree(ContentId::of(&manifest), tree, manifest)
            }
            None => Wanted::file(ContentId::of(content), content.len() as u64),
        };
        PartialSpec::of(Arc::new(wanted.expect("small")))
    }

    /// Fetches from nobody: what is missing is written.
    fn fill(partial: &Partial, resumed: &Resumed, content: &[u8]) -> u32 {
        let missing: Vec<_> = partial.wanted_units().iter().filter(|unit| !resumed.units.has(*unit)).collect();
        for unit in &missing {
            let place = at(partial, *unit);
            let (from, len) =
                (usize::try_from(place.offset).expect("small"), usize::try_from(place.len).expect("small"));
            partial.write(place, &content[from..from + len]).expect("written");
        }
        let count = missing.len().try_into().expect("few");
        partial.record(missing).expect("noted");
        count
    }

    fn publish(partial: &Partial, name: &str) {
        let plan = PublishPlan {
            target: path(name),
            replace: HashSet::new(),
            times: Vec::new(),
            executable: false,
            halt: crate::io::receive::publish::Halt::default(),
        };
        partial.publish(&plan).expect("published");
    }

    /// One transfer is finished under a name while another waits with what it has.
    fn one_after_the_other(spec: &PartialSpec, content: &[u8]) -> (tempfile::TempDir, u32) {
        let (dir, parent) = place();
        let (first, resumed) = Partial::open(&parent, spec.clone()).expect("opened");
        assert!(matches!(Partial::open(&parent, spec.clone()), Err(PartialError::InUse { .. })));
        let donor = Donor::of(&parent, spec.wanted.content.id).expect("there");
        fill(&first, &resumed, content);
        publish(&first, "first");
        drop(first);
        let (second, resumed) = Partial::open(&parent, spec.clone()).expect("opened");
        let resumed = donor.give(&second, resumed).expect("copied");
        let missing = fill(&second, &resumed, content);
        publish(&second, "second");
        (dir, missing)
    }

    #[test]
    fn a_file_that_another_transfer_has_finished_is_copied() {
        for size in [1, 256 << 10, (600 << 10) + 1] {
            let content = bytes(size, 5);
            let (dir, missing) = one_after_the_other(&spec(None, &content), &content);
            assert_eq!(missing, 0, "size {size}");
            assert_eq!(std::fs::read(dir.path().join("second")).expect("there"), content);
        }
    }

    #[test]
    fn a_tree_that_another_transfer_has_finished_is_copied() {
        let content = bytes(600 << 10, 6);
        let entry =
            |bytes: &[u8]| Entry::File { size: bytes.len() as u64, id: ContentId::of(bytes), executable: false };
        let entries = vec![(path("a/b"), entry(&content)), (path("c"), entry(&content)), (path("d"), Entry::Directory)];
        let tree = Collection::new(entries).expect("sound");
        let (dir, missing) = one_after_the_other(&spec(Some(tree), &content), &content);
        assert_eq!(missing, 0);
        assert_eq!(std::fs::read(dir.path().join("second/c")).expect("there"), content);
        assert!(dir.path().join("second/d").is_dir());
    }

    #[test]
    fn what_another_transfer_left_half_done_is_gone_on_with() {
        let (_dir, parent) = place();
        let content = bytes(600 << 10, 7);
        let spec = spec(None, &content);
        let (first, _) = Partial::open(&parent, spec.clone()).expect("opened");
        let donor = Donor::of(&parent, spec.wanted.content.id).expect("there");
        first.write(at(&first, 0), &content[..256 << 10]).expect("written");
        drop(first);
        let (second, resumed) = Partial::open(&parent, spec).expect("opened");
        let units = donor.give(&second, resumed).expect("nothing to copy").units;
        assert_eq!(units.count(), 0, "no list, so nothing is believed; and nothing is copied onto itself");
    }
}
