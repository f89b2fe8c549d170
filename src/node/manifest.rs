//! Fetches a collection's canonical bytes from whoever has them, and checks them whole before they are used.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::actors::connections::ConnectionsRef;
use crate::io::frames;
use crate::model::collection::MAX_MANIFEST;
use crate::model::{Collection, ContentId, NodeId, Provider};
use crate::node::error::Error;
use crate::wire::{Manifest, ManifestHead, Request, limits};

/// No byte for this long: the provider is left.
const IDLE: Duration = Duration::from_secs(3);
/// So long after one provider another one is asked as well, if that has not answered whole:
const NEXT: Duration = Duration::from_millis(500);
/// this many at a time at most, for a list may be large.
const ASKED: usize = 4;

/// The bytes and what they say, from the first provider that has them right. Those whose bytes are not the
/// collection's are added to `liars`.
///
/// # Errors
/// When a manifest that belongs to the id is not a collection that can be handled: no other provider can do better.
/// `Ok(None)` when nobody could give it.
pub(crate) async fn fetch(
    connections: &ConnectionsRef,
    id: ContentId,
    providers: &[Provider],
    liars: &mut Vec<NodeId>,
) -> Result<Option<(Vec<u8>, Collection)>, Error> {
    let (mut waiting, mut asked) = (providers.iter().cloned(), JoinSet::new());
    loop {
        if asked.len() < ASKED
            && let Some(provider) = waiting.next()
        {
            let connections = connections.clone();
            asked.spawn(async move { (provider.node, from_one(&connections, id, &provider).await) });
        }
        if asked.is_empty() {
            return Ok(None);
        }
        // One that has gone without a word must not keep the others waiting.
        let Ok(answered) = timeout(NEXT, asked.join_next()).await else { continue };
        let Some(Ok((node, Some(bytes)))) = answered else { continue };
        let checked = tokio::task::spawn_blocking(move || {
            (ContentId::of(&bytes) == id).then(|| Collection::parse(&bytes).map(|collection| (bytes, collection)))
        });
        match checked.await {
            Ok(Some(parsed)) => return parsed.map(Some).map_err(|source| Error::BadCollection { id, source }),
            Ok(None) => liars.push(node),
            Err(error) => tracing::error!(%error, "checking a collection's list failed"),
        }
    }
}

/// The sentence about one whose list is not the collection's.
pub(crate) fn blame(node: NodeId, id: ContentId) -> String {
    format!("{node} sent a wrong list of the collection {id}: it is not asked for this collection again for an hour")
}

async fn from_one(connections: &ConnectionsRef, id: ContentId, provider: &Provider) -> Option<Vec<u8>> {
    let link = connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
    let request = Request::Manifest(Manifest { id });
    let (head, _open, mut recv) = frames::call::<ManifestHead>(&link, &request, limits::CONTROL).await.ok()?;
    let len = usize::try_from(head.len).ok().filter(|len| *len <= MAX_MANIFEST)?;
    frames::receive_raw(&mut recv, len, IDLE).await.ok()
}
