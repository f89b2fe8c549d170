//! To whom something is sent. Whoever is named by an address alone has to answer before anything is offered to it: only then is it known
//! who that is.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use super::{AGAIN, Sender, TOGETHER};
use crate::actors::connections::ConnectKind;
use crate::io::net::resolve::resolve;
use crate::model::address::NODE_PORT;
use crate::model::{NodeId, PeerTarget};
use crate::node::Resolved;
use crate::node::error::{ControlError, Error};
use crate::node::look::ask::{Responder, connect};
use crate::node::types::{PeerRef, Receiving};

/// One of them.
pub(super) struct Whom {
    pub(super) at: usize,
    pub(super) node: NodeId,
    /// Where a person says that it is.
    pub(super) target: Option<PeerTarget>,
}

/// Those who are looked for.
pub(super) type Looking = JoinSet<Result<Option<Whom>, (usize, Error)>>;

impl Sender {
    /// That every name is somebody's, or a host's; hosts are looked up at the same time.
    pub(super) async fn check_names(&self) -> Result<(), Error> {
        let mut hosts = JoinSet::new();
        for peer in &self.wish.to {
            let unknown = match self.inner.resolve_peer(peer) {
                Ok(_) => continue,
                Err(error @ (Error::NoFriend { .. } | Error::UnknownPeer { .. })) => error,
                Err(error) => return Err(error),
            };
            let PeerRef::Name(name) = peer else { return Err(unknown) };
            let Ok(target) = PeerTarget::parse(name, NODE_PORT) else { return Err(unknown) };
            hosts.spawn(async move { resolve(&target).await.map_err(|_| unknown) });
        }
        while let Some(found) = hosts.join_next().await {
            found??;
        }
        Ok(())
    }

    /// Those who are known soon, or the first of them. Whom nothing helps ends all of it, as nothing is offered yet.
    pub(super) async fn first(&self, looking: &mut Looking) -> Result<Vec<Whom>, Error> {
        let (mut known, mut is_late) = (Vec::new(), false);
        let late = sleep(self.wish.known_within.unwrap_or(TOGETHER));
        tokio::pin!(late);
        while !(looking.is_empty() || is_late && !known.is_empty()) {
            tokio::select! {
                Some(found) = looking.join_next() => known.extend(first_of(found)?),
                () = &mut late, if !is_late => match self.wish.known_within {
                    Some(waited) => return Err(ControlError::Nameless { at: self.unknown(), waited }.into()),
                    None => is_late = true,
                },
            }
        }
        Ok(known)
    }

    fn unknown(&self) -> Vec<String> {
        let progress = self.progress.borrow();
        let unknown = progress.receivers.iter().filter(|receiver| receiver.node.is_none());
        unknown.map(|receiver| receiver.peer.to_string()).collect()
    }

    /// Who one of them is, unless it is another of them, too; an address is asked until somebody answers there.
    pub(super) async fn look_for(self: Arc<Self>, at: usize) -> Result<Option<Whom>, (usize, Error)> {
        let mut pause = AGAIN.0;
        let (node, target) = loop {
            match self.who(&self.wish.to[at]).await {
                Ok((node, _)) if node == self.inner.endpoint.node_id() => {
                    return Err((at, ControlError::Itself.into()));
                }
                Ok(found) => break found,
                Err(error) if is_for_good(&error) => return Err((at, error)),
                Err(error) => {
                    self.set(at, |receiver| (receiver.state, receiver.error) = (Receiving::Away, Some(error)));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(AGAIN.1);
        };
        let is_first = self.places.send_if_modified(|places| {
            let is_first = places.iter().all(|place| place.node != Some(node));
            places[at].node = Some(node).filter(|_| is_first);
            is_first
        });
        if !is_first {
            self.progress.send_modify(|progress| progress.receivers.retain(|one| one.peer != self.wish.to[at]));
            return Ok(None);
        }
        self.set(at, |receiver| receiver.node = Some(node));
        Ok(Some(Whom { at, node, target }))
    }

    async fn who(&self, peer: &PeerRef) -> Result<(NodeId, Option<PeerTarget>), Error> {
        let target = match self.inner.resolved(peer).await? {
            Resolved::Node { node, at } => return Ok((node, at)),
            Resolved::Target(target) => target,
        };
        if let Some(node) = target.id {
            return Ok((node, Some(target)));
        }
        let finder = &self.inner.finder;
        let link = connect(&finder.connections, &Responder::of(target.clone()), finder.own).await?;
        Ok((link.peer(), Some(target)))
    }
}

fn first_of(found: Result<Result<Option<Whom>, (usize, Error)>, JoinError>) -> Result<Option<Whom>, Error> {
    found?.map_err(|(_, error)| error)
}

/// Whether nobody to whom it could go will ever answer there.
fn is_for_good(error: &Error) -> bool {
    match error {
        Error::Connect { source, .. } => matches!(source.kind(), ConnectKind::OtherRole | ConnectKind::Own),
        Error::AmbiguousPeer { .. } | Error::WrongRole { .. } => true,
        _ => false,
    }
}
