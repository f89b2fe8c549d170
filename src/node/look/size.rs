//! Which of several sizes claimed for one file's id is the true one: the BLAKE3 root does not commit to the length,
//! so whoever claims a size must prove it, by a list that merges to the id and a last chunk that the list proves.
//! Not responsible for the transfer, which proves everything again; asked only when claims differ.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames::{self, CallError, Pace, receive_list, receive_raw};
use crate::io::net::link::Link;
use crate::model::units::UnitFile;
use crate::model::{ChunkIndex, Content, ContentId, FoundHit, Kind, Layout, Provider};
use crate::node::report::Report;
use crate::node::types::LookNotice;
use crate::wire::{Fetch, RECORD_HEAD, RecordHead, RecordKind, Request, limits};

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
            let (connections, content) = (connections.clone(), Content { id, kind: Kind::File, size: claim.hit.size });
            asking.spawn(async move {
                let proven = timeout(PROOF, proves(&connections, &provider, content)).await.ok().flatten();
                (place, provider, proven)
            });
        }
    }
    while let Some(answered) = asking.join_next().await {
        let Ok((place, provider, proven)) = answered else { continue };
        match proven {
            Some(true) => return claims.swap_remove(place),
            Some(false) => {
                report.warn(LookNotice::Unproven { node: provider.node, id, size: claims[place].hit.size });
            }
            None => {}
        }
    }
    chosen
}

/// Whether the provider proves its size; `None` when it did not answer.
async fn proves(connections: &ConnectionsRef, provider: &Provider, claim: Content) -> Option<bool> {
    let Some(layout) = Layout::of(claim.size) else { return Some(false) };
    let link = connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
    let proven = if layout.needs_list() { by_list(&link, claim, layout).await } else { by_bytes(&link, claim).await };
    match proven {
        Ok(proven) => Some(proven),
        Err(CallError::Lost(_) | CallError::Refused(_) | CallError::Reset(_) | CallError::TimedOut) => None,
        Err(CallError::Ended | CallError::Frame(_)) => Some(false),
    }
}

async fn by_list(link: &Link, claim: Content, layout: Layout) -> Result<bool, CallError> {
    let file = UnitFile { id: claim.id, layout, first: 0 };
    let mut pace = Pace::without_pause(PROOF);
    let Some((list, _open, mut from)) = receive_list(link, claim, file, &mut pace).await? else { return Ok(false) };
    let last = ChunkIndex(layout.chunks() - 1);
    let bytes = receive_raw(&mut from, usize::try_from(layout.len(last)).unwrap_or(usize::MAX), &mut pace).await?;
    Ok(list.proves(last, &bytes))
}

/// A file of at most one chunk is its own proof.
async fn by_bytes(link: &Link, Content { id, size, .. }: Content) -> Result<bool, CallError> {
    if size == 0 {
        return Ok(id == ContentId::NOTHING);
    }
    let request = Request::Fetch(Fetch { id, size, units: vec![(0, 1)], max: 1 });
    let ((), _open, mut from) = frames::call::<()>(link, &request, limits::CONTROL).await?;
    let mut pace = Pace::without_pause(PROOF);
    let head = receive_raw(&mut from, RECORD_HEAD, &mut pace).await?;
    let bytes = receive_raw(&mut from, usize::try_from(size).unwrap_or(usize::MAX), &mut pace).await?;
    let due = RecordHead { unit: 0, kind: RecordKind::Bytes }.to_bytes();
    Ok(head == due && ContentId::of(&bytes) == id)
}
