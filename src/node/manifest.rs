//! Fetches a collection's canonical bytes from whoever has them, and checks them whole before they are used.

use std::time::Duration;

use crate::actors::connections::ConnectionsRef;
use crate::io::frames;
use crate::model::collection::MAX_MANIFEST;
use crate::model::{Collection, ContentId, NodeId, Provider, SafePath};
use crate::node::error::Error;
use crate::wire::{Code, LeftOut, Manifest, ManifestHead, Request, limits};

/// No byte for this long: the next provider is asked.
const IDLE: Duration = Duration::from_secs(3);

/// A collection as a provider has it.
pub(crate) struct Fetched {
    /// Its canonical bytes.
    pub(crate) bytes: Vec<u8>,
    /// What they say.
    pub(crate) collection: Collection,
    /// What it leaves out of the provider's directory.
    pub(crate) left_out: LeftOut,
}

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
) -> Result<Option<Fetched>, Error> {
    for provider in providers {
        let Some((bytes, left_out)) = from_one(connections, id, provider).await else { continue };
        let checked = tokio::task::spawn_blocking(move || {
            (ContentId::of(&bytes) == id)
                .then(|| Collection::parse(&bytes).map(|collection| Fetched { bytes, collection, left_out }))
        });
        match checked.await {
            Ok(Some(parsed)) => return parsed.map(Some).map_err(|source| Error::BadCollection { id, source }),
            Ok(None) => liars.push(provider.node),
            Err(error) => tracing::error!(%error, "checking a collection's list failed"),
        }
    }
    Ok(None)
}

/// The sentence about one whose list is not the collection's.
pub(crate) fn blame(node: NodeId, id: ContentId) -> String {
    format!("{node} sent a wrong list of the collection {id}: it is not asked for this collection again for an hour")
}

/// The sentence about files that a collection leaves out and that are `wanted`; none when there are none.
pub(crate) fn without(name: &SafePath, left_out: &LeftOut, wanted: impl Fn(&SafePath) -> bool) -> Option<String> {
    let mut files = left_out.files.iter().filter(|file| wanted(&file.path));
    let first = files.next()?;
    let more = u32::try_from(files.count()).unwrap_or(u32::MAX).saturating_add(left_out.more);
    let rest = if more == 0 { String::new() } else { format!(" (and {more} more of its files)") };
    let why = match first.why {
        Code::Changed => "it is being written all the time where it is shared: get it again once it has settled",
        _ => "it cannot be read where it is shared: whoever shares it was told so",
    };
    Some(format!("{name} comes without {}{rest} because {why}", first.path))
}

async fn from_one(connections: &ConnectionsRef, id: ContentId, provider: &Provider) -> Option<(Vec<u8>, LeftOut)> {
    let link = connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
    let request = Request::Manifest(Manifest { id });
    let (head, _open, mut recv) = frames::call::<ManifestHead>(&link, &request, limits::CONTROL).await.ok()?;
    let len = usize::try_from(head.len).ok().filter(|len| *len <= MAX_MANIFEST)?;
    let bytes = frames::receive_raw(&mut recv, len, IDLE).await.ok()?;
    Some((bytes, head.left_out))
}
