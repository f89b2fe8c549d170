//! What was fetched, as the index goes on offering it.

use super::*;
use crate::wire::LeftOut;

/// A file as a seed at a path, with what is known of it.
fn seed(at: PathBuf, content: &[u8]) -> (Seed, ContentId) {
    fs::create_dir_all(at.parent().expect("parent")).expect("mkdir");
    fs::write(&at, content).expect("write");
    let (id, size) = (ContentId::of(content), content.len() as u64);
    let stamp = crate::io::share::stamp::stamp_at(&at).expect("there");
    let proofs = vec![crate::io::share::hash::Hashed { id, list: None, stamp, settled: true }];
    let fixed = crate::io::share::scan::Fixed { id, size, tree: None, left_out: LeftOut::default() }.into();
    (Seed { name: path("name"), path: at, fixed, audience: Audience::Everybody, proofs, limit: None }, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn seeds_of_one_name_do_not_take_each_other_away() {
    let story = Story::of(&[]);
    let mut running = story.start(None, None).await;
    let index = IndexRef(running.index.clone());
    let (first, id) = seed(story.path("1/name"), b"content");
    let (again, _) = seed(story.path("1/name"), b"content");
    let (second, _) = seed(story.path("2/name"), b"content");
    let (other, other_id) = seed(story.path("3/name"), b"other content");
    for seed in [first, again, second, other] {
        assert!(index.seed(seed).await);
    }
    let names: Vec<_> = running.now().offers().iter().map(|offer| offer.name.to_string()).collect();
    assert_eq!(names, ["2/name", "3/name", "name"]);
    fs::remove_file(story.path("1/name")).expect("remove");
    running.offer("name", |offer| offer.is_none()).await;
    assert!(running.now().source(id, 7).is_some(), "the same content lies elsewhere, too");
    fs::remove_file(story.path("2/name")).expect("remove");
    running.offer("2/name", |offer| offer.is_none()).await;
    assert!(running.now().source(id, 7).is_none() && running.now().source(other_id, 13).is_some());
    let (gone, _) = seed(story.path("4/name"), b"gone");
    fs::remove_file(story.path("4/name")).expect("remove");
    assert!(!index.seed(gone).await, "what is not there is not served");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_with_other_content_is_not_offered_under_any_id() {
    let story = Story::of(&[]);
    let mut running = story.start(None, None).await;
    let index = IndexRef(running.index.clone());
    let (first, id) = seed(story.path("1/name"), b"content");
    assert!(index.seed(first).await);
    fs::write(story.path("1/name"), b"CONTENT").expect("write");
    running.offer("name", |offer| offer.is_none()).await;
    let notice = running.notice().await;
    assert!(matches!(&notice, IndexNotice::Broken { kind: Kind::File, more: 0, .. }), "{notice:?}");
    fs::write(story.path("1/name"), b"content").expect("write");
    assert_eq!(running.id("name").await, id);
    running.stop().await;
}
