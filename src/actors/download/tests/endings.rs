//! How a transfer ends or goes on when those who gave do so no longer.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::logic::transfer::Why;

/// A transfer of which a part has come.
async fn begun(taker: &TestNode, giver: &TestNode, bytes: &[u8], wait: Duration) -> Download {
    let download = taker.get(bytes, None, wait).await;
    download.providers(vec![giver.provider()]);
    until(&download, |now| now.bytes >= 1 << 20).await;
    download
}

/// Far longer than the test may take.
const FOREVER: Duration = Duration::from_secs(3600);

/// The only one takes its offer back in the middle of a transfer that waits so long for it.
async fn taken_back(returns: bool, wait: Duration) -> Shortfall {
    let bytes = noise(16 * MIB);
    let giver = TestNode::start(Some(4 << 20)).await;
    let taker = TestNode { returns, ..TestNode::start(None).await };
    let place = giver.offer(Memory::file(bytes.clone()));
    let mut download = begun(&taker, &giver, &bytes, wait).await;
    drop(place);
    let shortfall = incomplete(&mut download).await;
    let (node, addr) = (giver.host.id(), Some(giver.host.endpoint.local_addr()));
    let why = Why::Refused(Code::NotFound);
    assert_eq!(shortfall.providers, [Trouble { node, addr, why, error: None }]);
    assert!(shortfall.files.is_empty());
    shortfall
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_only_one_takes_back_what_does_not_return_the_end_comes_soon_and_says_so() {
    assert_eq!(taken_back(false, FOREVER).await.waited, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_only_one_takes_back_is_waited_for_as_long_as_was_asked() {
    let wait = Duration::from_secs(8);
    assert_eq!(taken_back(true, wait).await.waited, Some(wait));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_one_is_asked_again_at_once_when_it_has_it_again() {
    let bytes = noise(12 * MIB);
    let (giver, taker) = (TestNode::start(Some(4 << 20)).await, TestNode::start(None).await);
    let place = giver.offer(Memory::file(bytes.clone()));
    // A rest of a minute would end it.
    let mut download = begun(&taker, &giver, &bytes, Duration::from_secs(30)).await;
    drop(place);
    until(&download, |now| now.stuck && now.providers.iter().any(|p| p.why.is_some())).await;
    let _place = giver.offer(Memory::file(bytes.clone()));
    let end = complete(&mut download).await;
    assert!(written(&download) == bytes && !end.stuck);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_denies_does_not_end_it_while_another_may_come_back() {
    let bytes = noise(12 * MIB);
    let (denies, vanished, taker) =
        (TestNode::start(Some(4 << 20)).await, TestNode::start(None).await, TestNode::start(None).await);
    let place = denies.offer(Memory::file(bytes.clone()));
    let mut download = begun(&taker, &denies, &bytes, Duration::from_secs(8)).await;
    vanished.host.endpoint.close(Code::Closing).await;
    download.providers(vec![vanished.provider()]);
    drop(place);
    let shortfall = incomplete(&mut download).await;
    assert_eq!(shortfall.waited, Some(Duration::from_secs(8)), "{shortfall:?}");
    let why = |node: &TestNode| shortfall.providers.iter().find(|one| one.node == node.host.id());
    assert_eq!(why(&denies).map(|one| one.why), Some(Why::Refused(Code::NotFound)));
    let unreachable = why(&vanished).expect("known");
    assert!(unreachable.why == Why::Unreachable && unreachable.error.is_some(), "{shortfall:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_left_but_another_one_found_goes_on() {
    let bytes = noise(12 * MIB);
    let (first, second, taker) =
        (TestNode::start(Some(4 << 20)).await, TestNode::start(None).await, TestNode::start(None).await);
    let place = first.offer(Memory::file(bytes.clone()));
    let _other = second.offer(Memory::file(bytes.clone()));
    let mut download = begun(&taker, &first, &bytes, FOREVER).await;
    drop(place);
    // What the node's look on all planes waits for.
    until(&download, |now| now.stuck).await;
    download.providers(vec![second.provider()]);
    complete(&mut download).await;
    assert!(written(&download) == bytes);
}

/// A transfer at the limit of who gives or of who takes: 64 KiB come at once, the rest in 4 s.
async fn limited(upload: Option<u64>, limit: Option<u64>, wait: Duration) {
    let bytes = noise(68 * KIB);
    let (giver, taker) = (TestNode::start(upload).await, TestNode::start(None).await);
    let _place = giver.offer(Memory::file(bytes.clone()));
    let mut download = taker.get(&bytes, limit, wait).await;
    let mut progress = download.progress();
    let unworried = tokio::spawn(async move {
        let (mut told, mut moved) = (None, false);
        while progress.changed().await.is_ok() {
            told = told.or(progress.borrow().gives_up);
            moved |= progress.borrow().rate > 0 && progress.borrow().bytes == 0;
        }
        (told, moved)
    });
    download.providers(vec![giver.provider()]);
    complete(&mut download).await;
    assert!(written(&download) == bytes);
    drop(download);
    assert_eq!(unworried.await.expect("no panic"), (None, true), "its bytes are seen to come: {upload:?} {limit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_limit_does_not_wait_for_others() {
    // What comes more slowly than 4 KiB in 4 s is no news; what is here and waits for its turn is not waited for.
    let (short, long) = (Duration::from_secs(2), Duration::from_secs(8));
    tokio::join!(limited(None, Some(1 << 10), short), limited(Some(1 << 10), None, long));
}

/// A tree of three files of which the second has changed, while the flag says so.
async fn tree_with_a_change(taker: &TestNode, giver: &TestNode, still: &Arc<AtomicBool>) -> (Shelved, Download) {
    let files: Vec<Vec<u8>> = [300, 100_000, 7000].map(noise).into();
    let entry = |(n, bytes): (usize, &Vec<u8>)| {
        let path = SafePath::parse(&format!("f{n}")).expect("valid");
        (path, Entry::File { size: bytes.len() as u64, id: ContentId::of(bytes), executable: false })
    };
    let wanted = tree(Collection::new(files.iter().enumerate().map(entry).collect()).expect("sound"));
    let mut memory = Memory::new(Kind::Collection, UnitMap::clone(&wanted.map), files);
    memory.changed = Some((1, Arc::clone(still)));
    let place = giver.offer_as(wanted.content.id, memory);
    let download = taker.get_wanted(wanted, None, FOREVER).await;
    download.providers(vec![giver.provider()]);
    (place, download)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_tree_the_rest_comes_and_the_file_that_changed_is_told() {
    let (giver, taker) = (TestNode::start(None).await, TestNode::start(None).await);
    let (_place, mut download) = tree_with_a_change(&taker, &giver, &Arc::new(AtomicBool::new(true))).await;
    let shortfall = incomplete(&mut download).await;
    assert_eq!((shortfall.waited, shortfall.files), (None, vec![1]));
    assert_eq!(shortfall.providers.len(), 1);
    assert_eq!(download.progress().borrow().bytes, 7300, "the other two");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_tree_a_file_that_was_only_touched_comes_too() {
    let (giver, taker) = (TestNode::start(None).await, TestNode::start(None).await);
    let still = Arc::new(AtomicBool::new(true));
    let (_place, mut download) = tree_with_a_change(&taker, &giver, &still).await;
    until(&download, |now| now.bytes == 7300 && now.stuck).await;
    still.store(false, Ordering::Relaxed);
    complete(&mut download).await;
}
