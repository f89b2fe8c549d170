use std::os::unix::fs::symlink;

use super::*;
use crate::io::receive::partial::tests::{bytes, mounted, path, place};
use crate::model::{Cause, Obstacle};

const CHUNK: usize = 256 << 10;

fn collection(entries: &[(&str, Option<&[u8]>)]) -> Collection {
    let entries = entries.iter().map(|(name, bytes)| {
        let entry = |b: &[u8]| Entry::File { size: b.len() as u64, id: ContentId::of(b), executable: false };
        (path(name), bytes.map_or(Entry::Directory, entry))
    });
    Collection::new(entries.collect()).expect("sound")
}

fn of_file(parent: &SafeDir, name: &str, content: &[u8]) -> (Existing, u64) {
    let hashed = AtomicU64::new(0);
    let existing = compare_file(parent, &path(name), ContentId::of(content), content.len() as u64, &hashed);
    (existing.expect("compared"), hashed.into_inner())
}

#[test]
fn a_file_is_the_same_only_by_content_and_read_only_when_it_can_be() {
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 1] {
        let (dir, parent) = place();
        let content = bytes(size, 3);
        assert_eq!(of_file(&parent, "f", &content).0.missing, [path("f")]);
        std::fs::write(dir.path().join("f"), &content).expect("written");
        let (existing, hashed) = of_file(&parent, "f", &content);
        assert_eq!((existing.same.as_slice(), hashed), (&[path("f")][..], size as u64), "size {size}");
        assert!(existing.is_complete());
        let (existing, hashed) = of_file(&parent, "f", &bytes(size + 1, 3));
        assert_eq!((existing.different.as_slice(), hashed), (&[path("f")][..], 0), "size {size}");
    }
    let (dir, parent) = place();
    std::fs::write(dir.path().join("f"), bytes(CHUNK * 2, 1)).expect("written");
    assert_eq!(of_file(&parent, "f", &bytes(CHUNK * 2, 2)).0.different, [path("f")]);
}

#[test]
fn a_tree_is_sorted_into_same_different_missing_and_blocked() {
    let (outside, _) = place();
    std::fs::write(outside.path().join("x"), b"x").expect("written");
    let (dir, parent) = place();
    let top = dir.path().join("top");
    std::fs::create_dir_all(top.join("dir-for-file")).expect("made");
    std::fs::create_dir_all(top.join("sub/there")).expect("made");
    for (name, content) in
        [("same", "s"), ("sub/differs", "old"), ("file-for-dir", "f"), ("file-above", "f"), ("own", "o")]
    {
        std::fs::write(top.join(name), content).expect("written");
    }
    symlink(outside.path(), top.join("link-above")).expect("linked");
    symlink(outside.path().join("x"), top.join("link")).expect("linked");
    let tree = collection(&[
        ("dir-for-file", Some(b"f")),
        ("file-above/x", Some(b"x")),
        ("file-for-dir", None),
        ("gone", None),
        ("link", Some(b"x")),
        ("link-above/x", Some(b"x")),
        ("not/there", Some(b"n")),
        ("same", Some(b"s")),
        ("sub/differs", Some(b"new")),
        ("sub/there", None),
        ("unwanted", Some(b"u")),
    ]);
    let hashed = AtomicU64::new(0);
    let wanted = |p: &SafePath| p.as_str() != "unwanted";
    let existing = compare_collection(&parent, &path("top"), &tree, wanted, &hashed).expect("compared");
    let named = |names: &[&str]| names.iter().map(|n| path(n)).collect::<Vec<_>>();
    assert_eq!(existing.same, named(&["same", "sub/there"]));
    assert_eq!(existing.different, named(&["sub/differs"]));
    assert_eq!(existing.missing, named(&["gone", "not/there"]));
    assert_eq!(existing.blocked, named(&["dir-for-file", "file-above/x", "file-for-dir", "link", "link-above/x"]));
    assert!(matches!(existing.permit(&parent, true), Err(ExistingError::Blocked { paths }) if paths.len() == 5));
}

#[test]
fn a_missing_target_misses_all_and_a_file_in_its_place_blocks() {
    let (dir, parent) = place();
    let tree = collection(&[("a", Some(b"a")), ("b", None)]);
    let compare = || compare_collection(&parent, &path("top"), &tree, |_| true, &AtomicU64::new(0)).expect("compared");
    assert_eq!(compare().missing, [path("a"), path("b")]);
    std::fs::write(dir.path().join("top"), b"file").expect("written");
    assert_eq!(compare(), Existing { blocked: vec![path("top")], ..Existing::default() });
}

#[test]
fn one_error_names_the_first_twenty_that_differ_and_counts_the_rest() {
    let (_dir, parent) = place();
    let different: Vec<_> = (10..35).map(|i| path(&format!("f{i}"))).collect();
    let existing = Existing { different, ..Existing::default() };
    assert_eq!(existing.permit(&parent, true), Ok(()));
    let error = existing.permit(&parent, false).expect_err("they differ");
    let text = error.to_string();
    assert!(text.contains("f10`") && text.contains("f29`") && !text.contains("f30`"), "{text}");
    assert!(text.contains("and 5 more (25 in all) are there with other content"), "{text}");
    let one = Existing { different: vec![path("only")], ..Existing::default() };
    assert!(one.permit(&parent, false).expect_err("differs").to_string().contains("only` is there with other content"));
}

#[test]
fn case_095_a_target_that_is_another_file_system_than_its_parent_is_refused_at_once() {
    let (dir, parent) = place();
    std::fs::create_dir(dir.path().join("top")).expect("made");
    let top = dir.path().join("top");
    let Some(_mounted) = mounted(&top) else { return };
    let tree = collection(&[("a", Some(b"a"))]);
    let compare = || compare_collection(&parent, &path("top"), &tree, |_| true, &AtomicU64::new(0));
    let error = compare().expect_err("nothing can be renamed into it");
    let other = |cause: &Cause| cause.kind == Obstacle::OtherDevice;
    assert!(matches!(&error, DestError::Io { source, path, .. } if other(source) && **path == *top), "{error}");
    std::fs::write(dir.path().join("top/a"), b"a").expect("written");
    assert!(compare().expect("nothing is to be renamed").is_complete());
}
