//! QUIC's parameters: every timer, window and limit of a connection and of the endpoint.
//! Invariant: both ends are configured alike, whoever dials, because a connection serves both directions.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;

use crate::io::home::identity::{Identity, LongTermKeys};
use crate::io::net::congestion;
use crate::io::net::gate::{PER_ADDRESS, PER_LOOPBACK};
use crate::io::net::purpose::Purpose;
use crate::io::net::tls::{self, Protocol};
use crate::io::net::udp;
use crate::model::address::is_loopback;
use crate::wire::limits::STREAMS;

/// A connection without traffic says that it lives this often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// A connection is dead after hearing nothing for this long: three keep-alives and a second for the way.
pub const IDLE: Duration = Duration::from_secs(10);
/// What a peer may send before it is read, on one stream: half of the connection's, so that one stream that nobody
/// reads does not stop the others.
pub const STREAM_WINDOW: u32 = 4 << 20;
/// What a peer may send before it is read, on all streams of a connection together, once it was asked for bytes.
pub const CONNECTION_WINDOW: u32 = 8 << 20;
/// What is asked for and read slowly, as its transfer is limited, has room besides, up to what all streams that bring bytes can
/// hold: requests and answers do not wait behind it for minutes.
pub const MOST_BESIDES: u64 = LASTING as u64 * STREAM_WINDOW as u64;
/// The same before that, whoever dialled (`Link::widen`). What an address may have of arrived ones
/// ([`crate::io::net::gate`]) is 128 MiB in all: what comes with a gap, or is not read for another reason, is kept.
pub const NARROW_WINDOW: u32 = (128 << 20) / PER_ADDRESS as u32;
/// The same on this machine, with more connections; no way is long there.
const LOOPBACK_WINDOW: u32 = (128 << 20) / PER_LOOPBACK as u32;
/// Of the streams that a peer lets this side open, so many may tell of changes (Watch, Follow) and as many bring bytes (Fetch,
/// List): those of limited transfers last for minutes, and requests need some of their own.
pub const LASTING: usize = STREAMS as usize * 3 / 8;
/// Of each of them, so many may be those of limited transfers: the others do not wait for minutes behind them.
pub const LIMITED: usize = LASTING * 5 / 6;
/// What is kept for a peer until it has acknowledged it, on one connection.
pub const SEND_WINDOW: u64 = 8 << 20;
/// Packets after which a peer acknowledges: each acknowledgement wakes a thread at both ends. (QUIC's own is 2.)
const ACK_AFTER: u32 = 16;
/// After how long it does so anyway, so that a small window is not held up.
const ACK_DELAY: Duration = Duration::from_millis(2);
/// Connections that wait for the accept loop; more are refused.
const MAX_INCOMING: usize = 256;
/// Bytes kept of one that waits, after its first datagram: a client's first flight is a few datagrams.
const INCOMING_BUFFER: u64 = 64 << 10;
/// Bytes kept of all that wait.
const INCOMING_BUFFERS: u64 = 4 << 20;
/// The largest datagrams tried on this machine: two of them fill one send of 64 KiB, which was measured to be faster
/// than one of 65,507 and loses less where the socket's buffer is small (docs/decisions).
const LOOPBACK_MTU: u16 = 32_700;
/// The largest datagrams tried on networks: those of jumbo frames (9000 less IPv6's and UDP's headers).
const NETWORK_MTU: u16 = 8952;
/// A packet is lost when so many sent after it are acknowledged: 15 ms at 100 Mbit/s. On paths of several links
/// packets overtake each other, and each that is taken for lost is sent twice.
const LATE_PACKETS: u32 = 128;
/// Or when it is so many round trips old. RFC 9002 has 9/8, which takes what comes 3 ms late at 24 ms for lost.
const LATE_TIME: f32 = 1.5;

/// The configurations for near and far peers.
#[derive(Debug, Clone)]
pub struct Configs {
    client: [ClientConfig; 2],
    server: [ServerConfig; 2],
    protocols: Arc<[Protocol]>,
}

impl Configs {
    /// Builds them for an identity that dials for a purpose and answers these protocols.
    ///
    /// # Errors
    /// When the key cannot be used for TLS.
    pub fn new(
        identity: &Identity,
        keys: &LongTermKeys,
        purpose: Purpose,
        protocols: Vec<Protocol>,
    ) -> Result<Self, rustls::Error> {
        let client = QuicClientConfig::try_from(tls::client_config(identity, purpose)?).map_err(without_aes)?;
        let (client, token, protocols) = (Arc::new(client), Arc::new(keys.token()), protocols.into());
        let server = arrival(&protocols)?;
        Ok(Self {
            client: [loopback(), network()].map(Arc::new).map(|transport| {
                let mut config = ClientConfig::new(client.clone());
                config.transport_config(transport);
                config
            }),
            server: [loopback(), network()].map(Arc::new).map(|transport| {
                let mut config = ServerConfig::new(server.clone(), token.clone());
                config.transport_config(transport);
                config.max_incoming(MAX_INCOMING);
                config.incoming_buffer_size(INCOMING_BUFFER).incoming_buffer_size_total(INCOMING_BUFFERS);
                config
            }),
            protocols,
        })
    }

    /// For dialling an address.
    pub fn client(&self, ip: IpAddr) -> ClientConfig {
        self.client[usize::from(!is_loopback(ip))].clone()
    }

    /// For what arrives and has not been looked at; `None` when nothing is answered.
    pub fn listening(&self) -> Option<ServerConfig> {
        let [_, network] = &self.server;
        (!self.protocols.is_empty()).then(|| network.clone())
    }

    /// For being dialled from an address, once.
    ///
    /// # Errors
    /// None that [`Configs::new`] has not had.
    pub fn server(&self, ip: IpAddr) -> Result<ServerConfig, rustls::Error> {
        let mut config = self.server[usize::from(!is_loopback(ip))].clone();
        config.crypto = arrival(&self.protocols)?;
        Ok(config)
    }
}

/// The TLS of one arrival.
fn arrival(protocols: &Arc<[Protocol]>) -> Result<Arc<QuicServerConfig>, rustls::Error> {
    Ok(Arc::new(QuicServerConfig::try_from(tls::server_config(protocols)?).map_err(without_aes)?))
}

fn without_aes(_: NoInitialCipherSuite) -> rustls::Error {
    rustls::Error::General("AES-128-GCM is missing".into())
}

/// The endpoint's own parameters.
pub fn endpoint(keys: &LongTermKeys) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(keys.reset()));
    let connection_id = keys.connection_id();
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(connection_id)));
    // In quinn's range (1200 to 65527), so the error cannot come.
    let _ = config.max_udp_payload_size(udp::MAX_PAYLOAD);
    config
}

/// On this machine nothing is lost but for full buffers, and round trips are the scheduler's: CUBIC, quinn's default.
/// It begins with the largest datagrams and a window for ten of them: the probes that climb to them would be larger than
/// the usual first window, and hold up everything behind them until a timeout of 25 ms.
fn loopback() -> TransportConfig {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(10 * u64::from(LOOPBACK_MTU));
    let mut config = transport(LOOPBACK_MTU, LOOPBACK_WINDOW);
    config.congestion_controller_factory(Arc::new(cubic)).initial_mtu(LOOPBACK_MTU);
    config
}

fn network() -> TransportConfig {
    let mut config = transport(NETWORK_MTU, NARROW_WINDOW);
    config
        .congestion_controller_factory(Arc::new(congestion::Factory))
        .packet_threshold(LATE_PACKETS)
        .time_threshold(LATE_TIME);
    config
}

fn transport(mtu: u16, window: u32) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(mtu);
    let mut config = TransportConfig::default();
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(ACK_AFTER.into()).max_ack_delay(Some(ACK_DELAY));
    config
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(IDLE.try_into().ok())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(VarInt::from_u32(window))
        .send_window(SEND_WINDOW)
        // One stream after the other: interleaved ones would all be half there, and none in the processor's cache.
        .send_fairness(false)
        .ack_frequency_config(Some(acknowledgements))
        .mtu_discovery_config(Some(discovery));
    config
}
