//! Whom a tracker serves: everyone, or the nodes of a list that people keep in a file. Who is added to it is let in at
//! once; who is removed is cut off, and what it had here is gone.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::actors::access::Access;
use crate::actors::connections::ConnectionsRef;
use crate::actors::directory::DirectoryRef;
use crate::io::home::allow::AllowFile;
use crate::model::NodeId;
use crate::node::error::Error;
use crate::node::following::{Begun, Following};
use crate::node::host::Host;
use crate::node::types::Event;

/// The nodes that a tracker serves.
pub(crate) enum Allowed {
    /// Everyone.
    Everyone,
    /// Those of a list.
    Listed(Following<AllowFile>, watch::Receiver<Arc<HashSet<NodeId>>>),
}

impl Allowed {
    /// Reads the list, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub(crate) async fn read(list: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = list else { return Ok(Self::Everyone) };
        let begun = Following::begin(AllowFile::at(path.to_owned())).await.map_err(Error::Allow)?;
        let Begun { following, list, .. } = begun;
        Ok(Self::Listed(following, list))
    }

    /// The same for those who ask whether a node is served.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Everyone => Access::everyone(),
            Self::Listed(_, list) => Access::listed(list.clone()),
        }
    }

    /// Goes on with the list as it changes.
    pub(crate) fn follow(self, host: &Host, directory: DirectoryRef) {
        let access = self.access();
        let Self::Listed(following, list) = self else { return };
        host.run(following.go_on(host.events.clone()));
        host.run(heed(list, access, host.connections.clone(), directory, host.events.clone()));
    }
}

async fn heed(
    mut list: watch::Receiver<Arc<HashSet<NodeId>>>,
    access: Access,
    connections: ConnectionsRef,
    directory: DirectoryRef,
    events: mpsc::Sender<Event>,
) {
    loop {
        let nodes = list.borrow_and_update().len();
        connections.keep(access.clone());
        directory.dismiss(access.clone()).await;
        // Full or closed: whoever is told of it may miss one.
        let _ = events.try_send(Event::Allowed { nodes });
        if list.changed().await.is_err() {
            return;
        }
    }
}
