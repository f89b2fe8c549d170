//! The one UDP endpoint of a process: it listens and dials.
//! Invariant: every connection that comes in holds a permit of the gate. Which node may connect, and how many links
//! to keep, is judged above.

mod control;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Incoming, TokioRuntime};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::io::home::identity::{Identity, IdentityError, LongTermKeys};
use crate::io::net::frames::{self, CallError};
use crate::io::net::gate::{Gate, Permit, Verdict};
use crate::io::net::interfaces;
use crate::io::net::link::{self, Link, var_int};
use crate::io::net::open::Open;
use crate::io::net::purpose::Purpose;
use crate::io::net::tls;
use crate::io::net::transport::{self, Configs};
use crate::io::net::udp::{self, SmallBuffer};
use crate::model::address::{NODE_PORT, TRACKER_PORT, canonical};
use crate::model::{Cause, NodeId};
use crate::wire::limits::{CONTROL, VERSION};
use crate::wire::{Code, Role, Welcome};

pub use control::{OwnerError, OwnerLink};

/// The last of the ports that are tried after the usual one.
pub const LAST_PORT: u16 = 4936;
/// A handshake takes at most this long.
pub const HANDSHAKE: Duration = Duration::from_secs(10);
/// Welcome must be there this long after the handshake.
pub const WELCOME: Duration = Duration::from_secs(5);
/// Closing waits at most this long for the last packets to go.
const CLOSE: Duration = Duration::from_millis(50);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// On this address; port 0 is any free port.
    At(SocketAddr),
    /// On the role's usual port, else the first free one after it up to 4936, else any.
    DefaultPorts,
    /// On any free port.
    Ephemeral,
}

/// How an endpoint is made.
#[derive(Debug, Clone, Copy)]
pub struct EndpointOptions {
    /// Where to listen.
    pub listen: Listen,
    /// What the process is.
    pub role: Role,
}

/// Why there is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BindError {
    /// The address cannot be had.
    #[error("UDP {addr} cannot be opened ({cause})")]
    Address {
        /// Which address.
        addr: SocketAddr,
        /// Why.
        cause: Cause,
    },
    /// There are no keys for the socket.
    #[error(transparent)]
    Keys(#[from] IdentityError),
    /// The key cannot be used.
    #[error("the identity cannot be used for TLS: {0}")]
    Tls(String),
}

impl From<rustls::Error> for BindError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error.to_string())
    }
}

/// The endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    quinn: quinn::Endpoint,
    bound: SocketAddr,
    identity: Arc<Identity>,
    role: Role,
    configs: Configs,
    gate: Arc<Gate>,
    open: Arc<Open>,
    small_buffers: Vec<SmallBuffer>,
    taken: Option<u16>,
}

impl Endpoint {
    /// Opens the socket and begins to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    #[expect(clippy::needless_pass_by_value, reason = "the endpoint takes its keys over")]
    pub fn bind(identity: Arc<Identity>, keys: LongTermKeys, options: EndpointOptions) -> Result<Self, BindError> {
        let configs = Configs::new(&identity, &keys, Purpose::Link, tls::protocols(&identity)?)?;
        Self::open(identity, &keys, options, configs, Arc::default())
    }

    /// Another endpoint of the same identity, on a socket of its own, that only dials; what it dials is closed with
    /// this one.
    ///
    /// # Errors
    /// As [`Endpoint::bind`].
    pub fn aside(&self, purpose: Purpose) -> Result<Self, BindError> {
        let listen = match self.inner.bound.ip() {
            ip if ip.is_unspecified() => Listen::Ephemeral,
            ip => Listen::At(SocketAddr::new(ip, 0)),
        };
        let keys = LongTermKeys::ephemeral()?;
        let options = EndpointOptions { listen, role: self.inner.role };
        let identity = self.inner.identity.clone();
        let configs = Configs::new(&identity, &keys, purpose, Vec::new())?;
        Self::open(identity, &keys, options, configs, Arc::clone(&self.inner.open))
    }

    /// Where the commands of the same home reach it: on this machine alone, apart from this socket, its gate and its links.
    ///
    /// # Errors
    /// As [`Endpoint::bind`].
    pub fn control(&self) -> Result<Self, BindError> {
        let open = |ip: IpAddr| Self::of_owner(Arc::clone(&self.inner.identity), ip, tls::control);
        open(Ipv4Addr::LOCALHOST.into()).or_else(|_| open(Ipv6Addr::LOCALHOST.into()))
    }

    fn open(
        identity: Arc<Identity>,
        keys: &LongTermKeys,
        options: EndpointOptions,
        configs: Configs,
        open_links: Arc<Open>,
    ) -> Result<Self, BindError> {
        let (addr, bound) = open(options.listen, options.role)?;
        let failed = |cause: io::Error| BindError::Address { addr, cause: cause.into() };
        let local = bound.socket.local_addr().map_err(failed)?;
        let gate = Arc::<Gate>::default();
        let socket = udp::wrap(bound.socket, udp::MAX_PAYLOAD, gate.crowded()).map_err(failed)?;
        let (config, server) = (transport::endpoint(keys), configs.listening());
        let quinn = quinn::Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))
            .map_err(failed)?;
        let inner = Inner {
            quinn,
            bound: local,
            identity,
            role: options.role,
            configs,
            gate,
            open: open_links,
            small_buffers: bound.small,
            taken: Some(usual_port(options.role))
                .filter(|port| options.listen == Listen::DefaultPorts && *port != local.port()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whose endpoint it is.
    pub fn node_id(&self) -> NodeId {
        self.inner.identity.node_id()
    }

    /// What the process is.
    #[cfg(feature = "lab")]
    pub fn role(&self) -> Role {
        self.inner.role
    }

    /// An address that a peer on this machine can dial.
    pub fn local_addr(&self) -> SocketAddr {
        let bound = canonical(self.inner.bound);
        if bound.ip().is_unspecified() { SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port()) } else { bound }
    }

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.inner.bound.port()
    }

    /// The usual port, where another one had to be taken in its place.
    pub fn taken_port(&self) -> Option<u16> {
        self.inner.taken
    }

    /// Addresses that may reach this endpoint, the likeliest first.
    pub fn candidates(&self) -> Vec<SocketAddr> {
        interfaces::candidates(canonical(self.inner.bound))
    }

    /// The likeliest of the candidates, for lines that people paste on other machines.
    pub fn outward_addr(&self) -> SocketAddr {
        self.candidates().first().copied().unwrap_or_else(|| self.local_addr())
    }

    /// The socket's buffers that are far smaller than they should be.
    pub fn small_buffers(&self) -> &[SmallBuffer] {
        &self.inner.small_buffers
    }

    /// Connections that others began and half-open handshakes, each with how many there may be.
    pub fn gate_use(&self) -> [(usize, usize); 2] {
        self.inner.gate.in_use()
    }

    /// Handshakes that this endpoint began.
    #[cfg(feature = "lab")]
    pub fn dials(&self) -> u64 {
        self.inner.quinn.stats().outgoing_handshakes
    }

    /// The next connection that the gate lets in; `None` once the endpoint is closed. It must be established in a
    /// task of its own.
    pub async fn accept(&self) -> Option<Arrival> {
        loop {
            let incoming = self.inner.quinn.accept().await?;
            let ip = incoming.remote_address().ip();
            match self.inner.gate.judge(ip, incoming.remote_address_validated()) {
                Verdict::Admit(permit) => return Some(Arrival { incoming, permit, endpoint: self.clone() }),
                // It fails only where the address is validated, and then a Retry is never demanded.
                Verdict::Retry => drop(incoming.retry()),
                Verdict::Refuse => incoming.refuse(),
            }
        }
    }

    /// Closes all connections and waits shortly until the other ends have been sent word of it. quinn's own waiting
    /// would go on for three probe timeouts, in case a peer has not heard: more than this process has to give.
    pub async fn close(&self, code: Code) {
        let told = self.inner.open.close(code);
        self.inner.quinn.close(var_int(code), b"");
        let _ = timeout(CLOSE, told).await;
    }

    /// Has a link closed with the endpoint.
    pub(crate) fn take_in(&self, link: Link) -> Link {
        self.inner.open.add(&link);
        link
    }

    pub(crate) fn connect(&self, addr: SocketAddr) -> Result<quinn::Connecting, quinn::ConnectError> {
        // Never on the wire (no SNI); quinn wants a valid name.
        self.inner.quinn.connect_with(self.inner.configs.client(addr.ip()), addr, "qshare")
    }
}

/// Why a connection from another node came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ArrivalError {
    /// The handshake failed or the connection was lost.
    #[error("the handshake failed: {0}")]
    Handshake(#[from] ConnectionError),
    /// It is not a node, or not one that is let in.
    #[error("the node was not let in: {0}")]
    NotAdmitted(Code),
    /// It was only to see who answers; it has been told.
    #[error("the connection was a dial-back")]
    Probe,
    /// It took too long.
    #[error("the handshake took too long")]
    TimedOut,
    /// The key cannot be used.
    #[error("the identity cannot be used for TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Welcome could not be sent.
    #[error("Welcome could not be sent: {0}")]
    Welcome(#[from] CallError),
}

/// A connection from another node, before its handshake.
#[derive(Debug)]
pub struct Arrival {
    incoming: Incoming,
    permit: Permit,
    endpoint: Endpoint,
}

impl Arrival {
    /// From where it comes, canonical.
    pub fn remote(&self) -> SocketAddr {
        canonical(self.incoming.remote_address())
    }

    /// Does the handshake and says Welcome; a node that `admit` refuses is told the code in its place.
    ///
    /// # Errors
    /// When it fails, takes too long, or `admit` refuses.
    pub async fn establish(
        self,
        role: Role,
        admit: impl FnOnce(NodeId) -> Result<(), Code>,
    ) -> Result<Link, ArrivalError> {
        let Self { incoming, mut permit, endpoint } = self;
        let config = endpoint.inner.configs.server(incoming.remote_address().ip())?;
        let connecting = incoming.accept_with(Arc::new(config))?;
        let connection = timeout(HANDSHAKE, connecting).await.map_err(|_| ArrivalError::TimedOut)??;
        permit.established();
        let judged = judge(&connection, endpoint.node_id());
        let (purpose, peer) = match judged.and_then(|judged| admit(judged.1).map(|()| judged)) {
            Ok(judged) => judged,
            Err(code) => {
                connection.close(var_int(code), b"");
                return Err(ArrivalError::NotAdmitted(code));
            }
        };
        timeout(WELCOME, welcome(&connection, role)).await.map_err(|_| ArrivalError::TimedOut)??;
        if purpose == Purpose::Probe {
            // The dialler closes; nobody waits for that longer than for a Welcome.
            let _ = timeout(WELCOME, connection.closed()).await;
            return Err(ArrivalError::Probe);
        }
        Ok(endpoint.take_in(Link::dialled_by(connection, peer, permit)))
    }
}

/// What a connection is for and who has dialled it. Another protocol than those of nodes makes no link, whoever speaks it.
fn judge(connection: &Connection, own: NodeId) -> Result<(Purpose, NodeId), Code> {
    let purpose = Purpose::of(connection).ok_or(Code::Unsupported)?;
    match link::peer_of(connection).ok_or(Code::BadRequest)? {
        peer if peer == own => Err(Code::Duplicate),
        peer => Ok((purpose, peer)),
    }
}

async fn welcome(connection: &Connection, role: Role) -> Result<(), CallError> {
    let (mut to, _from) = connection.open_bi().await?;
    let observed = canonical(connection.remote_address());
    frames::send(&mut to, &Welcome { version: VERSION, role, observed }, CONTROL).await?;
    to.finish().map_err(|_| CallError::Ended)
}

/// The port at which a process of this role is looked for where none is given.
const fn usual_port(role: Role) -> u16 {
    match role {
        Role::Tracker => TRACKER_PORT,
        Role::Bench | Role::Node => NODE_PORT,
    }
}

fn open(listen: Listen, role: Role) -> Result<(SocketAddr, udp::Bound), BindError> {
    let any = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    if listen == Listen::DefaultPorts {
        let ports = usual_port(role)..=LAST_PORT;
        let mut free = ports.map(any).filter_map(|addr| Some((addr, udp::bind(addr).ok()?)));
        if let Some(found) = free.next() {
            return Ok(found);
        }
    }
    let addr = if let Listen::At(addr) = listen { addr } else { any(0) };
    udp::bind(addr).map(|bound| (addr, bound)).map_err(|cause| BindError::Address { addr, cause: cause.into() })
}

#[cfg(test)]
mod tests;
