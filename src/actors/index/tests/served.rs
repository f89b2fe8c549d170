//! What is served of files that change, go, move, or are only linked elsewhere.

use super::*;
use crate::io::share::source::ReadError;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_served_serves_nothing() {
    let story = Story::of(&[("a", b"one")]);
    let mut running = story.share(&["tree/a"]).await;
    let id = running.id("a").await;
    let source = running.now().source(id, 3).expect("served");
    let open = source.open(0).expect("open");
    let mut buf = [0; 3];
    open.read_at(&mut buf, 0).expect("read");
    assert!(source.has(0) && &buf == b"one");
    story.write("a", b"two");
    assert!(matches!(open.read_at(&mut buf, 0), Err(ReadError::Changed)));
    assert!(running.now().source(id, 4).is_none());
    running.stop().await;
}

/// What is served under this id of a content of this size: the bytes of the units that are there.
fn served(snapshot: &IndexSnapshot, id: ContentId, size: u64) -> Vec<Vec<u8>> {
    let Some(source) = snapshot.source(id, size) else { return Vec::new() };
    let read = |unit: u32| {
        let place = source.map().place(unit).expect("within");
        let mut buf = vec![0; usize::try_from(place.len).expect("small")];
        source.open(place.file).expect("open").read_at(&mut buf, place.offset).expect("read");
        buf
    };
    let mut units: Vec<_> = source.have().iter().map(read).collect();
    units.sort();
    units
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_is_served_as_what_it_was_when_files_of_it_change_go_or_move() {
    let story = Story::of(&[("a", b"one"), ("b", b"two"), ("c", b"three"), ("d/e", b"four")]);
    let mut running = story.share(&["tree"]).await;
    let (first, size) = (running.id("tree").await, 15);
    let manifest = running.now().manifest(first).expect("served");
    let all = [b"four".to_vec(), b"one".to_vec(), b"three".to_vec(), b"two".to_vec()];
    assert_eq!(served(&running.now(), first, size), all);
    // Moved, within the tree and with its directory: everything is still there, elsewhere.
    fs::rename(story.path("tree/b"), story.path("tree/z")).expect("rename");
    fs::rename(story.path("tree/d"), story.path("tree/moved")).expect("rename");
    running.offer("tree/z", |offer| offer.is_some()).await;
    running.offer("tree/moved/e", |offer| offer.is_some()).await;
    let second = running.offer("tree", |o| o.is_some_and(|o| o.id.is_some_and(|id| id != first))).await;
    let second = second.and_then(|o| o.id).expect("has an id");
    assert_eq!(served(&running.now(), first, size), all);
    // Removed and changed: those are gone, under both ids.
    fs::remove_file(story.path("tree/a")).expect("remove");
    story.write("c", b"another");
    running.offer("tree/c", |o| o.is_some_and(|o| o.id == Some(ContentId::of(b"another")))).await;
    running.offer("tree", |o| o.is_some_and(|o| o.id.is_some_and(|id| id != first && id != second))).await;
    for id in [first, second] {
        assert_eq!(served(&running.now(), id, size), [b"four".to_vec(), b"two".to_vec()]);
    }
    assert_eq!(running.now().manifest(first), Some(manifest));
    assert!(running.now().locate(first, |_| true).is_empty(), "it is served, not offered");
    fs::remove_dir_all(story.path("tree")).expect("remove");
    running.offer("tree", |offer| offer.is_none()).await;
    assert!(running.now().source(first, size).is_none() && running.now().absence(first, Asker::Stranger).is_some());
    running.stop().await;
}

/// A tree of a small file and of one that has a chunk list, whose hashes are remembered.
async fn small_and_large(large: &[u8]) -> (Story, Running, ContentId) {
    let story = Story::of(&[("a", b"one"), ("b", large)]);
    let mut running = story.start(Some(story.plan(&["tree"])), Some(story.cache())).await;
    let id = running.id("tree").await;
    (story, running, id)
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_linked_or_touched_up_is_served_at_every_moment() {
    use std::os::unix::fs::PermissionsExt as _;
    let large = vec![7; 3 << 20];
    let (story, mut running, id) = small_and_large(&large).await;
    let size = 3 + large.len() as u64;
    for round in 0_u32..3 {
        for name in ["a", "b"] {
            let path = story.path("tree").join(name);
            fs::hard_link(&path, story.path(&format!("{name}{round}"))).expect("link");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600 + round)).expect("chmod");
        }
        // A look has been taken once a new file is known; then everything is as before.
        story.write(&format!("new{round}"), b"new");
        let new = format!("tree/new{round}");
        running.snapshot.changed().await.expect("the index lives");
        while running.now().offer(&path(&new)).is_none_or(|offer| offer.id.is_none()) {
            assert_eq!(served(&running.now(), id, size).concat().len() as u64, size);
            for (name, content) in [("tree/a", b"one".as_slice()), ("tree/b", &large)] {
                assert_eq!(running.now().offer(&path(name)).and_then(|o| o.id), Some(ContentId::of(content)));
            }
            running.snapshot.changed().await.expect("the index lives");
        }
    }
    running.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_was_only_linked_is_soon_served_without_doubt_again() {
    let large = vec![7; 3 << 20];
    let (story, mut running, id) = small_and_large(&large).await;
    let size = 3 + large.len() as u64;
    let first = running.now();
    for name in ["a", "b"] {
        fs::hard_link(story.path("tree").join(name), story.path(name)).expect("link");
    }
    let doubted = |snapshot: &IndexSnapshot| {
        let source = snapshot.source(id, size).expect("served");
        (0..2).filter(|file| source.open(*file).expect("open").is_doubted()).count()
    };
    assert_eq!(doubted(&first), 2);
    // Who serves it tells: a link that is made elsewhere is not seen by the watch.
    running.index.cast(IndexMessage::Stale).expect("lives");
    running.snapshot.wait_for(|now| doubted(now) == 0).await.expect("the index lives");
    // Whoever still has the tree as it was finds the lists where they are now.
    assert_eq!(served(&first, id, size), served(&running.now(), id, size));
    let source = first.source(id, size).expect("served");
    assert!((0..2).any(|file| source.list(file).is_some()));
    assert_eq!(running.id("tree").await, id);
    running.stop().await;
}
