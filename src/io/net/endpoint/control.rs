//! The control socket: where the commands of a home reach its running node. Both ends show the home's own key.
//! Invariant: nobody else finishes a handshake, on either side.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError};
use tokio::time::timeout;

use super::{Arrival, ArrivalError, BindError, Endpoint, EndpointOptions, Listen};
use crate::io::home::identity::{Identity, LongTermKeys};
use crate::io::net::gate::Permit;
use crate::io::net::link::var_int;
use crate::io::net::purpose::Purpose;
use crate::io::net::tls::Protocol;
use crate::io::net::transport::Configs;
use crate::model::Cause;
use crate::wire::{Code, Role};

/// A handshake on one machine takes some milliseconds; one that takes so long is given up.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Why the control socket is closed when a command has asked for that: what goes through it ends, too, and no node takes its place.
const STOPPED: &[u8] = b"stopped";

/// Why a command does not reach the running node of its home.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// Another key is shown there.
    #[error("another key is shown there")]
    OtherKey,
    /// Nobody answers.
    #[error("nobody answers there ({0})")]
    Silent(Cause),
}

/// A connection whose both ends have one key. Closed when dropped, with its streams.
#[derive(Debug)]
pub struct OwnerLink {
    /// The connection.
    pub connection: Connection,
    _permit: Option<Permit>,
    /// Whoever dials has a socket for it alone.
    _endpoint: Option<Endpoint>,
}

impl OwnerLink {
    /// Whether a command had the node end, and that has closed this.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.connection.close_reason(), Some(ConnectionError::ApplicationClosed(close)) if *close.reason == *STOPPED)
    }
}

impl Endpoint {
    /// Dials the control socket of the node that runs with this identity.
    ///
    /// # Errors
    /// When another key answers, or nobody.
    pub async fn dial_owner(identity: Arc<Identity>, to: SocketAddr) -> Result<OwnerLink, OwnerError> {
        let silent = |cause: String| OwnerError::Silent(std::io::Error::other(cause).into());
        let endpoint =
            Self::of_owner(identity, to.ip(), |_| Ok(Vec::new())).map_err(|error| silent(error.to_string()))?;
        let connecting = endpoint.connect(to).map_err(|error| silent(error.to_string()))?;
        match timeout(HANDSHAKE, connecting).await {
            Ok(Ok(connection)) => Ok(OwnerLink { connection, _permit: None, _endpoint: Some(endpoint) }),
            Ok(Err(error)) if is_of_tls(&error) => Err(OwnerError::OtherKey),
            Ok(Err(error)) => Err(silent(error.to_string())),
            Err(late) => Err(silent(late.to_string())),
        }
    }

    /// Closes all connections of the control socket, and waits for a moment until that is told, and whether a command wanted it.
    pub async fn close_owners(&self, is_wanted: bool) {
        self.inner.quinn.close(var_int(Code::Closing), if is_wanted { STOPPED } else { b"" });
        let _ = timeout(super::CLOSE, self.inner.quinn.wait_idle()).await;
    }

    pub(super) fn of_owner(
        identity: Arc<Identity>,
        ip: IpAddr,
        protocols: impl Fn(&Identity) -> Result<Vec<Protocol>, rustls::Error>,
    ) -> Result<Self, BindError> {
        let keys = LongTermKeys::ephemeral()?;
        let options = EndpointOptions { listen: Listen::At(SocketAddr::new(ip, 0)), role: Role::Node };
        let configs = Configs::new(&identity, &keys, Purpose::Control, protocols(&identity)?)?;
        Self::open(identity, &keys, options, configs, Arc::default())
    }
}

/// Whether a handshake failed for what was shown in it: QUIC's errors from 0x100 on are alerts of TLS (RFC 9001, 4.8).
fn is_of_tls(error: &ConnectionError) -> bool {
    let code = match error {
        ConnectionError::TransportError(error) => error.code,
        ConnectionError::ConnectionClosed(close) => close.error_code,
        _ => return false,
    };
    (0x100..0x200).contains(&u64::from(code))
}

impl Arrival {
    /// Does the handshake of a command of the same home.
    ///
    /// # Errors
    /// When it fails, as that of anybody else does, or takes too long.
    pub async fn of_owner(self) -> Result<OwnerLink, ArrivalError> {
        let Self { incoming, mut permit, endpoint } = self;
        let config = endpoint.inner.configs.server(incoming.remote_address().ip())?;
        let connecting = incoming.accept_with(Arc::new(config))?;
        let connection = timeout(HANDSHAKE, connecting).await.map_err(|_| ArrivalError::TimedOut)??;
        permit.established();
        Ok(OwnerLink { connection, _permit: Some(permit), _endpoint: None })
    }
}
