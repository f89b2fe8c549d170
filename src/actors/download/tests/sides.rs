//! Several connections to one provider.

use super::*;
use crate::io::net::link::Link;
use crate::io::net::purpose::Purpose;

async fn pair(upload: Option<u64>) -> (TestNode, TestNode) {
    let taker = TestNode { connections: NonZeroU8::new(3), ..TestNode::start(None).await };
    (TestNode::start(upload).await, taker)
}

async fn begin(giver: &TestNode, taker: &TestNode, bytes: &[u8]) -> (Shelved, Download) {
    let place = giver.offer(Memory::file(bytes.to_vec()));
    let download = taker.get(bytes, None, LONG).await;
    download.providers(vec![giver.provider()]);
    (place, download)
}

fn sides(giver: &TestNode) -> Vec<Link> {
    let arrived = giver.host.arrived.lock().expect("no panic");
    arrived.iter().filter(|link| link.purpose() == Purpose::Side).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_goes_over_all_its_connections_from_as_many_sockets() {
    let bytes = noise(24 * MIB);
    let (giver, taker) = pair(Some(24 << 20)).await;
    let (_place, mut download) = begin(&giver, &taker, &bytes).await;
    let end = complete(&mut download).await;
    assert!(written(&download) == bytes);
    assert_eq!(end.providers.iter().map(|p| (p.bytes, p.connections)).collect::<Vec<_>>(), [(24 << 20, 3)]);
    let arrived = giver.host.arrived.lock().expect("no panic").clone();
    let ports: HashSet<_> = arrived.iter().map(|link| link.remote().port()).collect();
    assert_eq!((arrived.len(), ports.len()), (3, 3));
    for link in arrived {
        let sent = link.connection().stats().udp_tx.bytes;
        assert!(sent > 1 << 20, "{sent} bytes of 24 MiB over {:?}", link.remote());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sides_that_are_lost_cost_only_their_requests() {
    let bytes = noise(12 * MIB);
    let (giver, taker) = pair(Some(8 << 20)).await;
    let (_place, mut download) = begin(&giver, &taker, &bytes).await;
    until(&download, |now| now.bytes >= 3 << 20 && now.providers[0].connections == 3).await;
    for side in sides(&giver) {
        side.close(Code::Closing);
    }
    let end = complete(&mut download).await;
    assert!(written(&download) == bytes);
    assert_eq!((taker.told(), end.providers[0].bytes), (vec![], 12 << 20));
}
