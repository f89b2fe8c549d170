//! A connection to a known node, whoever dialled.
//! Invariant: `peer` is the id of the key that the handshake proved. Dropping the last clone, with all streams,
//! closes the connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::io::home::identity;
use crate::io::net::gate::Permit;
use crate::io::net::purpose::Purpose;
use crate::io::net::transport::{CONNECTION_WINDOW, IDLE, LASTING, LIMITED, MOST_BESIDES};
use crate::model::NodeId;
use crate::model::address::{Teller, canonical};
use crate::wire::{Code, Role, Welcome};

/// Looks after a connection's last packet, without a timer and with one. A look costs less than a microsecond.
const LOOKS: u32 = 500;
/// Between two looks with a timer.
const PAUSE: Duration = Duration::from_millis(1);

/// A connection after handshake and Welcome. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    peer: NodeId,
    remote: SocketAddr,
    welcome: Option<Welcome>,
    /// The receive window is the whole one.
    wide: AtomicBool,
    /// Bytes for which there is room besides.
    besides: Mutex<u64>,
    /// Streams that this side may open and that last, by what they are for.
    watches: Lasting,
    fetches: Lasting,
    _permit: Option<Permit>,
}

/// Streams of one kind that last.
#[derive(Debug)]
struct Lasting {
    all: Semaphore,
    /// Of them those of limited transfers.
    limited: Semaphore,
}

/// A stream that may last; given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Place<'a> {
    _limited: Option<SemaphorePermit<'a>>,
    _one: SemaphorePermit<'a>,
}

impl Lasting {
    const fn new() -> Self {
        Self { all: Semaphore::const_new(LASTING), limited: Semaphore::const_new(LIMITED) }
    }

    fn try_take(&self, limited: bool) -> Option<Place<'_>> {
        let of_limited = if limited { Some(self.limited.try_acquire().ok()?) } else { None };
        Some(Place { _limited: of_limited, _one: self.all.try_acquire().ok()? })
    }

    /// `None` never happens: the semaphores are not closed. Limited ones wait among themselves first, so that none of the others
    /// waits behind one that waits for minutes.
    async fn take(&self, limited: bool) -> Option<Place<'_>> {
        let of_limited = if limited { Some(self.limited.acquire().await.ok()?) } else { None };
        Some(Place { _limited: of_limited, _one: self.all.acquire().await.ok()? })
    }
}

/// Room for bytes that are read slowly.
#[derive(Debug)]
pub struct Room {
    inner: Arc<Inner>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.inner.change_room(|besides| besides.saturating_sub(self.bytes));
    }
}

impl Inner {
    fn change_room(&self, change: impl FnOnce(u64) -> u64) {
        let mut besides = self.besides.lock().unwrap_or_else(PoisonError::into_inner);
        *besides = change(*besides);
        // QUIC says that something was read once it is an eighth of the window, which is to be had besides as well.
        let window = u64::from(CONNECTION_WINDOW) + (*besides).min(MOST_BESIDES) * 8 / 7;
        self.connection.set_receive_window(VarInt::try_from(window).unwrap_or(VarInt::MAX));
    }
}

impl Link {
    pub(crate) fn dialling(connection: Connection, peer: NodeId, welcome: Welcome) -> Self {
        Self::new(connection, peer, Some(welcome), None)
    }

    pub(crate) fn dialled_by(connection: Connection, peer: NodeId, permit: Permit) -> Self {
        Self::new(connection, peer, None, Some(permit))
    }

    fn new(connection: Connection, peer: NodeId, welcome: Option<Welcome>, permit: Option<Permit>) -> Self {
        let remote = canonical(connection.remote_address());
        let wide = AtomicBool::new(false);
        let besides = Mutex::default();
        let [watches, fetches] = [Lasting::new(), Lasting::new()];
        let inner = Inner { connection, peer, remote, welcome, wide, besides, watches, fetches, _permit: permit };
        Self { inner: Arc::new(inner) }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> NodeId {
        self.inner.peer
    }

    /// What the other end is; known only when this side dialled.
    pub fn role(&self) -> Option<Role> {
        self.inner.welcome.as_ref().map(|welcome| welcome.role)
    }

    /// The other end's version of the protocol; known only when this side dialled.
    pub fn version(&self) -> Option<u16> {
        self.inner.welcome.as_ref().map(|welcome| welcome.version)
    }

    /// What the connection is for.
    pub fn purpose(&self) -> Purpose {
        // What has no purpose does not become a link.
        Purpose::of(&self.inner.connection).unwrap_or(Purpose::Link)
    }

    /// Whether this side dialled.
    pub fn dialled(&self) -> bool {
        self.inner.welcome.is_some()
    }

    /// The other end's address as it was at the handshake, canonical.
    pub fn remote(&self) -> SocketAddr {
        self.inner.remote
    }

    /// The address of this machine at which the other end reached it, canonical.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.inner.connection.local_ip().map(|ip| ip.to_canonical())
    }

    /// The other end as one who tells of addresses.
    pub fn teller(&self) -> Teller {
        Teller { remote: self.remote().ip(), local: self.local_ip() }
    }

    /// From where the other end sees this one; known only when this side dialled.
    #[cfg(feature = "lab")]
    pub fn observed(&self) -> Option<SocketAddr> {
        self.inner.welcome.as_ref().map(|welcome| canonical(welcome.observed))
    }

    /// The connection beneath. Keeping a clone keeps it open.
    pub fn connection(&self) -> &Connection {
        &self.inner.connection
    }

    /// The next stream that the other end opens: it begins with a request.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn accept_stream(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        self.inner.connection.accept_bi().await
    }

    /// Lets the other end send more before it is read than requests and answers need: this side asks it for bytes.
    pub fn widen(&self) {
        if !self.inner.wide.swap(true, Ordering::Relaxed) {
            self.inner.connection.set_receive_window(VarInt::from_u32(CONNECTION_WINDOW));
        }
    }

    /// Room for so many bytes that were asked for and are read slowly on purpose, until it is dropped: what else comes over a
    /// connection that was widened does not wait behind them.
    #[must_use]
    pub fn room(&self, bytes: u64) -> Room {
        self.inner.change_room(|besides| besides.saturating_add(bytes));
        Room { inner: Arc::clone(&self.inner), bytes }
    }

    /// A stream for a request that is answered for as long as somebody wants to know, maybe for a transfer that is limited; none
    /// when there are many: it is to be tried again later.
    pub fn may_watch(&self, limited: bool) -> Option<Place<'_>> {
        self.inner.watches.try_take(limited)
    }

    /// Waits for a stream on which bytes come, maybe of a transfer that is limited.
    pub async fn may_fetch(&self, limited: bool) -> Option<Place<'_>> {
        self.inner.fetches.take(limited).await
    }

    /// Whether the connection is lost or closed.
    pub fn is_closed(&self) -> bool {
        self.inner.connection.close_reason().is_some()
    }

    /// Whether it was given up for another one between the same nodes: what it had asked is to be asked again there.
    pub fn gave_way(&self) -> bool {
        let lost = self.inner.connection.close_reason().map(Loss::from);
        lost.is_some_and(|lost| lost.gave_way())
    }

    /// Resolves when the connection is lost or closed.
    pub async fn closed(&self) -> ConnectionError {
        self.inner.connection.closed().await
    }

    /// Closes the connection at once; streams under way are lost.
    pub fn close(&self, code: Code) {
        self.inner.connection.close(var_int(code), b"");
    }

    /// Closes the connection at once, as [`Link::close`]; what is returned tells when the other end was sent word of
    /// it. `None` when it was closed before.
    pub(crate) fn farewell(&self, code: Code) -> Option<Farewell> {
        if self.is_closed() {
            return None;
        }
        self.close(code);
        let connection = self.inner.connection.clone();
        let before = connection.stats().udp_tx.datagrams;
        Some(Farewell { connection, before })
    }

    /// The same link, without keeping it open.
    pub(crate) fn downgrade(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.inner))
    }

    /// Resolves when no packet has come for so long, and no more than a quarter longer.
    pub async fn silent(&self, patience: Duration) {
        const LOOKS: u32 = 4;
        let (mut heard, mut since) = (self.received(), 0);
        while since < LOOKS {
            tokio::time::sleep(patience / LOOKS).await;
            let now = self.received();
            since = if now == heard { since + 1 } else { 0 };
            heard = now;
        }
    }

    /// Datagrams that have come.
    fn received(&self) -> u64 {
        self.inner.connection.stats().udp_rx.datagrams
    }

    /// The current estimate of the round trip.
    pub fn rtt(&self) -> Duration {
        self.inner.connection.rtt()
    }

    /// How many bytes the path to the other end is thought to take in a round trip.
    pub fn window(&self) -> u64 {
        self.inner.connection.stats().path.cwnd
    }

    /// The UDP payload that the path to the other end carries now, in bytes.
    pub fn mtu(&self) -> u16 {
        self.inner.connection.stats().path.current_mtu
    }

    /// Whether two handles are the same connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// A link that is not kept open by this.
#[derive(Debug)]
pub(crate) struct WeakLink(Weak<Inner>);

impl WeakLink {
    /// Whether anybody has the link still.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// The link, if anybody has it still.
    pub(crate) fn upgrade(&self) -> Option<Link> {
        self.0.upgrade().map(|inner| Link { inner })
    }
}

/// A connection that was closed here, on its way to say so.
#[derive(Debug)]
pub(crate) struct Farewell {
    connection: Connection,
    before: u64,
}

impl Farewell {
    /// Resolves when the word of the closing has been given to the socket. quinn tells nobody when that is; but after
    /// the closing nothing else is sent.
    pub(crate) async fn sent(self) {
        for look in 0_u32.. {
            if self.connection.stats().udp_tx.datagrams > self.before {
                return;
            }
            // The connection's task has been woken; only where it does not come soon is it worth a timer.
            if look < LOOKS { tokio::task::yield_now().await } else { tokio::time::sleep(PAUSE).await }
        }
    }
}

/// A code as QUIC carries it.
pub fn var_int(code: Code) -> VarInt {
    VarInt::from_u32(code.into())
}

/// A code as QUIC carried it.
pub fn code(number: VarInt) -> Code {
    Code::from(u32::try_from(number.into_inner()).unwrap_or(u32::MAX))
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Loss {
    /// The peer closed it.
    #[error("the peer closed it: {0}")]
    Closed(Code),
    /// It was closed here.
    #[error("it was closed here")]
    Here,
    /// Something else, in QUIC's words.
    #[error("{0}")]
    Other(String),
    /// The peer restarted.
    #[error("the peer restarted")]
    Restarted,
    /// The peer was silent for too long.
    #[error("the peer was silent for {} s", IDLE.as_secs())]
    Silent,
}

impl Loss {
    /// Whether another connection between the same nodes is there instead.
    pub const fn gave_way(&self) -> bool {
        matches!(self, Self::Closed(Code::Duplicate) | Self::Here)
    }
}

impl From<ConnectionError> for Loss {
    fn from(cause: ConnectionError) -> Self {
        match cause {
            ConnectionError::ApplicationClosed(close) => Self::Closed(code(close.error_code)),
            ConnectionError::LocallyClosed => Self::Here,
            ConnectionError::Reset => Self::Restarted,
            ConnectionError::TimedOut => Self::Silent,
            cause => Self::Other(cause.to_string()),
        }
    }
}

/// The node at the other end of a finished handshake; `None` never happens with our verifiers.
pub(crate) fn peer_of(connection: &Connection) -> Option<NodeId> {
    let certificates = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    match certificates.as_slice() {
        [certificate] => identity::node_id(certificate).ok(),
        _ => None,
    }
}
