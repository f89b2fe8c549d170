use std::fs::{self, File};
use std::sync::atomic::AtomicBool;

use super::*;
use crate::io::share::hash::hash_file;
use crate::model::{ChunkIndex, SafePath};

fn hashed(path: &Path) -> Arc<HashedFile> {
    let stamp = FileStamp::of(&fs::metadata(path).expect("stat"));
    let hashed = hash_file(path, &stamp, &|_| (), &AtomicBool::new(false)).expect("hashed");
    let list = hashed.list.map_or(ListPlace::NotNeeded, |list| ListPlace::Memory(Arc::new(list)));
    Arc::new(HashedFile { path: path.into(), stamp, id: hashed.id, list, settled: hashed.settled })
}

#[test]
fn every_unit_of_a_file_is_proven_by_its_list() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("a");
    let bytes: Vec<u8> = (0..600_u32 << 10).map(|i| u8::try_from(i % 251).expect("small")).collect();
    fs::write(&path, &bytes).expect("write");
    let source = SharedFile::new(hashed(&path)).expect("small");
    assert!(source.have().is_full() && source.has(2) && !source.has(3));
    let (file, list) = (source.open(0).expect("open"), source.list(0).expect("list"));
    for unit in 0..source.map().units() {
        let place = source.map().place(unit).expect("within");
        let mut buf = vec![0; usize::try_from(place.len).expect("small")];
        file.read_at(&mut buf, place.offset).expect("read");
        assert!(list.proves(ChunkIndex(unit), &buf));
        let mut ready = vec![0; buf.len()];
        let len = file.read_ready(&mut ready, place.offset).expect("unchanged");
        assert_eq!(ready[..len], buf[..len]);
    }
}

#[test]
fn a_file_that_changes_while_it_is_served_is_changed() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("a");
    fs::write(&path, "hello").expect("write");
    let source = SharedFile::new(hashed(&path)).expect("small");
    let open = source.open(0).expect("open");
    fs::write(&path, "hell").expect("write");
    assert!(matches!(open.read_at(&mut [0; 5], 0), Err(ReadError::Changed)));
    assert!(matches!(open.read_ready(&mut [0; 5], 0), Err(ReadError::Changed) | Ok(0)));
    assert!(matches!(source.open(0), Err(ReadError::Changed)));
    fs::remove_file(&path).expect("remove");
    assert!(matches!(source.open(0), Err(ReadError::Busy)), "perhaps it was moved");
    fs::create_dir(&path).expect("mkdir");
    assert!(matches!(source.open(0), Err(ReadError::Busy)));
}

/// Every unit as it is served; the first failure ends it. In pieces as an upload reads them, or whole.
fn served(source: &dyn Source, open: Option<&dyn SourceFile>, piece: usize) -> Result<Vec<u8>, ReadError> {
    let opened;
    let file = match open {
        Some(open) => open,
        None => {
            opened = source.open(0)?;
            opened.as_ref()
        }
    };
    let mut all = Vec::new();
    for unit in 0..source.map().units() {
        let place = source.map().place(unit).expect("within");
        let mut unit = vec![0; usize::try_from(place.len).expect("small")];
        let mut at = place.offset;
        for part in unit.chunks_mut(piece) {
            file.read_at(part, at)?;
            at += part.len() as u64;
        }
        all.extend(unit);
    }
    Ok(all)
}

fn set_mtime(path: &Path, seconds: u64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    File::options().write(true).open(path).expect("open").set_modified(time).expect("times");
}

#[cfg(unix)]
#[test]
fn what_was_only_touched_linked_or_made_executable_is_served_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("tempdir");
    for len in [1, 200 << 10, 700 << 10] {
        let path = dir.path().join(format!("{len}"));
        let bytes: Vec<u8> = (0..len).map(|i: u32| u8::try_from(i % 251).expect("small")).collect();
        fs::write(&path, &bytes).expect("write");
        let source = SharedFile::new(hashed(&path)).expect("small");
        let open = source.open(0).expect("open");
        let changes: [&dyn Fn(); 4] = [
            &|| set_mtime(&path, 1_000_000_000),
            &|| fs::hard_link(&path, dir.path().join(format!("{len}.link"))).expect("link"),
            &|| fs::remove_file(dir.path().join(format!("{len}.link"))).expect("remove"),
            &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod"),
        ];
        for change in changes {
            change();
            for piece in [64 << 10, 1 << 20] {
                assert!(served(&source, Some(open.as_ref()), piece).expect("open before") == bytes);
                assert!(served(&source, None, piece).expect("opened after") == bytes);
            }
            let again = source.open(0).expect("open");
            assert!(again.is_doubted() && open.is_doubted(), "somebody has to look at it again");
            assert_eq!(again.read_ready(&mut [0; 100], 0).expect("no error"), 0, "nothing is sent without proof");
        }
    }
}

#[test]
fn a_write_is_never_sent_however_its_time_was_set_back() {
    let dir = tempfile::tempdir().expect("tempdir");
    for len in [5_usize, 700 << 10] {
        let path = dir.path().join(format!("{len}"));
        fs::write(&path, vec![1; len]).expect("write");
        set_mtime(&path, 1_000_000_000);
        let source = SharedFile::new(hashed(&path)).expect("small");
        let open = source.open(0).expect("open");
        let mut other = vec![1; len];
        other[len - 1] = 2;
        fs::write(&path, &other).expect("write");
        set_mtime(&path, 1_000_000_000);
        for piece in [64 << 10, 1 << 20] {
            assert!(matches!(served(&source, Some(open.as_ref()), piece), Err(ReadError::Changed)));
            assert!(matches!(served(&source, None, piece), Err(ReadError::Changed)));
        }
        fs::write(&path, vec![1; len]).expect("write");
        assert!(served(&source, None, 64 << 10).expect("the same bytes again") == vec![1; len]);
    }
}

#[cfg(unix)]
#[test]
fn another_file_in_its_place_waits_for_a_look() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("a");
    fs::write(&path, "hello").expect("write");
    let source = SharedFile::new(hashed(&path)).expect("small");
    fs::write(dir.path().join("b"), "hello").expect("write");
    fs::rename(dir.path().join("b"), &path).expect("rename");
    assert!(matches!(source.open(0), Err(ReadError::Busy)));
}

#[test]
fn what_is_left_of_a_tree_is_served_and_the_rest_is_told_as_lost() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (mut entries, mut files) = (Vec::new(), Vec::new());
    for (name, content) in [("a", "one"), ("b", "two"), ("c", "three")] {
        fs::write(dir.path().join(name), content).expect("write");
        files.push(hashed(&dir.path().join(name)));
        entries.push((SafePath::parse(name).expect("valid"), file_entry(&files[files.len() - 1])));
    }
    let collection = Collection::new(entries).expect("sound");
    let tree = Arc::new(SharedCollection::new(&collection, &files).expect("complete"));
    let gone = ContentId::of(b"two");
    let now = |id: ContentId, _| files.iter().find(|file| file.id == id && id != gone).cloned();
    let left = Remains::of(&tree, now).expect("two are left");
    assert_eq!((left.size(), left.manifest(), left.have().count()), (tree.size(), tree.manifest(), 2));
    let lost = left.map().by_content()[&(gone, 3)];
    assert_eq!(left.lost(), [left.map().files()[lost].units()]);
    assert!(left.open(lost).is_err());
    assert!((0..3).filter(|file| *file != lost).all(|file| left.open(file).is_ok()));
    assert!(Remains::of(&tree, |_, _| None).is_none());
}

#[cfg(unix)]
#[test]
fn a_directory_swapped_for_a_link_serves_nothing() {
    let dir = tempfile::tempdir().expect("tempdir");
    for name in ["shared", "elsewhere"] {
        fs::create_dir(dir.path().join(name)).expect("mkdir");
        fs::write(dir.path().join(name).join("a"), "same bytes").expect("write");
    }
    let source = SharedFile::new(hashed(&dir.path().join("shared/a"))).expect("small");
    fs::remove_dir_all(dir.path().join("shared")).expect("remove");
    std::os::unix::fs::symlink("elsewhere", dir.path().join("shared")).expect("symlink");
    assert!(matches!(source.open(0), Err(ReadError::Busy)), "and a look will find that it has gone");
}

#[test]
fn a_collection_serves_its_manifest_and_each_distinct_file() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut entries = Vec::new();
    let mut files = Vec::new();
    for (name, content) in [("a", "one"), ("b", "two"), ("c", "one"), ("d", "")] {
        fs::write(dir.path().join(name), content).expect("write");
        files.push(hashed(&dir.path().join(name)));
        entries.push((SafePath::parse(name).expect("valid"), file_entry(&files[files.len() - 1])));
    }
    let collection = Collection::new(entries).expect("sound");
    let source = SharedCollection::new(&collection, &files).expect("complete");
    assert_eq!((source.size(), source.map().units(), source.map().files().len()), (9, 2, 3));
    assert_eq!(source.id(), ContentId::of(&collection.manifest()));
    assert_eq!(source.manifest().as_deref(), Some(collection.manifest().as_slice()));
    let mut buf = [0; 3];
    source.open(1).expect("open").read_at(&mut buf, 0).expect("read");
    assert_eq!(&buf, b"two");
    let times: Vec<_> = files.iter().map(|file| file.stamp.mtime_ns).collect();
    assert_eq!(source.times().as_deref(), Some(times.as_slice()));
    assert!(SharedCollection::new(&collection, &files[..1]).is_none());
}
