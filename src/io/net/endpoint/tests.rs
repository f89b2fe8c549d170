//! Real endpoints in one process, on loopback.

use std::sync::Arc;

use quinn::ConnectionError;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use tokio::sync::oneshot;

use super::*;
use crate::io::net::dial::{self, DialError};
use crate::io::net::tls::Protocol;
use crate::wire::limits::ALPN;

fn loopback(port: u16) -> Listen {
    Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn endpoint(listen: Listen) -> Endpoint {
    let identity = Arc::new(Identity::ephemeral().expect("identity"));
    let keys = LongTermKeys::ephemeral().expect("keys");
    Endpoint::bind(identity, keys, EndpointOptions { listen, role: Role::Node }).expect("bound")
}

/// Establishes one arrival.
fn accept_one(endpoint: &Endpoint) -> tokio::task::JoinHandle<Result<Link, ArrivalError>> {
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.accept().await.expect("arrival").establish(Role::Tracker, |_| Ok(())).await })
}

async fn pair() -> (Endpoint, Endpoint, Link, Link) {
    let (server, client) = (endpoint(Listen::Ephemeral), endpoint(Listen::Ephemeral));
    let accepted = accept_one(&server);
    let dialled = client.dial(&[server.local_addr()], Some(server.node_id())).await.expect("dialled");
    let accepted = accepted.await.expect("task").expect("established");
    (server, client, dialled, accepted)
}

#[tokio::test]
async fn both_sides_know_each_other() {
    let (server, client, dialled, accepted) = pair().await;
    assert_eq!((dialled.peer(), accepted.peer()), (server.node_id(), client.node_id()));
    assert_eq!((dialled.role(), accepted.role()), (Some(Role::Tracker), None));
    assert_eq!((dialled.dialled(), accepted.dialled()), (true, false));
    assert_eq!(dialled.remote(), server.local_addr());
    assert_eq!(dialled.observed(), Some(accepted.remote()));
    assert_eq!(accepted.local_ip(), Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(server.inner.gate.in_use()[0].0, 1);
    accepted.close(Code::Busy);
    assert!(
        matches!(dialled.closed().await, ConnectionError::ApplicationClosed(close) if link::code(close.error_code) == Code::Busy)
    );
    drop(accepted);
    assert_eq!(server.inner.gate.in_use()[0].0, 0);
}

#[tokio::test]
async fn another_key_than_expected_is_told_with_both() {
    let (server, client) = (endpoint(Listen::Ephemeral), endpoint(Listen::Ephemeral));
    let _accepting = accept_one(&server);
    let expected = Identity::ephemeral().expect("identity").node_id();
    let error = client.dial(&[server.local_addr()], Some(expected)).await.expect_err("another key");
    assert_eq!(error, DialError::WrongKey { addr: server.local_addr(), expected, found: server.node_id() });
    assert!(error.to_string().contains(&expected.to_string()), "{error}");
}

#[tokio::test]
async fn a_node_never_dials_itself() {
    let node = endpoint(Listen::Ephemeral);
    let _accepting = accept_one(&node);
    for expect in [Some(node.node_id()), None] {
        assert!(matches!(node.dial(&[node.local_addr()], expect).await, Err(DialError::OwnId(_))));
    }
}

#[tokio::test]
async fn a_refused_node_learns_why() {
    let (server, client) = (endpoint(Listen::Ephemeral), endpoint(Listen::Ephemeral));
    let accepting = server.clone();
    let judged = tokio::spawn(async move {
        accepting.accept().await.expect("arrival").establish(Role::Tracker, |_| Err(Code::Forbidden)).await
    });
    let error = client.dial(&[server.local_addr()], None).await.expect_err("forbidden");
    assert_eq!(error, DialError::Forbidden { addr: server.local_addr(), own: client.node_id() });
    assert!(matches!(judged.await.expect("task"), Err(ArrivalError::NotAdmitted(Code::Forbidden))));
}

#[tokio::test]
async fn the_race_finds_the_address_that_answers() {
    let (server, client) = (endpoint(Listen::Ephemeral), endpoint(Listen::Ephemeral));
    let deaf = UdpSocketThatIsNeverRead::new();
    let _accepting = accept_one(&server);
    let link = client.dial(&[deaf.addr(), server.local_addr()], Some(server.node_id())).await.expect("dialled");
    assert_eq!(link.remote(), server.local_addr());
}

#[tokio::test]
async fn silence_is_told_with_the_address() {
    let client = endpoint(Listen::Ephemeral);
    let deaf = UdpSocketThatIsNeverRead::new();
    let error = client.dial(&[deaf.addr()], None).await.expect_err("silence");
    assert_eq!(error, DialError::Silent(dial::Addresses(vec![deaf.addr()])));
    assert_eq!(client.dial(&[], None).await.expect_err("nothing"), DialError::NoAddress);
}

#[tokio::test]
async fn default_ports_move_on_when_taken() {
    let first = endpoint(Listen::DefaultPorts);
    let second = endpoint(Listen::DefaultPorts);
    assert_ne!(first.port(), second.port());
    // Whatever else has the usual port on this machine, the second of them cannot.
    assert_eq!((second.taken_port(), endpoint(Listen::Ephemeral).taken_port()), (Some(NODE_PORT), None));
    assert_ne!(first.port(), TRACKER_PORT, "a tracker that comes later has it");
    let taken = Listen::At(SocketAddr::from((Ipv6Addr::UNSPECIFIED, first.port())));
    let identity = Arc::new(Identity::ephemeral().expect("identity"));
    let keys = LongTermKeys::ephemeral().expect("keys");
    let error = Endpoint::bind(identity, keys, EndpointOptions { listen: taken, role: Role::Node }).expect_err("taken");
    assert!(error.to_string().contains(&first.port().to_string()), "{error}");
}

#[tokio::test]
async fn closing_tells_the_other_side() {
    let (server, _client, dialled, _accepted) = pair().await;
    server.close(Code::Closing).await;
    assert!(matches!(dialled.closed().await, ConnectionError::ApplicationClosed(_)));
    assert!(server.accept().await.is_none());
}

/// A raw peer with our certificate that finishes the handshake and never speaks.
#[tokio::test]
async fn a_peer_that_never_says_welcome_is_left() {
    let identity = Arc::new(Identity::ephemeral().expect("identity"));
    let (keys, protocols) = (LongTermKeys::ephemeral().expect("keys"), tls::protocols(&identity).expect("a key"));
    let configs = Configs::new(&identity, &keys, Purpose::Link, protocols).expect("configs");
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mute = quinn::Endpoint::server(configs.server(addr.ip()).expect("config"), addr).expect("bound");
    let addr = mute.local_addr().expect("addr");
    let listening = tokio::spawn(async move {
        let connection = mute.accept().await.expect("incoming").await.expect("connected");
        connection.closed().await
    });
    let error = endpoint(Listen::Ephemeral).dial(&[addr], None).await.expect_err("mute");
    assert_eq!(error, DialError::NoWelcome { addr });
    let closed = listening.await.expect("task");
    assert!(
        matches!(closed, ConnectionError::ApplicationClosed(close) if link::code(close.error_code) == Code::TimedOut)
    );
}

/// Takes everything; a test double, never in the product.
#[derive(Debug)]
struct TakesAll;

impl ServerCertVerifier for TakesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }
}

type Chain = Option<(Vec<CertificateDer<'static>>, rcgen::KeyPair)>;

/// What a client without our rules looks like to a real endpoint: whose certificate it was shown, and the error on the
/// endpoint's side.
async fn arrival_at(server: &Endpoint, alpn: &[u8], chain: Chain) -> (Option<NodeId>, ArrivalError) {
    let accepting = accept_one(server);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAll));
    let mut config = match chain {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key.into()).expect("certificate"),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).expect("quic")));
    let raw = quinn::Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bound");
    let connecting = raw.connect_with(config, server.local_addr(), "qshare").expect("connecting");
    let connection = connecting.await;
    let error = accepting.await.expect("task").expect_err("not let in");
    (connection.ok().and_then(|connection| link::peer_of(&connection)), error)
}

async fn arrival_of(alpn: &[u8], chain: Chain) -> ArrivalError {
    arrival_at(&endpoint(Listen::Ephemeral), alpn, chain).await.1
}

fn certified(algorithm: &'static rcgen::SignatureAlgorithm) -> (CertificateDer<'static>, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate_for(algorithm).expect("key");
    let params = rcgen::CertificateParams::new(Vec::new()).expect("params");
    (params.self_signed(&key).expect("signed").der().clone(), key)
}

#[tokio::test]
async fn strangers_are_not_let_in() {
    let alpn = ALPN;
    let (certificate, key) = certified(&rcgen::PKCS_ED25519);
    let (p256, p256_key) = certified(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (other, other_key) = certified(&rcgen::PKCS_ED25519);
    let cases = [
        ("no certificate", arrival_of(alpn, None).await),
        ("two certificates", arrival_of(alpn, Some((vec![certificate.clone(), certificate], key))).await),
        ("not Ed25519", arrival_of(alpn, Some((vec![p256], p256_key))).await),
        ("another protocol", arrival_of(b"h3", Some((vec![other], other_key))).await),
    ];
    for (case, error) in cases {
        assert!(matches!(error, ArrivalError::Handshake(ConnectionError::TransportError(_))), "{case}: {error}");
    }
}

/// One protocol more than nodes have: it shows another certificate, and asks for none.
#[tokio::test]
async fn certificate_and_verification_are_those_of_the_protocol() {
    const OTHER: &[u8] = b"other/1";
    let (identity, other) = [(); 2].map(|()| Arc::new(Identity::ephemeral().expect("identity"))).into();
    let keys = LongTermKeys::ephemeral().expect("keys");
    let mut protocols = tls::protocols(&identity).expect("a key");
    let certificate = tls::protocols(&other).expect("a key").remove(0).certificate;
    protocols.push(Protocol { alpn: OTHER, certificate, dialler: WebPkiClientVerifier::no_client_auth() });
    let configs = Configs::new(&identity, &keys, Purpose::Link, protocols).expect("configs");
    let options = EndpointOptions { listen: Listen::Ephemeral, role: Role::Node };
    let server = Endpoint::open(Arc::clone(&identity), &keys, options, configs, Arc::default()).expect("bound");

    let stranger = || Some(certified(&rcgen::PKCS_ECDSA_P256_SHA256)).map(|(shown, key)| (vec![shown], key));
    for chain in [None, stranger()] {
        let (shown, error) = arrival_at(&server, OTHER, chain).await;
        assert_eq!(shown, Some(other.node_id()));
        assert!(matches!(error, ArrivalError::NotAdmitted(Code::Unsupported)), "it makes no link: {error}");
    }
    // Beside it, nodes are verified as ever; and what is in no entry has no handshake.
    let no_protocol = quinn::TransportErrorCode::crypto(0x78);
    for (alpn, chain, has_protocol) in [(ALPN, None, true), (ALPN, stranger(), true), (b"h3", stranger(), false)] {
        let (_, error) = arrival_at(&server, alpn, chain).await;
        let ArrivalError::Handshake(ConnectionError::TransportError(error)) = error else { panic!("{error}") };
        assert_eq!(error.code != no_protocol, has_protocol, "{error}");
    }
    let accepting = accept_one(&server);
    let node = endpoint(Listen::Ephemeral);
    let link = node.dial(&[server.local_addr()], Some(identity.node_id())).await.expect("dialled");
    assert_eq!(
        (link.peer(), accepting.await.expect("task").expect("let in").peer()),
        (identity.node_id(), node.node_id())
    );
}

/// The certificate is public: who shows another's without holding its key must not pass.
#[tokio::test]
async fn a_borrowed_certificate_is_not_enough() {
    let (certificate, _) = certified(&rcgen::PKCS_ED25519);
    let thief = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("key");
    let signing = rustls::crypto::ring::sign::any_eddsa_type(&thief.serialize_der().into());
    let certified = rustls::sign::CertifiedKey::new(vec![certificate], signing.expect("key"));
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAll))
        .with_client_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN.to_vec()];
    let server = endpoint(Listen::Ephemeral);
    let accepting = accept_one(&server);
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).expect("quic")));
    let raw = quinn::Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bound");
    let _connection = raw.connect_with(config, server.local_addr(), "qshare").expect("connecting").await;
    let error = accepting.await.expect("task").expect_err("not let in");
    assert!(matches!(error, ArrivalError::Handshake(ConnectionError::TransportError(_))), "{error}");
}

/// A process that dies tells nobody; the next one on its port, with its keys, does so at the first packet.
#[tokio::test]
async fn a_restarted_peer_is_noticed_at_once() {
    let identity = Arc::new(Identity::ephemeral().expect("identity"));
    let keys = LongTermKeys::ephemeral().expect("keys");
    let options = |listen| EndpointOptions { listen, role: Role::Tracker };
    let (told, addr) = oneshot::channel();
    let (die, death) = oneshot::channel::<()>();
    let first = (identity.clone(), keys.clone());
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let kept = runtime.block_on(async {
            let server = Endpoint::bind(first.0, first.1, options(loopback(0))).expect("bound");
            told.send(server.local_addr()).expect("asked");
            let link = server
                .accept()
                .await
                .expect("arrival")
                .establish(Role::Tracker, |_| Ok(()))
                .await
                .expect("established");
            death.await.expect("told");
            (server, link)
        });
        // Once the runtime is gone nothing is polled any more, so nothing says goodbye.
        drop(runtime);
        drop(kept);
    });
    let addr = addr.await.expect("told");
    let client = endpoint(loopback(0));
    let link = client.dial(&[addr], None).await.expect("dialled");
    die.send(()).expect("alive");
    tokio::task::spawn_blocking(|| process.join().expect("ended")).await.expect("joined");
    let _second = Endpoint::bind(identity, keys, options(Listen::At(addr))).expect("bound again");
    // Silence would end it as timed out.
    assert_eq!(link.closed().await, ConnectionError::Reset);
}

/// How much goes into streams of which nothing is read, until no more does.
async fn unread(link: &Link, streams: usize) -> usize {
    let (mut taken, mut open) = (0, Vec::new());
    for _ in 0..streams {
        let (mut to, from) = link.connection().open_bi().await.expect("stream");
        while let Ok(len) = timeout(Duration::from_millis(300), to.write(&[0; 4096])).await {
            taken += len.expect("written");
        }
        open.push((to, from));
    }
    taken
}

/// Bytes that nobody asked for are kept, with gaps or not, up to the window: whoever dialled.
#[tokio::test]
async fn what_was_not_asked_for_has_a_narrow_window_on_both_sides() {
    const NARROW: usize = 1 << 20;
    let (_server, _client, dialled, accepted) = pair().await;
    for (from, to) in [(&dialled, &accepted), (&accepted, &dialled)] {
        let before = unread(from, 2).await;
        assert!((1..NARROW).contains(&before), "{before} bytes");
        to.widen();
        let after = unread(from, 2).await;
        assert!(after > 4 * NARROW, "{after} bytes");
    }
}

/// Whoever waits for the closing ends the process next.
#[tokio::test]
async fn the_others_have_been_told_when_closing_returns() {
    let server = endpoint(Listen::Ephemeral);
    let (accepting, addr) = (accept_one(&server), server.local_addr());
    let process = std::thread::spawn(move || {
        // One thread: what is left to a task when closing returns is never done.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let client = runtime.block_on(async {
            let client = endpoint(Listen::Ephemeral);
            let link = client.dial(&[addr], None).await.expect("dialled");
            let (mut to, from) = link.connection().open_bi().await.expect("stream");
            to.write_all(b"x").await.expect("written");
            to.finish().expect("finished");
            // Nothing is left to be sent: quinn would not say good-bye before it while the window is full.
            to.stopped().await.expect("acknowledged");
            client.close(Code::Closing).await;
            (client, link, from)
        });
        runtime.shutdown_background();
        drop(client);
    });
    let accepted = accepting.await.expect("task").expect("established");
    tokio::task::spawn_blocking(|| process.join().expect("ended")).await.expect("joined");
    let ConnectionError::ApplicationClosed(close) = accepted.closed().await else { panic!("not told") };
    assert_eq!(link::code(close.error_code), Code::Closing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_datagrams_carry_a_transfer_without_losses() {
    const LEN: usize = 64 << 20;
    let (_server, _client, dialled, accepted) = pair().await;
    dialled.widen();
    let sending = tokio::spawn(async move {
        let (mut to, _from) = accepted.connection().open_bi().await.expect("stream");
        let buffer = vec![7; 1 << 20];
        for _ in 0..LEN >> 20 {
            to.write_all(&buffer).await.expect("written");
        }
        to.finish().expect("finished");
        to.stopped().await.expect("acknowledged");
        accepted.connection().stats().path
    });
    let (_to, mut from) = dialled.accept_stream().await.expect("stream");
    let mut received = 0;
    while let Some(chunk) = from.read_chunk(1 << 20, true).await.expect("read") {
        received += chunk.bytes.len();
    }
    let path = sending.await.expect("task");
    assert_eq!(received, LEN);
    assert!(path.current_mtu > 1452, "{path:?}");
    // Batches that the kernel refuses would be most of them; a small socket buffer loses about 5 %.
    assert!(path.lost_packets * 10 < path.sent_packets, "{path:?}");
}

/// A bound socket whose owner never reads: no answer, and no ICMP error either.
struct UdpSocketThatIsNeverRead(std::net::UdpSocket);

impl UdpSocketThatIsNeverRead {
    fn new() -> Self {
        Self(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound"))
    }

    fn addr(&self) -> SocketAddr {
        self.0.local_addr().expect("addr")
    }
}

/// Handshakes that are never finished: beyond the limit an address must prove itself, and an honest node still can.
#[tokio::test]
async fn many_half_open_handshakes_do_not_keep_an_honest_node_out() {
    let (server, client) = (endpoint(Listen::Ephemeral), endpoint(Listen::Ephemeral));
    let addr = server.local_addr();
    let mut dials = tokio::task::JoinSet::new();
    for _ in 0..crate::io::net::gate::HALF_OPEN_RETRY {
        let client = client.clone();
        dials.spawn(async move { client.dial(&[addr], None).await });
    }
    let mut half_open = Vec::new();
    while half_open.len() < crate::io::net::gate::HALF_OPEN_RETRY {
        half_open.push(server.accept().await.expect("arrival"));
    }
    let accepting = accept_one(&server);
    let honest = endpoint(Listen::Ephemeral);
    let link = honest.dial(&[server.local_addr()], Some(server.node_id())).await.expect("dialled");
    let arrived = accepting.await.expect("task").expect("established");
    assert_eq!((link.peer(), arrived.peer()), (server.node_id(), honest.node_id()));
}
