//! Dialling: a node's addresses raced, the key compared, Welcome read.
//! Invariant: a link that comes out of here is to the expected id, and never to this node itself. Which id to
//! expect is decided above.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use itertools::Itertools as _;
use quinn::{Connection, ConnectionError, TransportErrorCode};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::io::net::endpoint::{Endpoint, HANDSHAKE, WELCOME};
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::{self, Link, Loss, var_int};
use crate::model::NodeId;
use crate::model::address::canonical;
use crate::wire::limits::CONTROL;
use crate::wire::{Code, Welcome};

/// The next address is tried this long after the one before, if that has not answered.
pub const RACE: Duration = Duration::from_millis(250);
/// An address has this long to answer.
pub const DIAL: Duration = Duration::from_secs(3);
/// No more addresses of one node are tried.
const MAX_ADDRESSES: usize = 16;
/// TLS's alert for no common application protocol (RFC 7301).
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// Asked before an address is dialled that others told of, waits until it may be; `None` when it may not.
pub type Admit = Arc<dyn Fn(SocketAddr) -> Pin<Box<dyn Future<Output = Option<Answered>> + Send>> + Send + Sync>;
/// To be called when the address has answered as the node that was meant; dropped when it has not.
pub type Answered = Box<dyn FnOnce() + Send>;

/// Why a node could not be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DialError {
    /// The other side has too many connections.
    #[error("{addr} takes no connections now, as it is stopping or has too many")]
    Busy {
        /// Who.
        addr: SocketAddr,
    },
    /// This endpoint is closed, or cannot send to such an address.
    #[error("{addr} cannot be dialled from here: {cause}")]
    Cannot {
        /// Who.
        addr: SocketAddr,
        /// Why.
        cause: String,
    },
    /// The other side does not let this node in.
    #[error("{addr} does not let this node in")]
    Forbidden {
        /// Who.
        addr: SocketAddr,
        /// This node.
        own: NodeId,
    },
    /// The connection broke before it was of use.
    #[error("the connection to {addr} failed: {cause}")]
    Lost {
        /// Who.
        addr: SocketAddr,
        /// Why.
        cause: Loss,
    },
    /// There is nothing to dial.
    #[error("no address of the node is known")]
    NoAddress,
    /// Something else answers.
    #[error("what answers at {addr} is not a qshare node of this version")]
    NotQshare {
        /// Who.
        addr: SocketAddr,
    },
    /// The handshake is done, Welcome does not come.
    #[error("{addr} accepted the connection but did not say Welcome")]
    NoWelcome {
        /// Who.
        addr: SocketAddr,
    },
    /// Others told of the address, and nobody has answered there so far.
    #[error("{addr} is not dialled again so soon: nobody has answered there")]
    Often {
        /// Who.
        addr: SocketAddr,
    },
    /// It is this node itself.
    #[error("{0} is this node itself")]
    OwnId(Addresses),
    /// The other side closed with a code.
    #[error("{addr} closed the connection: {code}")]
    Refused {
        /// Who.
        addr: SocketAddr,
        /// Why.
        code: Code,
    },
    /// Nothing answers.
    #[error("nothing answers at {0} over UDP")]
    Silent(Addresses),
    /// Another node answers.
    #[error("{addr} answers as node {found}, not as {expected}")]
    WrongKey {
        /// Who.
        addr: SocketAddr,
        /// Who should.
        expected: NodeId,
        /// Who does.
        found: NodeId,
    },
}

impl DialError {
    /// Whether it is only that this node is being stopped.
    pub fn is_of_the_end(&self) -> bool {
        matches!(self, Self::Cannot { cause, .. } if *cause == quinn::ConnectError::EndpointStopping.to_string())
    }
}

/// Addresses, shown with commas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses(pub Vec<SocketAddr>);

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One that was tried again is one place.
        f.write_str(&self.0.iter().unique().join(", "))
    }
}

impl Endpoint {
    /// Dials a node at its addresses, [`RACE`] apart; the first that leads to the expected node wins.
    ///
    /// # Errors
    /// The most telling of what went wrong at the addresses.
    pub async fn dial(&self, addrs: &[SocketAddr], expect: Option<NodeId>) -> Result<Link, DialError> {
        Dial { endpoint: self.clone(), expect, admit: None }.one_of(addrs).await
    }

    /// The same for addresses that others told of: each is dialled only as it is admitted.
    ///
    /// # Errors
    /// As [`Endpoint::dial`].
    pub async fn dial_told(
        &self,
        addrs: &[SocketAddr],
        expect: Option<NodeId>,
        admit: &Admit,
    ) -> Result<Link, DialError> {
        Dial { endpoint: self.clone(), expect, admit: Some(admit.clone()) }.one_of(addrs).await
    }
}

/// Who dials which node, and how addresses are admitted of which only others told.
#[derive(Clone)]
struct Dial {
    endpoint: Endpoint,
    expect: Option<NodeId>,
    admit: Option<Admit>,
}

impl Dial {
    async fn one_of(&self, addrs: &[SocketAddr]) -> Result<Link, DialError> {
        let distinct: Vec<_> = addrs.iter().take(MAX_ADDRESSES).copied().unique().collect();
        if distinct.is_empty() {
            return Err(DialError::NoAddress);
        }
        if self.expect == Some(self.endpoint.node_id()) {
            return Err(DialError::OwnId(Addresses(distinct)));
        }
        let mut failures = Vec::new();
        match timeout(HANDSHAKE, self.race(&distinct, &mut failures)).await {
            Ok(Some(link)) => Ok(link),
            _ => Err(most_telling(failures, distinct)),
        }
    }

    async fn race(&self, addrs: &[SocketAddr], failures: &mut Vec<DialError>) -> Option<Link> {
        let mut waiting = addrs.iter();
        let mut attempts = JoinSet::new();
        loop {
            if let Some(addr) = waiting.next() {
                attempts.spawn(self.clone().admitted(*addr));
            }
            let patience = if waiting.len() > 0 { RACE } else { HANDSHAKE };
            match timeout(patience, attempts.join_next()).await {
                Ok(Some(Ok(Ok(link)))) => return Some(link),
                Ok(Some(Ok(Err(failure)))) => failures.push(failure),
                Ok(None) if waiting.len() == 0 => return None,
                _ => {}
            }
        }
    }

    async fn admitted(self, addr: SocketAddr) -> Result<Link, DialError> {
        let Some(admit) = &self.admit else { return self.attempt(addr).await };
        let answered = admit(addr).await.ok_or(DialError::Often { addr })?;
        let link = self.attempt(addr).await?;
        answered();
        Ok(link)
    }

    async fn attempt(&self, addr: SocketAddr) -> Result<Link, DialError> {
        let endpoint = &self.endpoint;
        let cannot = |cause: quinn::ConnectError| DialError::Cannot { addr, cause: cause.to_string() };
        let connecting = endpoint.connect(addr).map_err(cannot)?;
        let silent = |_| DialError::Silent(Addresses(vec![addr]));
        let connection =
            timeout(DIAL, connecting).await.map_err(silent)?.map_err(|cause| failure(endpoint, addr, &cause))?;
        let found = link::peer_of(&connection).ok_or(DialError::NotQshare { addr })?;
        let checked = self.check(addr, found);
        if checked.is_err() {
            connection.close(var_int(Code::Closing), b"");
        }
        checked?;
        let welcome = match timeout(WELCOME, read_welcome(&connection)).await {
            Ok(Ok(welcome)) => welcome,
            Ok(Err(CallError::Lost(_))) => return Err(failure(endpoint, addr, &connection.closed().await)),
            _ => {
                connection.close(var_int(Code::TimedOut), b"");
                return Err(DialError::NoWelcome { addr });
            }
        };
        Ok(endpoint.take_in(Link::dialling(connection, found, welcome)))
    }

    fn check(&self, addr: SocketAddr, found: NodeId) -> Result<(), DialError> {
        if found == self.endpoint.node_id() {
            return Err(DialError::OwnId(Addresses(vec![addr])));
        }
        match self.expect {
            Some(expected) if expected != found => Err(DialError::WrongKey { addr, expected, found }),
            _ => Ok(()),
        }
    }
}

/// The first stream that the dialled side opens carries its Welcome.
async fn read_welcome(connection: &Connection) -> Result<Welcome, CallError> {
    let (_to, mut from) = connection.accept_bi().await?;
    frames::receive(&mut from, CONTROL).await?.ok_or(CallError::Ended)
}

fn failure(endpoint: &Endpoint, addr: SocketAddr, cause: &ConnectionError) -> DialError {
    let no_protocol = TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL);
    match cause {
        ConnectionError::ApplicationClosed(close) => match link::code(close.error_code) {
            Code::Forbidden => DialError::Forbidden { addr, own: endpoint.node_id() },
            code => DialError::Refused { addr, code },
        },
        ConnectionError::ConnectionClosed(close) if close.error_code == no_protocol => DialError::NotQshare { addr },
        ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
            DialError::Busy { addr }
        }
        ConnectionError::TransportError(error) if error.code == no_protocol => DialError::NotQshare { addr },
        ConnectionError::TimedOut => DialError::Silent(Addresses(vec![addr])),
        ConnectionError::VersionMismatch => DialError::NotQshare { addr },
        cause => DialError::Lost { addr, cause: cause.clone().into() },
    }
}

/// Of several failures the one that says most; addresses without an answer are named together.
pub(crate) fn most_telling(failures: Vec<DialError>, addrs: Vec<SocketAddr>) -> DialError {
    let rank = |failure: &DialError| match failure {
        DialError::WrongKey { .. } => 0,
        DialError::Forbidden { .. } => 1,
        DialError::Refused { .. } => 2,
        DialError::Busy { .. } | DialError::NoWelcome { .. } => 3,
        DialError::OwnId(_) => 4,
        DialError::NotQshare { .. } => 5,
        DialError::Lost { .. } => 6,
        DialError::Cannot { .. } => 7,
        DialError::Silent(_) | DialError::NoAddress => 8,
        DialError::Often { .. } => 9,
    };
    match failures.into_iter().min_by_key(rank) {
        None | Some(DialError::Silent(_)) => DialError::Silent(Addresses(addrs.into_iter().map(canonical).collect())),
        Some(failure) => failure,
    }
}
