use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::io::receive::partial::tests::{Sample, bytes, names, path, place};
use crate::model::Kind;

const CHUNK: usize = 256 << 10;

fn plan(target: &str) -> PublishPlan {
    PublishPlan {
        target: path(target),
        replace: HashSet::new(),
        times: Vec::new(),
        executable: false,
        halt: Halt::default(),
    }
}

fn tree() -> Sample {
    Sample::tree(&[
        ("a/one", Some(bytes(10, 1))),
        ("a/two", Some(bytes(20, 2))),
        ("big", Some(bytes(2 * CHUNK + 1, 3))),
        ("copy*", Some(bytes(10, 1))),
        ("deep/copy", Some(bytes(10, 1))),
        ("empty*", Some(Vec::new())),
        ("hollow/dir", None),
        ("run*", Some(bytes(30, 4))),
        ("void", Some(Vec::new())),
    ])
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn executable(path: &Path) -> bool {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o100 != 0
}

/// Opens, writes everything, and publishes.
fn fetch(content: &Sample, parent: &SafeDir, plan: &PublishPlan) -> Result<LocalPath, PartialError> {
    let (partial, _) = content.open(parent);
    content.put_all(&partial);
    partial.publish(plan)
}

fn assert_is_the_tree(root: &Path) {
    assert_eq!(names(root), ["a", "big", "copy", "deep", "empty", "hollow", "run", "void"]);
    assert_eq!(
        (names(&root.join("a")), names(&root.join("hollow"))),
        (vec!["one".into(), "two".into()], vec!["dir".into()])
    );
    assert!(root.join("hollow/dir").is_dir() && names(&root.join("hollow/dir")).is_empty());
    let files = [("a/one", 10, 1), ("a/two", 20, 2), ("big", 2 * CHUNK + 1, 3), ("copy", 10, 1), ("run", 30, 4)];
    for (name, size, seed) in files {
        assert_eq!(read(&root.join(name)), bytes(size, seed), "{name}");
    }
    assert!(read(&root.join("empty")).is_empty() && read(&root.join("void")).is_empty());
    let bits = ["a/one", "copy", "deep/copy", "empty", "run", "void"].map(|name| executable(&root.join(name)));
    assert_eq!(bits, [false, true, false, true, true, false]);
}

#[test]
fn a_file_gets_its_name_and_nothing_stays_behind() {
    for size in [0, 1, CHUNK, CHUNK + 1] {
        let (dir, parent) = place();
        let content = Sample::file(bytes(size, 9));
        let published = fetch(&content, &parent, &plan("final")).expect("published");
        assert_eq!((read(&published), &*published), (bytes(size, 9), &*dir.path().join("final")));
        assert_eq!(names(dir.path()), ["final"]);
    }
}

#[test]
fn a_new_tree_gets_its_name_whole() {
    let (dir, parent) = place();
    fetch(&tree(), &parent, &plan("top")).expect("published");
    assert_eq!(names(dir.path()), ["top"]);
    assert_is_the_tree(&dir.path().join("top"));
    let inode = |name: &str| std::fs::metadata(dir.path().join("top").join(name)).expect("there").ino();
    assert_ne!(inode("a/one"), inode("deep/copy"), "copies are files of their own");
}

#[test]
fn an_existing_directory_keeps_what_it_had() {
    let (dir, parent) = place();
    std::fs::create_dir_all(dir.path().join("top/a")).expect("made");
    std::fs::write(dir.path().join("top/a/one"), bytes(10, 1)).expect("written");
    std::fs::write(dir.path().join("top/own"), b"mine").expect("written");
    let mut content = tree();
    content.spec.present = [path("a/one")].into();
    fetch(&content, &parent, &plan("top")).expect("published");
    assert_eq!(read(&dir.path().join("top/own")), b"mine");
    std::fs::remove_file(dir.path().join("top/own")).expect("removed");
    assert_is_the_tree(&dir.path().join("top"));
    assert_eq!(names(dir.path()), ["top"]);
}

#[test]
fn case_096_a_target_that_appears_is_not_replaced_and_the_partial_is_kept() {
    for content in [Sample::file(bytes(5, 1)), tree()] {
        let (dir, parent) = place();
        let (partial, _) = content.open(&parent);
        content.put_all(&partial);
        std::fs::write(dir.path().join("top"), b"theirs").expect("written");
        let error = partial.publish(&plan("top")).expect_err("taken");
        assert!(matches!(&error, PartialError::Appeared { path } if path.ends_with("top")), "{error}");
        assert_eq!(read(&dir.path().join("top")), b"theirs");
        drop(partial);
        std::fs::remove_file(dir.path().join("top")).expect("moved away");
        let (partial, resumed) = content.open(&parent);
        assert_eq!(resumed.units, partial.wanted_units(), "all is still there");
        partial.publish(&plan("top")).expect("published");
        assert_eq!(names(dir.path()), ["top"]);
    }
}

#[test]
fn what_an_earlier_run_left_is_pruned_and_gets_its_bits() {
    let (dir, parent) = place();
    let content = tree();
    let part = dir.path().join(Names::of(content.spec.wanted.content.id).part.as_str());
    let (partial, _) = content.open(&parent);
    content.put_all(&partial);
    drop(partial);
    std::fs::set_permissions(part.join("run"), std::fs::Permissions::from_mode(0o644)).expect("changed");
    std::fs::write(part.join("foreign"), b"left over").expect("written");
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.units, partial.wanted_units());
    partial.publish(&plan("top")).expect("published");
    assert_is_the_tree(&dir.path().join("top"));
}

#[test]
fn a_file_that_appears_in_the_directory_stops_before_any_rename() {
    let (dir, parent) = place();
    std::fs::create_dir(dir.path().join("top")).expect("made");
    std::fs::write(dir.path().join("top/run"), b"theirs").expect("written");
    let error = fetch(&tree(), &parent, &plan("top")).expect_err("taken");
    assert!(matches!(&error, PartialError::Appeared { path } if path.ends_with("top/run")), "{error}");
    assert_eq!(
        (names(&dir.path().join("top")), read(&dir.path().join("top/run"))),
        (vec!["run".into()], b"theirs".to_vec())
    );
}

#[test]
fn force_replaces_what_it_names_and_never_a_link_or_directory() {
    let (outside, _) = place();
    std::fs::write(outside.path().join("victim"), b"precious").expect("written");
    let (dir, parent) = place();
    std::fs::create_dir_all(dir.path().join("top/big")).expect("made");
    std::fs::write(dir.path().join("top/run"), b"old").expect("written");
    let content = tree();
    let forced = PublishPlan { replace: [path("run"), path("big"), path("a/one")].into(), ..plan("top") };
    let error = fetch(&content, &parent, &forced).expect_err("a directory");
    assert!(matches!(&error, PartialError::Appeared { path } if path.ends_with("top/big")), "{error}");
    std::fs::remove_dir(dir.path().join("top/big")).expect("removed");
    std::os::unix::fs::symlink(outside.path().join("victim"), dir.path().join("top/big")).expect("linked");
    let again = || fetch(&content_left(dir.path()), &parent, &forced);
    let error = again().expect_err("a link");
    assert!(matches!(&error, PartialError::Dest(DestError::Link { path }) if path.ends_with("top/big")), "{error}");
    std::fs::remove_file(dir.path().join("top/big")).expect("removed");
    again().expect("published");
    assert_is_the_tree(&dir.path().join("top"));
    assert_eq!((read(&outside.path().join("victim")), names(dir.path())), (b"precious".to_vec(), vec!["top".into()]));
}

/// The tree, with what an earlier attempt has moved already marked as present.
fn content_left(dir: &Path) -> Sample {
    let mut content = tree();
    let there = |p: &&SafePath| std::fs::symlink_metadata(dir.join("top").join(p.as_str())).is_ok();
    let stays = ["run", "big"].map(path);
    let collection = content.spec.wanted.tree.clone().expect("a tree");
    let paths = collection.entries().iter().map(|(p, _)| p);
    content.spec.present = paths.filter(there).filter(|p| !stays.contains(p)).cloned().collect();
    content
}

#[test]
fn a_link_within_the_target_is_not_written_through() {
    let (outside, _) = place();
    let (dir, parent) = place();
    std::fs::create_dir(dir.path().join("top")).expect("made");
    std::os::unix::fs::symlink(outside.path(), dir.path().join("top/a")).expect("linked");
    let error = fetch(&tree(), &parent, &plan("top")).expect_err("a link");
    assert!(matches!(&error, PartialError::Dest(DestError::Link { path }) if path.ends_with("top/a")), "{error}");
    assert_eq!(names(outside.path()), Vec::<String>::new());
}

#[test]
fn what_another_run_left_half_written_is_not_published() {
    let (dir, parent) = place();
    let mut content = tree();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [2]);
    drop(partial);
    let unwanted = ["big", "hollow/dir", "a/two", "copy", "deep/copy", "empty", "void"];
    content.spec.unwanted = unwanted.map(path).into();
    fetch(&content, &parent, &plan("top")).expect("published");
    assert_eq!(
        (names(&dir.path().join("top")), names(&dir.path().join("top/a"))),
        (vec!["a".into(), "run".into()], vec!["one".into()])
    );
}

#[test]
fn a_file_changed_behind_our_back_is_not_published() {
    let (dir, parent) = place();
    let content = tree();
    let (partial, _) = content.open(&parent);
    content.put_all(&partial);
    let two = partial.path().join("a/two");
    std::fs::OpenOptions::new().append(true).open(&two).and_then(|f| f.set_len(21)).expect("grown");
    let error = partial.publish(&plan("top")).expect_err("damaged");
    assert!(matches!(&error, PartialError::Damaged { path } if **path == *two), "{error}");
    assert!(!dir.path().join("top").exists());
    // The next run hashes again what is claimed; what lies behind the end is not in its way.
    drop(partial);
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.units.count(), content.spec.wanted.map.units());
    partial.publish(&plan("top")).expect("published");
    assert_eq!(std::fs::metadata(dir.path().join("top/a/two")).expect("there").len(), 20);
}

#[test]
fn a_target_that_vanished_is_told_and_nothing_incomplete_takes_its_name() {
    let (dir, parent) = place();
    let mut content = tree();
    content.spec.present = [path("run")].into();
    let error = fetch(&content, &parent, &plan("top")).expect_err("gone");
    assert!(matches!(error, PartialError::Vanished { .. }), "{error}");
    assert!(!dir.path().join("top").exists());
}

#[test]
fn times_are_applied_to_files_of_the_content_only() {
    let (dir, parent) = place();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    let times = vec![(path("a/one"), then), (path("deep/copy"), then), (path("nowhere"), then)];
    fetch(&tree(), &parent, &PublishPlan { times, ..plan("top") }).expect("published");
    let modified =
        |name: &str| std::fs::metadata(dir.path().join("top").join(name)).expect("there").modified().expect("known");
    assert_eq!([modified("a/one"), modified("deep/copy")], [then; 2]);
    assert!(modified("run") > then && !dir.path().join("top/nowhere").exists());
    let file = Sample::file(bytes(3, 3));
    fetch(&file, &parent, &PublishPlan { times: vec![(path("f"), then)], ..plan("f") }).expect("published");
    assert_eq!(std::fs::metadata(dir.path().join("f")).expect("there").modified().expect("known"), then);
}

#[test]
fn unfinished_names_are_never_targets() {
    let (_dir, parent) = place();
    let content = Sample::file(bytes(3, 3));
    assert_eq!(content.spec.wanted.content.kind, Kind::File);
    let names = Names::of(content.spec.wanted.content.id);
    for name in [names.part, names.journal] {
        let error = fetch(&content, &parent, &plan(name.as_str())).expect_err("reserved");
        assert!(matches!(error, PartialError::Reserved { .. }), "{error}");
    }
}

#[test]
fn a_kill_between_the_renames_is_finished_by_the_next_run() {
    let (dir, parent) = place();
    let content = tree();
    std::fs::create_dir_all(dir.path().join("top/a")).expect("made");
    let (partial, _) = content.open(&parent);
    content.put_all(&partial);
    // As publish does, up to the second rename.
    let Data::Tree(data) = &partial.data else { panic!("a tree has a tree") };
    let collection = content.spec.wanted.tree.as_ref().expect("a tree");
    let wanted: Vec<_> = partial.wanted_entries(collection).collect();
    Finish::of(data, collection).run(&wanted, &plan("top")).expect("finished");
    for name in ["a/one", "a/two"] {
        std::fs::rename(partial.path().join(name), dir.path().join("top").join(name)).expect("renamed");
    }
    drop(partial);
    let content = content_left(dir.path());
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.units, partial.wanted_units(), "nothing is fetched twice");
    partial.publish(&plan("top")).expect("published");
    assert_is_the_tree(&dir.path().join("top"));
    assert_eq!(names(dir.path()), ["top"]);
}

/// What others do to a file between its proof and its name, the bytes and the names of it both.
#[test]
fn what_others_put_in_the_place_of_what_was_proven_is_not_published() {
    type Deed = fn(&Path, &Path);
    let same_bytes: Deed = |at, _| {
        let bytes = read(at);
        std::fs::remove_file(at).expect("removed");
        std::fs::write(at, bytes).expect("written");
    };
    let other_bytes: Deed = |at, _| {
        let len = std::fs::metadata(at).expect("there").len();
        std::fs::remove_file(at).expect("removed");
        std::fs::write(at, vec![7; usize::try_from(len).expect("small")]).expect("written");
    };
    let written: Deed = |at, _| {
        use std::os::unix::fs::FileExt as _;
        let file = std::fs::OpenOptions::new().write(true).open(at).expect("opened");
        file.write_all_at(b"\xff\x00\xff", 1).expect("written");
    };
    let link: Deed = |at, outside| {
        std::fs::remove_file(at).expect("removed");
        std::os::unix::fs::symlink(outside, at).expect("linked");
    };
    let second_name: Deed = |at, _| std::fs::hard_link(at, at.with_extension("other")).expect("linked");
    let gone: Deed = |at, _| std::fs::remove_file(at).expect("removed");
    let (outside, _) = place();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, bytes(20, 2)).expect("written");
    for (deed, fine_in_a_tree) in
        [(same_bytes, true), (other_bytes, false), (written, false), (link, false), (second_name, false), (gone, false)]
    {
        for content in [Sample::file(bytes(20, 2)), tree()] {
            let is_tree = content.spec.wanted.content.kind == Kind::Collection;
            let (dir, parent) = place();
            let (partial, _) = content.open(&parent);
            content.put_all(&partial);
            // So that a write cannot be within the same tick of the file system's clock.
            std::thread::sleep(Duration::from_millis(20));
            let at = if is_tree { partial.path().join("a/two") } else { partial.path().to_path_buf() };
            deed(&at, &victim);
            let published = partial.publish(&plan("top"));
            assert_eq!(published.is_ok(), is_tree && fine_in_a_tree, "{published:?}");
            assert_eq!(dir.path().join("top").exists(), published.is_ok());
            assert_eq!(read(&victim), bytes(20, 2));
        }
    }
}

#[test]
fn what_was_touched_and_is_right_is_published() {
    for content in [Sample::file(bytes(2 * CHUNK + 1, 3)), tree()] {
        let (dir, parent) = place();
        let (partial, _) = content.open(&parent);
        content.put_all(&partial);
        let part = partial.path();
        let at =
            if content.spec.wanted.content.kind == Kind::Collection { part.join("big") } else { part.to_path_buf() };
        let file = std::fs::OpenOptions::new().write(true).open(at).expect("opened");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(9)).expect("set");
        partial.publish(&plan("top")).expect("published");
        assert_eq!(names(dir.path()), ["top"]);
    }
}

#[test]
fn another_directory_in_the_place_of_the_tree_is_not_published() {
    let (dir, parent) = place();
    let content = tree();
    let (partial, _) = content.open(&parent);
    content.put_all(&partial);
    std::fs::rename(partial.path(), dir.path().join("aside")).expect("renamed");
    std::fs::create_dir(partial.path()).expect("made");
    let error = partial.publish(&plan("top")).expect_err("another");
    assert!(matches!(error, PartialError::Damaged { .. }), "{error}");
    assert!(!dir.path().join("top").exists());
}

#[test]
fn a_copy_of_what_was_bent_meanwhile_is_hashed_as_well() {
    use std::os::unix::fs::FileExt as _;
    let (dir, parent) = place();
    let content = tree();
    let (partial, _) = content.open(&parent);
    content.put_all(&partial);
    let Data::Tree(data) = &partial.data else { panic!("a tree has a tree") };
    let collection = content.spec.wanted.tree.as_ref().expect("a tree");
    let wanted: Vec<_> = partial.wanted_entries(collection).collect();
    let one = std::fs::OpenOptions::new().write(true).open(partial.path().join("a/one")).expect("opened");
    std::thread::sleep(Duration::from_millis(20));
    one.write_all_at(b"!", 3).expect("bent");
    let mut finish = Finish::of(data, collection);
    finish.make_all(&wanted, &Halt::default()).expect("copied");
    one.write_all_at(&bytes(10, 1)[3..4], 3).expect("mended");
    let error = finish.settle(&wanted, &plan("top")).expect_err("the copies are wrong");
    assert!(matches!(&error, PartialError::Damaged { path } if path.ends_with("copy")), "{error}");
    assert!(!dir.path().join("top").exists());
}

#[test]
fn what_is_wanted_no_longer_gets_no_name_and_is_kept() {
    let halted = |target: &str| {
        let plan = plan(target);
        plan.halt.order();
        plan
    };
    for (name, content) in [("f", Sample::file(bytes(3, 9))), ("top", tree())] {
        let (dir, parent) = place();
        let refused = fetch(&content, &parent, &halted(name)).expect_err("it is halted");
        assert_eq!(refused, PartialError::Halted);
        assert!(!names(dir.path()).is_empty() && !dir.path().join(name).exists(), "what was proven is kept");
        fetch(&content, &parent, &plan(name)).expect("published");
        assert_eq!(names(dir.path()), [name]);
    }
}
