//! Sizes that are only claimed, and kinds that are not the right ones.

use super::*;

#[test]
fn case_030_a_claimed_size_sets_nothing_aside_before_its_list_is_proven() {
    let (_dir, parent) = place();
    let content = three_chunks();
    let (partial, _) = content.open(&parent);
    let stat = || parent.stat(&partial.names.part).expect("fine").expect("there");
    assert_eq!((stat().kind, stat().len), (FileKind::File, 0));
    partial.save_list(0, &content.list(0)).expect("saved");
    assert_eq!(stat().len, content.spec.wanted.content.size);
    let huge = Wanted::file(ContentId::of(b"x"), 1 << 42).expect("fits");
    let huge = PartialSpec { wanted: Arc::new(huge), ..content.spec };
    let error = Partial::open(&parent, huge).expect_err("no room");
    assert!(error.is_full() && error.to_string().contains("4.0 TiB are needed"), "{error}");
}

fn lied(content: &Sample, size: u64) -> PartialSpec {
    let wanted = Wanted::file(content.spec.wanted.content.id, size).expect("small");
    PartialSpec { wanted: Arc::new(wanted), ..content.spec.clone() }
}

/// Sizes off by one, by a chunk, of another chunk size, and nearly none: each between two true runs.
#[test]
fn a_lie_about_the_size_takes_nothing_that_was_proven() {
    let content = three_chunks();
    let size = content.spec.wanted.content.size;
    let (_dir, parent) = place();
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0, 2]);
    drop(partial);
    for lie in [size + 1, size - 1, size + CHUNK as u64, CHUNK as u64, 1, 64 << 20, 20 << 30] {
        // There may be no room for that much: an error that goes away by itself.
        drop(Partial::open(&parent, lied(&content, lie)));
        assert_eq!(content.claimed(&parent), [0, 2], "after a size of {lie}");
    }
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.lists, [(0, content.list(0))]);
    for unit in [0, 2] {
        let mut buf = vec![0; content.unit(unit).len()];
        read(&partial, unit, &mut buf).expect("read");
        assert_eq!(buf, content.unit(unit));
    }
}

#[test]
fn what_was_proven_under_a_wrong_size_is_kept_where_it_agrees() {
    let content = three_chunks();
    let size = content.spec.wanted.content.size;
    for (lies, units, kept) in [
        // The list of two chunks is no list of three, but the bytes are there, and are proven once it comes.
        (vec![size + 1], vec![0, 1], vec![0, 1]),
        (vec![size - 1], vec![1], vec![1]),
        (vec![size + 1, size - 1, size + 5], vec![0], vec![0]),
    ] {
        let (_dir, parent) = place();
        for lie in &lies {
            let (partial, _) = Partial::open(&parent, lied(&content, *lie)).expect("opened");
            partial.save_list(0, &lied_list(&content, *lie)).expect("saved");
            for &unit in &units {
                partial.write(at(&partial, unit), content.unit(unit)).expect("written");
                partial.record(vec![unit]).expect("noted");
            }
        }
        assert_eq!(content.claimed(&parent), kept, "{lies:?}");
        assert_eq!(Partial::peek(&parent, &content.spec).iter().collect::<Vec<_>>(), kept);
        let (partial, _) = content.open(&parent);
        content.put_all(&partial);
        let plan = crate::io::receive::publish::PublishPlan {
            target: path("whole"),
            replace: HashSet::new(),
            times: Vec::new(),
            executable: false,
            halt: crate::io::receive::publish::Halt::default(),
        };
        let published = partial.publish(&plan).expect("published");
        assert_eq!(std::fs::read(published).expect("there"), content.files[0]);
    }
}

fn lied_list(content: &Sample, size: u64) -> ChunkList {
    let layout = Layout::of(size).expect("small");
    ChunkList::from_bytes(content.spec.wanted.content.id, layout, content.list(0).as_bytes()).expect("it merges")
}

/// 64 MiB less one byte has chunks of 256 KiB, 64 MiB has such of 1 MiB.
#[test]
fn units_of_another_chunk_size_are_claimed_once_their_list_is_there() {
    let content = Sample::file(vec![3; (64 << 20) - 1]);
    let (_dir, parent) = place();
    let mib = 1 << 20;
    let (partial, _) = Partial::open(&parent, lied(&content, 64 << 20)).expect("opened");
    partial.write(at(&partial, 1), &content.files[0][mib..2 * mib]).expect("written");
    partial.record(vec![1]).expect("noted");
    drop(partial);
    let (partial, resumed) = content.open(&parent);
    assert_eq!(resumed.units.count(), 0, "without a list nothing is believed");
    assert_eq!(partial.units_of_kin(0, Some(&content.list(0))), [4, 5, 6, 7]);
    let mut buf = vec![0; CHUNK];
    partial.read_kin(at(&partial, 5), &mut buf).expect("read");
    assert_eq!(buf, content.unit(5));
}

#[test]
fn a_collection_gives_way_to_no_file_of_its_id_and_a_file_to_a_collection() {
    let (_dir, parent) = place();
    let content = small_tree();
    let manifest = content.spec.wanted.tree.as_ref().expect("a tree").manifest();
    let list = Sample::file(manifest);
    let (partial, _) = content.open(&parent);
    content.put(&partial, [0]);
    drop(partial);
    let error = Partial::open(&parent, list.spec.clone()).expect_err("it is a collection");
    assert!(matches!(error, PartialError::Kind { .. }), "{error}");
    assert_eq!(content.claimed(&parent), [0]);
    Partial::discard(&parent, content.spec.wanted.content.id).expect("removed");
    drop(list.open(&parent));
    drop(content.open(&parent));
}
