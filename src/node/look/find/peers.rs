//! Which nodes there are.

use std::collections::HashMap;

use super::Finder;
use crate::io::net::link::Link;
use crate::model::{NodeId, Plane};
use crate::node::error::{Error, Result, Who};
use crate::node::look::ask::{Asked, peer_pages};
use crate::node::types::{LookNotice, Notice, PeerRow};

impl Finder {
    /// All nodes that the trackers know, and the peers that answer.
    ///
    /// # Errors
    /// When nobody could be asked.
    pub(crate) async fn peers(&self) -> Result<(Vec<PeerRow>, Vec<Notice>)> {
        let asked = match (&self.overlay, self.responders.is_empty()) {
            (None, true) => return Err(Error::NowhereToLook),
            (None, false) => self.ask(peer_pages).await?,
            (Some(overlay), nobody) => {
                let direct = async { if nobody { Ok(Asked::default()) } else { self.ask(peer_pages).await } };
                let (asked, near) = tokio::join!(direct, overlay.near(self.own));
                let near: Vec<_> = near.into_iter().map(|row| row.peer).collect();
                let mut asked = match asked {
                    Err(error) if near.is_empty() => return Err(error),
                    Err(error) => {
                        Asked { warnings: vec![LookNotice::Failed(Box::new(error)).into()], ..Asked::default() }
                    }
                    Ok(asked) => asked,
                };
                asked.answers.push((Plane::Neighbours, near));
                asked
            }
        };
        let mut rows: HashMap<NodeId, PeerRow> = HashMap::new();
        for (plane, peers) in asked.answers {
            for peer in peers {
                let row = rows.entry(peer.node).or_insert_with(|| PeerRow { peer: peer.clone(), plane });
                row.plane = row.plane.max(plane);
            }
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by_key(|row| row.peer.node);
        Ok((rows, asked.warnings))
    }

    /// Asks every responder at once. Those that fail become warnings, unless all of them do.
    async fn ask<T, F, A>(&self, ask: A) -> Result<Asked<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        A: Fn(Link, Who) -> F + Clone + Send + Sync + 'static,
    {
        let (mut tasks, mut asked) = (self.begin(ask), Asked::default());
        while let Some(joined) = tasks.join_next().await {
            if let Ok((number, answer)) = joined {
                asked.take(self.responders[number].plane, answer);
            }
        }
        asked.into_result()
    }
}
