//! Whom a command asks: a node inside itself, or the running one of its home. Both answer the same.

use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::sync::mpsc;

use super::Remote;
use super::request::Ask;
use crate::model::collection::Entry;
use crate::model::{ContentId, FoundHit, Hit, Offer, Plane, Query, SafePath};
use crate::node::Node;
use crate::node::error::{Error, Result};
use crate::node::types::{Event, Has, Hits, Listing, NearRow, PeerRef, PeerRow, Places};

/// Whom a command asks; cheap to clone.
#[derive(Clone)]
pub enum Asker {
    /// A node inside the command.
    Here(Node),
    /// The running node of the home.
    There(There),
}

/// The running node of the home, with where this command looks.
#[derive(Clone)]
pub struct There {
    remote: Arc<Remote>,
    places: Arc<Places>,
    events: mpsc::Sender<Event>,
}

impl There {
    async fn ask<T: DeserializeOwned>(&self, ask: Ask) -> Result<T> {
        // Full or closed: a notice must not hold anything up.
        let tell = |notice| drop(self.events.try_send(Event::Notice(notice)));
        self.remote.ask(&self.places, ask, tell).await
    }
}

impl Asker {
    /// The running node of the home, looking at these places; its notices go to `events`.
    #[must_use]
    pub fn there(remote: Arc<Remote>, places: Places, events: mpsc::Sender<Event>) -> Self {
        Self::There(There { remote, places: Arc::new(places), events })
    }

    /// Whether it runs with a key of its own because another process has the home and its key.
    #[must_use]
    pub fn is_guest_beside(&self) -> bool {
        matches!(self, Self::Here(node) if node.is_guest_beside())
    }

    /// What a method gives that fails by itself.
    async fn asked<T: DeserializeOwned>(&self, ask: Ask, here: impl AsyncFnOnce(&Node) -> Result<T>) -> Result<T> {
        match self {
            Self::Here(node) => here(node).await,
            Self::There(there) => there.ask::<Result<T>>(ask).await?,
        }
    }

    /// As [`Node::search`].
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn search(&self, query: &Query, limit: u32) -> Result<Hits> {
        self.asked(Ask::Search(query.clone(), limit), async |node| node.search(query, limit).await).await
    }

    /// As [`Node::locate`].
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn locate(&self, id: ContentId) -> Result<Hits> {
        self.asked(Ask::Locate(id), async |node| node.locate(id).await).await
    }

    /// As [`Node::holdings`].
    ///
    /// # Errors
    /// When the running node has ended.
    pub async fn holdings(&self, hit: &Hit) -> Result<Vec<Has>> {
        match self {
            Self::Here(node) => Ok(node.holdings(hit).await),
            Self::There(there) => there.ask(Ask::Holdings(hit.clone())).await,
        }
    }

    /// As [`Node::list`].
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn list(&self, peer: &PeerRef) -> Result<(Vec<Offer>, Plane)> {
        self.asked(Ask::List(peer.clone()), async |node| node.list(peer).await).await
    }

    /// As [`Node::manifest`]: its files and empty directories.
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn manifest(&self, id: ContentId) -> Result<Vec<(SafePath, Entry)>> {
        self.asked(Ask::Manifest(id), async |node| Ok(node.manifest(id).await?.entries().to_vec())).await
    }

    /// As [`Node::not_found`].
    pub async fn not_found(&self, what: &str, query: &Query) -> Error {
        match self {
            Self::Here(node) => node.not_found(what, query).await,
            Self::There(there) => {
                let told = there.ask(Ask::NotFound(what.to_owned(), query.clone())).await;
                told.unwrap_or_else(|error| error)
            }
        }
    }

    /// As [`Node::is_as_shown`].
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn is_as_shown(&self, query: &Query, found: &FoundHit) -> Result<()> {
        self.asked(Ask::IsAsShown(query.clone(), found.clone()), async |node| node.is_as_shown(query, found).await)
            .await
    }

    /// As [`Node::meant`].
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn meant(&self, query: &Query) -> Result<Listing> {
        self.asked(Ask::Meant(query.clone()), async |node| node.meant(query).await).await
    }

    /// As [`Node::knows`].
    ///
    /// # Errors
    /// When the running node has ended.
    pub async fn knows(&self, peer: &PeerRef) -> Result<bool> {
        match self {
            Self::Here(node) => Ok(node.knows(peer)),
            Self::There(there) => there.ask(Ask::Knows(peer.clone())).await,
        }
    }

    /// As [`Node::peers`].
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn peers(&self) -> Result<Vec<PeerRow>> {
        self.asked(Ask::Peers, async |node| node.peers().await).await
    }

    /// As [`Node::neighbours`].
    ///
    /// # Errors
    /// As there, and when the running node has ended.
    pub async fn neighbours(&self) -> Result<Vec<NearRow>> {
        self.asked(Ask::Neighbours, async |node| node.neighbours().await).await
    }
}
