//! Which of several sizes claimed for one file's id is the true one: the BLAKE3 root does not commit to the length,
//! so whoever claims a size must prove it, by a list that merges to the id and a last chunk that the list proves.
//! Not responsible for the transfer, which proves everything again; asked only when claims differ.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames::{self, CallError, receive_raw};
use crate::io::net::link::Link;
use crate::model::units::chunk_list::CV_LEN;
use crate::model::{ChunkIndex, ChunkList, ContentId, FoundHit, Kind, Layout, Provider};
use crate::node::report::Report;
use crate::wire::{Fetch, List, ListHead, RECORD_HEAD, RecordHead, RecordKind, Request, limits};

/// Claims that are looked at; those of most providers first.
const CLAIMS: usize = 8;
/// Providers asked for each.
const ASKED: usize = 4;
/// A provider has this long to prove its claim.
const PROOF: Duration = Duration::from_secs(10);

/// The hit of the same id whose size is proven first; `chosen` itself when nobody claims another size, or nobody
/// proves any.
pub(crate) async fn of_true_size(
    connections: &ConnectionsRef,
    chosen: FoundHit,
    hits: &[FoundHit],
    report: &Report,
) -> FoundHit {
    let (id, kind) = (chosen.hit.id, chosen.hit.kind);
    let mut claims: Vec<_> =
        hits.iter().filter(|other| (other.hit.id, other.hit.kind) == (id, kind)).cloned().collect();
    let (Some(id), true) = (id, kind == Kind::File && claims.len() > 1) else { return chosen };
    claims.sort_by_key(|claim| usize::MAX - claim.hit.providers.len());
    claims.truncate(CLAIMS);
    let mut asking = JoinSet::new();
    for (place, claim) in claims.iter().enumerate() {
        for provider in claim.hit.providers.iter().take(ASKED).cloned() {
            let (connections, size) = (connections.clone(), claim.hit.size);
            asking.spawn(async move {
                let proven = timeout(PROOF, proves(&connections, &provider, id, size)).await.ok().flatten();
                (place, provider, proven)
            });
        }
    }
    while let Some(answered) = asking.join_next().await {
        let Ok((place, provider, proven)) = answered else { continue };
        match proven {
            Some(true) => return claims.swap_remove(place),
            Some(false) => report.warn(format!(
                "{} offers {id} with a size, {}, that it cannot prove: it is not asked",
                provider.node, claims[place].hit.size
            )),
            None => {}
        }
    }
    chosen
}

/// Whether the provider proves its size; `None` when it did not answer.
async fn proves(connections: &ConnectionsRef, provider: &Provider, id: ContentId, size: u64) -> Option<bool> {
    let Some(layout) = Layout::of(size) else { return Some(false) };
    let link = connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
    let proven = if layout.needs_list() { by_list(&link, id, layout).await } else { by_bytes(&link, id, layout).await };
    match proven {
        Ok(proven) => Some(proven),
        Err(CallError::Lost(_) | CallError::Refused(_) | CallError::Reset(_) | CallError::TimedOut) => None,
        Err(CallError::Ended | CallError::Frame(_)) => Some(false),
    }
}

async fn by_list(link: &Link, id: ContentId, layout: Layout) -> Result<bool, CallError> {
    let request = Request::List(List { id, size: layout.size(), unit: 0 });
    let (head, _open, mut from) = frames::call::<ListHead>(link, &request, limits::CONTROL).await?;
    if head.chunks != layout.chunks() {
        return Ok(false);
    }
    let last = ChunkIndex(layout.chunks() - 1);
    let values = receive_raw(&mut from, layout.chunks() as usize * CV_LEN, PROOF).await?;
    let bytes = receive_raw(&mut from, usize::try_from(layout.len(last)).unwrap_or(usize::MAX), PROOF).await?;
    let list = ChunkList::from_bytes(id, layout, &values);
    Ok(list.is_ok_and(|list| list.proves(last, &bytes)))
}

/// A file of at most one chunk is its own proof.
async fn by_bytes(link: &Link, id: ContentId, layout: Layout) -> Result<bool, CallError> {
    if layout.is_empty() {
        return Ok(id == ContentId::of(b""));
    }
    let request = Request::Fetch(Fetch { id, size: layout.size(), units: vec![(0, 1)], max: 1 });
    let ((), _open, mut from) = frames::call::<()>(link, &request, limits::CONTROL).await?;
    let head = receive_raw(&mut from, RECORD_HEAD, PROOF).await?;
    let bytes = receive_raw(&mut from, usize::try_from(layout.size()).unwrap_or(usize::MAX), PROOF).await?;
    let due = RecordHead { unit: 0, kind: RecordKind::Bytes }.to_bytes();
    Ok(head == due && ContentId::of(&bytes) == id)
}
