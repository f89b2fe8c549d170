//! What another node has offered to this one and some others alone. Invariant: nobody else is asked for it, told of it or served
//! with it, and nothing but what it was said to be is taken.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::actors::connections::ConnectionsRef;
use crate::actors::download::Progress;
use crate::actors::index::Seed;
use crate::model::offer::audience;
use crate::model::{Audience, Hit, NodeId, Provider, SafePath};
use crate::node::error::Error;
use crate::node::get::Get;
use crate::node::get::contents::Contents;
use crate::node::look::Meant;
use crate::node::types::Given;

/// How often one is dialled again of whom only somebody else says where it is, and after which time at first; it doubles.
const PAUSES: (u32, Duration) = (7, Duration::from_millis(500));

/// What is fetched: nobody needs to be asked what it is. From the beginning only whoever offers it is: where the others are is that
/// one's word.
pub(super) fn meant(given: &Given) -> Meant {
    let Given { content, name, files, executable, among } = given.clone();
    let hit = Hit {
        kind: content.kind,
        files,
        executable,
        names: vec![name],
        providers: among.into_iter().take(1).collect(),
        ..Hit::file(Some(content.id), content.size)
    };
    Meant { hit, late: None, beneath: None }
}

/// Tells of the others once something of it is proven, so that there is something to it, and they are met; those that are not where they
/// are said to be are given up.
pub(super) async fn meet(
    connections: ConnectionsRef,
    given: Given,
    (mut transfer, found): (watch::Receiver<Progress>, mpsc::Sender<Vec<Provider>>),
) {
    if transfer.wait_for(|progress| progress.bytes > 0).await.is_err() {
        return;
    }
    let mut meeting = JoinSet::new();
    for provider in given.among.into_iter().skip(1) {
        let (connections, found) = (connections.clone(), found.clone());
        meeting.spawn(async move {
            let dial = || connections.to_node(provider.node, provider.addrs.clone());
            if tried(dial, pauses()).await {
                // A transfer that has ended needs nobody.
                let _ = found.send(vec![provider.clone()]).await;
            }
        });
    }
    meeting.join_all().await;
}

/// Whether it answers at first or after one of the pauses.
async fn tried<T, E, D: Future<Output = Result<T, E>>>(
    dial: impl Fn() -> D,
    pauses: impl Iterator<Item = Duration>,
) -> bool {
    for pause in pauses {
        if dial().await.is_ok() {
            return true;
        }
        sleep(pause).await;
    }
    dial().await.is_ok()
}

/// Between two tries.
fn pauses() -> impl Iterator<Item = Duration> {
    (0..PAUSES.0).map(|number| PAUSES.1 * 2_u32.pow(number))
}

/// Who may have it.
pub(super) fn audience_of(given: &Given) -> Audience {
    Audience::Nodes(nodes(given))
}

/// Those who may have it.
pub(super) fn nodes(given: &Given) -> BTreeSet<NodeId> {
    given.among.iter().map(|provider| provider.node).collect()
}

/// A name under which nobody finds it.
pub(super) fn hidden(seed: &Seed) -> SafePath {
    audience::hidden(false, &seed.fixed.id.to_string(), &seed.name)
}

impl Get {
    /// Whether it is what it was said to be.
    ///
    /// # Errors
    /// When it has another kind or size, or more files.
    pub(super) fn is_as_given(&self, contents: &Contents) -> Result<(), Error> {
        let Some(given) = &self.request.given else { return Ok(()) };
        let is = contents.wanted.content;
        if is == given.content && contents.files().len() <= given.files as usize {
            return Ok(());
        }
        Err(Error::OtherThanGiven { name: given.name.to_string(), size: given.content.size, is: is.size })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn who_is_not_where_it_is_said_to_be_is_given_up() {
        let dials = Cell::new(0);
        let dial = |answers_at: u32| {
            dials.set(dials.get() + 1);
            ready(if dials.get() >= answers_at { Ok(()) } else { Err(()) })
        };
        let at_once = || pauses().map(|_| Duration::ZERO);
        assert!(!tried(|| dial(u32::MAX), at_once()).await);
        assert_eq!((dials.replace(0), pauses().sum()), (8, Duration::from_millis(63_500)));
        assert!(tried(|| dial(3), at_once()).await);
        assert_eq!(dials.get(), 3);
    }
}
