use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;
use crate::io::positional::{read_exact_at, write_all_at};

fn held() -> (TempDir, SafeDir) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let held = SafeDir::open(dir.path()).expect("held");
    (dir, held)
}

fn path(text: &str) -> SafePath {
    SafePath::parse(text).expect("valid")
}

fn put(dir: &SafeDir, name: &str, bytes: &[u8]) {
    write_all_at(&dir.file(&path(name), Access::CreateNew).expect("made"), bytes, 0).expect("written");
}

#[test]
fn files_are_made_beneath_with_their_directories() {
    let (dir, held) = held();
    put(&held, "a/b/c", b"abc");
    assert_eq!(std::fs::read(dir.path().join("a/b/c")).expect("there"), b"abc");
    assert!(matches!(held.file(&path("a/b/c"), Access::CreateNew), Err(DestError::Exists { .. })));
    let mut buf = [0; 2];
    read_exact_at(&held.file(&path("a/b/c"), Access::Read).expect("opened"), &mut buf, 1).expect("read");
    assert_eq!(&buf, b"bc");
    assert_eq!(held.stat(&path("a/b/c")).expect("fine").map(|s| (s.kind, s.len)), Some((FileKind::File, 3)));
    assert_eq!(held.stat(&path("x/y")).expect("fine"), None);
}

#[test]
fn case_004_a_link_in_the_destination_is_refused_by_name_for_every_operation() {
    let (outside, _) = held();
    std::fs::write(outside.path().join("victim"), b"precious").expect("written");
    let (dir, held) = held();
    symlink(outside.path(), dir.path().join("sub")).expect("linked");
    symlink(outside.path().join("victim"), dir.path().join("leaf")).expect("linked");
    put(&held, "mine", b"evil");
    let (below, leaf, mine) = (path("sub/victim"), path("leaf"), path("mine"));
    let now = SystemTime::UNIX_EPOCH;
    let refused = [
        held.file(&below, Access::OpenOrCreate).map(drop),
        held.file(&path("sub/new"), Access::CreateNew).map(drop),
        held.file(&leaf, Access::OpenOrCreate).map(drop),
        held.file(&leaf, Access::Read).map(drop),
        held.create_dirs(&path("sub/d/e")),
        held.create_dirs(&path("sub")),
        held.rename(&mine, &held, &below, Replace::File),
        held.rename(&mine, &held, &leaf, Replace::File),
        held.rename(&mine, &held, &path("sub/new"), Replace::Never),
        held.rename(&below, &held, &path("stolen"), Replace::Never),
        held.remove_file(&below),
        held.set_executable(&below, true),
        held.set_executable(&leaf, true),
        held.set_modified(&below, now),
        held.set_modified(&leaf, now),
        held.stat(&below).map(drop),
        held.dir(&path("sub")).map(drop),
        held.entries(Some(&path("sub"))).map(drop),
    ];
    for (i, result) in refused.into_iter().enumerate() {
        // A source behind a link is told by the system's own words: the message names the target.
        let named = matches!(&result, Err(DestError::Link { path }) if path.ends_with("sub") || path.ends_with("leaf"));
        assert!(named || (i == 9 && result.is_err()), "operation {i}: {result:?}");
    }
    let victim = std::fs::metadata(outside.path().join("victim")).expect("there");
    assert_eq!((victim.len(), victim.mode() & 0o111), (8, 0));
    assert_eq!(std::fs::read_dir(outside.path()).expect("readable").count(), 1);
}

#[test]
fn a_link_that_stays_inside_is_refused_as_well() {
    let (dir, held) = held();
    put(&held, "real/file", b"mine");
    symlink("real", dir.path().join("dir")).expect("linked");
    symlink("real/file", dir.path().join("leaf")).expect("linked");
    let refused = [
        held.file(&path("dir/file"), Access::Read).map(drop),
        held.file(&path("dir/new"), Access::CreateNew).map(drop),
        held.file(&path("leaf"), Access::OpenOrCreate).map(drop),
        held.create_dirs(&path("dir/sub")),
        held.remove_file(&path("dir/file")),
        held.rename(&path("real/file"), &held, &path("dir/moved"), Replace::Never),
    ];
    for (i, result) in refused.into_iter().enumerate() {
        assert!(matches!(result, Err(DestError::Link { .. })), "operation {i}: {result:?}");
    }
    assert_eq!(std::fs::read(dir.path().join("real/file")).expect("there"), b"mine");
}

#[test]
fn a_file_where_a_directory_is_needed_is_named() {
    let (_dir, held) = held();
    put(&held, "a", b"");
    let error = held.file(&path("a/b/c"), Access::OpenOrCreate).expect_err("a is a file");
    assert!(matches!(&error, DestError::NotADirectory { path } if path.ends_with("a")), "{error}");
    assert!(matches!(held.create_dirs(&path("a")), Err(DestError::Exists { .. })));
}

#[test]
fn a_rename_replaces_only_when_told_and_only_files() {
    let (dir, held) = held();
    put(&held, "new", b"new");
    put(&held, "old", b"old");
    held.create_dirs(&path("tree")).expect("made");
    let never = held.rename(&path("new"), &held, &path("old"), Replace::Never);
    assert!(matches!(never, Err(DestError::Exists { .. })), "{never:?}");
    let tree = held.rename(&path("new"), &held, &path("tree"), Replace::File);
    assert!(matches!(tree, Err(DestError::Exists { .. })), "{tree:?}");
    held.rename(&path("new"), &held, &path("old"), Replace::File).expect("replaced");
    assert_eq!(std::fs::read(dir.path().join("old")).expect("there"), b"new");
}

#[test]
fn the_executable_bit_follows_the_read_bits_and_times_are_set() {
    let (dir, held) = held();
    put(&held, "a", b"");
    let mode = || std::fs::metadata(dir.path().join("a")).expect("there").permissions().mode() & 0o777;
    std::fs::set_permissions(dir.path().join("a"), PermissionsExt::from_mode(0o640)).expect("set");
    held.set_executable(&path("a"), true).expect("set");
    assert_eq!(mode(), 0o750);
    held.set_executable(&path("a"), false).expect("set");
    assert_eq!(mode(), 0o640);
    let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_007);
    held.set_modified(&path("a"), then).expect("set");
    assert_eq!(std::fs::metadata(dir.path().join("a")).expect("there").modified().expect("known"), then);
}

#[test]
fn case_012_the_longest_and_deepest_paths_can_be_written() {
    let (_dir, held) = held();
    let (full, short) = ("n".repeat(255), "m".repeat(254));
    let fitting = [vec![full.as_str(); 15], vec![&short, "z"]].concat().join("/");
    assert_eq!(fitting.len(), 4096);
    put(&held, &fitting, b"far");
    assert_eq!(held.stat(&path(&fitting)).expect("fine").map(|s| s.len), Some(3));
    let deep = vec!["d"; 100].join("/");
    put(&held, &deep, b"deep");
    held.remove_tree(&path("d")).expect("removed");
    assert_eq!(held.stat(&path("d")).expect("fine"), None);
}

#[test]
fn removing_a_tree_unlinks_links_and_follows_none() {
    let (outside, _) = held();
    std::fs::write(outside.path().join("victim"), b"precious").expect("written");
    let (dir, held) = held();
    put(&held, "t/a/b", b"");
    symlink(outside.path(), dir.path().join("t/a/l")).expect("linked");
    held.remove_tree(&path("t")).expect("removed");
    assert!(!dir.path().join("t").exists() && outside.path().join("victim").exists());
}

#[test]
fn a_pipe_with_a_files_name_does_not_hang() {
    let (dir, held) = held();
    let fd = rustix::fs::open(dir.path(), rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).expect("open");
    rustix::fs::mknodat(&fd, "pipe", rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .expect("made");
    assert_eq!(held.stat(&path("pipe")).expect("fine").map(|s| s.kind), Some(FileKind::Other));
    let _returns = held.file(&path("pipe"), Access::Read);
}

#[test]
fn errors_are_one_sentence_with_path_and_cause() {
    let (_dir, held) = held();
    let error = held.file(&path("no/such"), Access::Read).expect_err("missing");
    assert!(error.is_missing());
    let text = error.to_string();
    assert!(text.starts_with("cannot read `/") && text.contains("no/such`: no such file"), "{text}");
    assert!(!text.contains('\n') && !text.contains("os error"), "{text}");
}

mod where_there_is_no_openat {
    use super::*;
    use crate::io::receive::dest::portable::Handle;

    #[test]
    fn links_are_refused_and_nothing_is_replaced() {
        let (dir, _) = held();
        std::fs::create_dir_all(dir.path().join("a/b")).expect("made");
        symlink("a", dir.path().join("l")).expect("linked");
        std::fs::write(dir.path().join("taken"), b"t").expect("written");
        symlink("taken", dir.path().join("leaf")).expect("linked");
        let handle = Handle::ambient(dir.path(), Mask::default()).expect("held");
        for path in ["l/x", "leaf"] {
            assert!(handle.open(path, Access::OpenOrCreate).is_err(), "{path}");
        }
        assert!(handle.create_dir("l/d").is_err() && handle.open_dir("l").is_err());
        drop(handle.open("a/b/c", Access::CreateNew).expect("made"));
        assert_eq!(
            handle.rename("a/b/c", &handle, "taken", false).expect_err("taken").kind(),
            io::ErrorKind::AlreadyExists
        );
        handle.rename("a/b/c", &handle, "a/new", false).expect("renamed");
        assert_eq!(handle.stat("leaf").expect("there").kind, FileKind::Link);
        handle.rename("a/new", &handle, "taken", true).expect("replaced");
        assert_eq!(handle.stat("taken").expect("there").len, 0);
        handle.remove_file("taken").expect("removed");
        handle.remove_dir("a/b").expect("removed");
        handle.sync().expect("synced");
        assert_eq!(handle.entries().expect("read").len(), 3);
    }
}
