//! Fetches a collection's canonical bytes from whoever has them, and checks them whole before they are used.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::actors::connections::ConnectionsRef;
use crate::io::frames;
use crate::logic::transfer::Why;
use crate::model::collection::{CollectionError, MAX_MANIFEST};
use crate::model::{Collection, ContentId, NodeId, Provider, SafePath};
use crate::node::error::Error;
use crate::node::trials::{Failure, TICK, Trials};
use crate::wire::{Code, FrameError, LeftOut, Manifest, ManifestHead, Request, limits};

/// No byte for this long: the provider is left.
const IDLE: Duration = Duration::from_secs(3);
/// So long after one provider another one is asked as well, if that has not answered whole:
const NEXT: Duration = Duration::from_millis(500);
/// this many at a time at most, for a list may be large.
const ASKED: usize = 4;

/// A collection as a provider has it.
pub(crate) struct Fetched {
    /// Its canonical bytes.
    pub(crate) bytes: Vec<u8>,
    /// What they say.
    pub(crate) collection: Collection,
    /// What it leaves out of the provider's directory.
    pub(crate) left_out: LeftOut,
}

/// The bytes and what they say, from the first provider that has them right. One that is only not ready is asked again,
/// for `wait` at most. Those whose bytes are not the collection's are added to `liars`.
///
/// # Errors
/// When nobody could give it, or a manifest that belongs to the id is not a collection that can be handled: then no other
/// provider can do better.
pub(crate) async fn fetch(
    connections: &ConnectionsRef,
    id: ContentId,
    providers: &[Provider],
    wait: Duration,
    liars: &mut Vec<NodeId>,
) -> Result<Fetched, Error> {
    let mut trials = Trials::new(providers, wait);
    let mut tasks = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    let mut last = Instant::now();
    loop {
        // One that has gone without a word must not keep the others waiting.
        if (tasks.is_empty() || (tasks.len() < ASKED && last.elapsed() >= NEXT))
            && let Some((number, provider)) = trials.next()
        {
            last = Instant::now();
            let connections = connections.clone();
            tasks.spawn(async move { (number, from_one(&connections, id, &provider).await) });
        }
        if !trials.is_asking()
            && let Some(lack) = trials.lack()
        {
            return Err(Error::NoManifest { id, lack: Box::new(lack) });
        }
        tokio::select! {
            _ = ticks.tick() => trials.tick(),
            Some(Ok((number, got))) = tasks.join_next() => match got {
                Ok(Answer::Right(parsed)) => return parsed.map_err(|source| Error::BadCollection { id, source }),
                Ok(Answer::Wrong) => {
                    liars.push(providers[number].node);
                    trials.failed(number, Why::Lied.into());
                }
                Err(failure) => trials.failed(number, failure),
            },
        }
    }
}

/// What a collection leaves out at the first provider that says it; asked where its list is known already.
pub(crate) async fn left_out(connections: &ConnectionsRef, id: ContentId, providers: &[Provider]) -> LeftOut {
    for provider in providers.iter().take(ASKED) {
        let head = timeout(NEXT, async {
            let link = connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
            let request = Request::Manifest(Manifest { id });
            let (head, _open, _recv) = frames::call::<ManifestHead>(&link, &request, limits::CONTROL).await.ok()?;
            Some(head.left_out)
        });
        if let Ok(Some(left_out)) = head.await {
            return left_out;
        }
    }
    LeftOut::default()
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

/// What one sent.
enum Answer {
    /// The collection's bytes, whatever they say.
    Right(Result<Fetched, CollectionError>),
    /// Others.
    Wrong,
}

async fn from_one(connections: &ConnectionsRef, id: ContentId, provider: &Provider) -> Result<Answer, Failure> {
    let link = connections.to_node(provider.node, provider.addrs.clone()).await?;
    let request = Request::Manifest(Manifest { id });
    link.widen();
    let (head, _open, mut recv) = frames::call::<ManifestHead>(&link, &request, limits::CONTROL).await?;
    let len = usize::try_from(head.len).ok().filter(|len| *len <= MAX_MANIFEST);
    let len = len.ok_or(frames::CallError::Frame(FrameError::Unknown))?;
    let bytes = frames::receive_raw(&mut recv, len, IDLE).await?;
    let left_out = head.left_out;
    let checked = tokio::task::spawn_blocking(move || {
        (ContentId::of(&bytes) == id)
            .then(|| Collection::parse(&bytes).map(|collection| Fetched { bytes, collection, left_out }))
    });
    match checked.await {
        Ok(Some(parsed)) => Ok(Answer::Right(parsed)),
        Ok(None) => Ok(Answer::Wrong),
        Err(error) => {
            tracing::error!(%error, "checking a collection's list failed");
            Err(Why::Failing.into())
        }
    }
}
