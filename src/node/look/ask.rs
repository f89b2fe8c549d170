//! One place that is asked: which it is, the link to it, one exchange with it; and what several have answered.
//! Not responsible for whom to ask, nor for how long.

use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames;
use crate::io::net::link::Link;
use crate::model::{Hit, NodeId, PeerTarget, Plane};
use crate::node::convert::{call_error, connect_error};
use crate::node::error::{Error, Who};
use crate::wire::{Request, Role};

/// One place to look.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) target: PeerTarget,
    pub(crate) plane: Plane,
    /// The link to it, where there is one already.
    pub(super) link: Option<Link>,
}

impl Place {
    /// A peer that is to be dialled.
    pub(crate) const fn of(target: PeerTarget) -> Self {
        Self { target, plane: Plane::Peer, link: None }
    }

    /// A node to which there is a link.
    pub(crate) fn at(link: Link) -> Self {
        let (id, addr) = (Some(link.peer()), link.remote());
        let target = PeerTarget { id, host: addr.ip().to_string(), port: addr.port() };
        Self { target, plane: Plane::Peer, link: Some(link) }
    }

    /// Whom an error about this place names.
    pub(crate) fn who(&self) -> Who {
        match self.plane {
            Plane::Lan | Plane::Neighbours | Plane::Peer => Who::peer(self.target.host_port()),
            Plane::Tracker => Who::tracker(self.target.host_port()),
        }
    }
}

/// What one answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) hits: Vec<Hit>,
    /// How many more there are; an answer over the neighbours does not tell.
    pub(crate) more: Option<u64>,
}

/// Places that are being asked.
pub(crate) type Asking<T> = JoinSet<(usize, Result<T, Error>)>;

/// What was answered on which plane, and who did not answer.
pub(crate) struct Asked<T> {
    pub(crate) answers: Vec<(Plane, T)>,
    pub(crate) warnings: Vec<String>,
    /// Everyone who was asked has answered.
    pub(crate) whole: bool,
    /// The first that failed.
    pub(super) failed: Option<Error>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self { answers: Vec::new(), warnings: Vec::new(), whole: true, failed: None }
    }
}

impl<T> Asked<T> {
    /// Notes what a place answered.
    pub(crate) fn take(&mut self, plane: Plane, answer: Result<T, Error>) {
        match answer {
            Ok(answer) => self.answers.push((plane, answer)),
            Err(error) => {
                self.warnings.push(error.to_string());
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Everything, unless nobody answered and somebody failed.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn into_result(self) -> Result<Self, Error> {
        match self.failed {
            Some(error) if self.answers.is_empty() => Err(error),
            _ => Ok(self),
        }
    }
}

/// A link to a place that plays the role which the place is named for.
pub(crate) async fn connect(connections: &ConnectionsRef, place: &Place, own: NodeId) -> Result<Link, Error> {
    let link = match place.link.as_ref().filter(|link| !link.is_closed()) {
        Some(link) => link.clone(),
        None => connections.to_target(&place.target).await.map_err(|error| connect_error(place.who(), own, error))?,
    };
    let wanted = match place.plane {
        Plane::Lan | Plane::Neighbours | Plane::Peer => Role::Node,
        Plane::Tracker => Role::Tracker,
    };
    match link.role() {
        Some(role) if role != wanted => Err(Error::WrongRole { who: place.who(), role }),
        _ => Ok(link),
    }
}

/// One exchange of one answer.
pub(crate) async fn call<T: DeserializeOwned>(
    link: &Link,
    who: &Who,
    request: &Request,
    cap: usize,
) -> Result<T, Error> {
    let (answer, _, _) = frames::call(link, request, cap).await.map_err(|error| call_error(who.clone(), error))?;
    Ok(answer)
}
