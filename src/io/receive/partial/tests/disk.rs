//! What lies at the destination: links, full disks, few descriptors, bytes of others.

use super::*;
use crate::io::receive::dest::DestError;
use crate::model::{Cause, Obstacle};

#[test]
fn a_link_with_the_partial_files_name_is_refused() {
    let (outside, _) = place();
    for content in [three_chunks(), small_tree()] {
        let (dir, parent) = place();
        let names = Names::of(content.spec.wanted.content.id);
        std::os::unix::fs::symlink(outside.path(), dir.path().join(names.part.as_str())).expect("linked");
        let error = Partial::open(&parent, content.spec.clone()).expect_err("a link");
        assert!(matches!(error, PartialError::Dest(DestError::Link { .. } | DestError::Exists { .. })), "{error}");
        std::fs::remove_file(dir.path().join(names.part.as_str())).expect("removed");
        std::fs::remove_file(dir.path().join(names.journal.as_str())).expect("removed");
        std::os::unix::fs::symlink(outside.path().join("x"), dir.path().join(names.journal.as_str())).expect("linked");
        let error = Partial::open(&parent, content.spec.clone()).expect_err("a link");
        assert!(matches!(error, PartialError::Dest(DestError::Link { .. })), "{error}");
    }
    assert_eq!(names(outside.path()), Vec::<String>::new());
}

/// Whatever has the names of what is not finished was not put there by us.
#[test]
fn what_is_planted_under_the_names_is_refused_and_never_written_through() {
    use rustix::fs::{CWD, FileType, mknodat};
    let (outside, _) = place();
    let victim = outside.path().join("victim");
    std::fs::write(&victim, b"precious").expect("written");
    let plant = |at: &Path, what: &str| match what {
        "directory" => std::fs::create_dir_all(at).expect("made"),
        "fifo" => mknodat(CWD, at, FileType::Fifo, 0o600.into(), 0).expect("made"),
        "hard link" => std::fs::hard_link(&victim, at).expect("linked"),
        "socket" => drop(std::os::unix::net::UnixListener::bind(at).expect("bound")),
        _ => std::os::unix::fs::symlink(&victim, at).expect("linked"),
    };
    for what in ["directory", "fifo", "hard link", "socket", "link"] {
        for content in [three_chunks(), small_tree()] {
            let names = Names::of(content.spec.wanted.content.id);
            let tree = content.spec.wanted.tree.is_some();
            let inside = if tree { names.part.join(&path("a/one")).expect("short") } else { names.part.clone() };
            for name in [names.journal, inside] {
                let (dir, parent) = place();
                let there = dir.path().join(name.as_str());
                std::fs::create_dir_all(there.parent().expect("above")).expect("made");
                plant(&there, what);
                let begun = Partial::open(&parent, content.spec.clone());
                let done = begun.and_then(|(partial, _)| partial.write(at(&partial, 0), content.unit(0)));
                let error = done.expect_err(&format!("{what} at {name}"));
                assert!(error.to_string().contains(name.as_str()), "{what} at {name}: {error}");
                assert_eq!(std::fs::read(&victim).expect("there"), b"precious", "{what} at {name}");
            }
        }
    }
}

#[test]
fn a_run_that_wants_another_path_of_the_same_file_finds_its_bytes() {
    let (_dir, parent) = place();
    let mut content = small_tree();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0]);
    drop(partial);
    content.spec.unwanted = [path("a/one")].into();
    let (partial, resumed) = content.open(&parent);
    assert!(resumed.units.has(0));
    let mut buf = vec![0; 10];
    read(&partial, 0, &mut buf).expect("read at its new place");
    assert_eq!(buf, content.unit(0));
}

#[test]
fn many_threads_write_many_large_files_with_few_descriptors() {
    let (_dir, parent) = place();
    let named: Vec<_> = (0..100_u8).map(|i| (format!("f{i}"), Some(bytes(CHUNK + 1, i)))).collect();
    let entries: Vec<_> = named.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let content = Sample::tree(&entries);
    let (partial, _) = content.open(&parent);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (content, partial) = (&content, &partial);
            scope.spawn(move || content.put(partial, (0..200).filter(|u| u % 4 == thread)));
        }
    });
    for unit in 0..200 {
        let mut buf = vec![0; content.unit(unit).len()];
        read(&partial, unit, &mut buf).expect("read");
        assert_eq!(buf, content.unit(unit));
    }
    drop(partial);
    assert_eq!(content.claimed(&parent).len(), 200);
}

#[test]
fn discarding_removes_both_and_reserved_names_are_known() {
    let (dir, parent) = place();
    let content = small_tree();
    drop(content.open(&parent));
    assert!(names(dir.path()).iter().all(|name| Names::is_reserved(name)));
    Partial::discard(&parent, content.spec.wanted.content.id).expect("removed");
    Partial::discard(&parent, content.spec.wanted.content.id).expect("nothing to do");
    assert_eq!(names(dir.path()), Vec::<String>::new());
    assert!(!Names::is_reserved(".qshare-notes.part") && !Names::is_reserved("x.part"));
}

/// Needs root for a file system of its own.
#[test]
fn case_092_a_full_disk_keeps_what_was_noted_and_goes_on_when_there_is_room() {
    let (dir, _) = place();
    let Some(_mounted) = mounted(dir.path()) else { return };
    let parent = SafeDir::open(dir.path()).expect("held");
    let named: Vec<_> = (0..8_u8).map(|i| (format!("f{i}"), Some(bytes(CHUNK / 2, i)))).collect();
    let entries: Vec<_> = named.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let mut content = Sample::tree(&entries);
    let error = Partial::open(&parent, content.spec.clone()).expect_err("no room for all");
    assert!(error.is_full() && error.to_string().contains("1.0 MiB are needed"), "{error}");
    // Another program takes the room after the check.
    content.spec.unwanted = [path("f6"), path("f7")].into();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0, 1]);
    let mut ballast = 0;
    while std::fs::write(dir.path().join(format!("ballast{ballast}")), [1; 4096]).is_ok() {
        ballast += 1;
    }
    let error = partial.write(at(&partial, 2), content.unit(2)).expect_err("full");
    let full = |cause: &Cause| cause.kind == Obstacle::Space;
    assert!(matches!(&error, PartialError::Dest(DestError::Io { source, .. }) if full(source)), "{error}");
    partial.checkpoint().map_or_else(|e| assert!(e.is_full(), "{e}"), |()| ());
    drop(partial);
    (0..=ballast).for_each(|i| drop(std::fs::remove_file(dir.path().join(format!("ballast{i}")))));
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.units.iter().collect::<Vec<_>>(), [0, 1]);
    content.put(&partial, 2..6);
    let mut buf = vec![0; CHUNK / 2];
    read(&partial, 0, &mut buf).expect("kept");
    assert_eq!(buf, content.unit(0));
}

#[test]
fn a_part_that_is_longer_than_its_content_is_cut_and_goes_on() {
    use std::io::Write as _;
    for (content, within) in [(three_chunks(), vec![""]), (small_tree(), vec!["big", "a/one"])] {
        let (_dir, parent) = place();
        let (partial, _) = content.open(&parent);
        content.put(&partial, [0, 1, 2]);
        let part = partial.path().to_path_buf();
        drop(partial);
        let part_of = |name: &str| if name.is_empty() { part.clone() } else { part.join(name) };
        for name in &within {
            std::fs::create_dir_all(part_of(name).parent().expect("has one")).expect("made");
            let file = std::fs::File::options().append(true).create(true).open(part_of(name));
            file.and_then(|mut file| file.write_all(&vec![7; 3 * CHUNK])).expect("written");
        }
        let (partial, resumed) = content.open(&parent);
        assert_eq!(resumed.units.iter().collect::<Vec<_>>(), [0, 1, 2]);
        content.put_all(&partial);
        // Of a single file a wrong size may have been claimed: it is cut when it is published.
        for name in within.iter().filter(|name| !name.is_empty()) {
            let entries = content.spec.wanted.tree.iter().flat_map(|tree| tree.entries());
            let entry = entries.filter(|(path, _)| path.as_str() == *name).find_map(|(_, entry)| entry.content());
            let size = entry.map_or(content.spec.wanted.content.size, |(_, size)| size);
            assert_eq!(std::fs::metadata(part_of(name)).expect("there").len(), size, "{name}");
        }
        let mut buf = vec![0; content.unit(2).len()];
        read(&partial, 2, &mut buf).expect("read");
        assert_eq!(buf, content.unit(2));
        let (target, times) = (path("whole"), Vec::new());
        let plan = crate::io::receive::publish::PublishPlan {
            target,
            replace: HashSet::new(),
            times,
            executable: false,
            halt: crate::io::receive::publish::Halt::default(),
        };
        let published = partial.publish(&plan).expect("published").to_path_buf();
        let len =
            |name: &&str| std::fs::metadata(if name.is_empty() { published.clone() } else { published.join(name) });
        let lens: u64 = within.iter().map(|name| len(name).expect("there").len()).sum();
        assert!(lens <= content.spec.wanted.content.size, "{lens}");
    }
}
