//! How a transfer ends or goes on when those who gave do so no longer.

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

#[tokio::test(flavor = "multi_thread")]
async fn when_the_only_one_says_that_it_has_it_no_longer_the_end_comes_soon_and_says_so() {
    let bytes = noise(16 * MIB);
    let (giver, taker) = (TestNode::start(Some(4 << 20)).await, TestNode::start(None).await);
    let place = giver.offer(Memory::file(bytes.clone()));
    let mut download = begun(&taker, &giver, &bytes, FOREVER).await;
    drop(place);
    let Shortfall { waited, providers, files } = incomplete(&mut download).await;
    assert_eq!((waited, files), (None, Vec::new()));
    let (node, addr) = (giver.endpoint.node_id(), Some(giver.endpoint.local_addr()));
    let why = Why::Refused(Code::NotFound);
    assert_eq!(providers, [Trouble { node, addr, why, error: None }]);
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
    vanished.endpoint.close(Code::Closing).await;
    download.providers(vec![vanished.provider()]);
    drop(place);
    let shortfall = incomplete(&mut download).await;
    assert_eq!(shortfall.waited, Some(Duration::from_secs(8)), "{shortfall:?}");
    let why = |node: &TestNode| shortfall.providers.iter().find(|one| one.node == node.endpoint.node_id());
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
