//! TLS 1.3 between nodes: the pin in place of certificate authorities.
//! Invariant: a finished handshake proves that the peer holds the Ed25519 key of its one certificate. Names and
//! dates mean nothing here; which id may connect is judged after the handshake. No session is ever resumed.
//! What is shown, and who is verified how, is chosen by ALPN ([`protocols`]).

mod protocol;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    SignatureScheme, SupportedCipherSuite,
};

use self::protocol::Choice;
pub use self::protocol::Protocol;
use crate::io::home::identity::{self, Identity};
use crate::io::net::purpose::Purpose;
use crate::model::NodeId;

/// How this node dials.
///
/// # Errors
/// When the key cannot be used.
pub fn client_config(identity: &Identity, purpose: Purpose) -> Result<ClientConfig, Error> {
    let provider = provider();
    let only = (purpose == Purpose::Control).then(|| identity.node_id());
    let verifier = Arc::new(Pinned { provider: provider.clone(), only });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![identity.certificate()], identity.key().into())?;
    config.alpn_protocols = vec![purpose.alpn().to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What this node answers, each protocol with what it shows and whom it lets in: a further one is one more entry.
///
/// # Errors
/// When the key cannot be used.
pub fn protocols(identity: &Identity) -> Result<Vec<Protocol>, Error> {
    answered(identity, None, &Purpose::ALL)
}

/// What the control socket of this node answers: whoever has its own key.
///
/// # Errors
/// When the key cannot be used.
pub fn control(identity: &Identity) -> Result<Vec<Protocol>, Error> {
    answered(identity, Some(identity.node_id()), &[Purpose::Control])
}

fn answered(identity: &Identity, only: Option<NodeId>, purposes: &[Purpose]) -> Result<Vec<Protocol>, Error> {
    let provider = provider();
    let own = Arc::new(CertifiedKey::from_der(vec![identity.certificate()], identity.key().into(), &provider)?);
    let verified = Arc::new(Pinned { provider, only });
    let of = |purpose: &Purpose| Protocol {
        alpn: purpose.alpn(),
        certificate: Arc::clone(&own),
        dialler: Arc::clone(&verified) as Arc<dyn ClientCertVerifier>,
    };
    Ok(purposes.iter().map(of).collect())
}

/// How one arrival is answered: what it has chosen holds for no other.
///
/// # Errors
/// When ring cannot do TLS 1.3.
pub fn server_config(protocols: &Arc<[Protocol]>) -> Result<ServerConfig, Error> {
    let choice = Arc::new(Choice::of(protocols));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::clone(&choice) as Arc<dyn ClientCertVerifier>)
        .with_cert_resolver(choice);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.alpn.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Ring, with AES-128-GCM first where the CPU has AES. AES-128 is always in: QUIC's Initial packets need it.
fn provider() -> Arc<CryptoProvider> {
    let aes = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let chacha = ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
    let cipher_suites: Vec<SupportedCipherSuite> = if cpu_has_aes() { vec![aes, chacha] } else { vec![chacha, aes] };
    Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() })
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn cpu_has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu_has_aes() -> bool {
    false
}

/// Takes a single Ed25519 certificate whose key signed the handshake.
#[derive(Debug)]
struct Pinned {
    provider: Arc<CryptoProvider>,
    /// Whose it must be; anybody's where there is none.
    only: Option<NodeId>,
}

impl Pinned {
    fn certificate(&self, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        if !others.is_empty() {
            return Err(Error::General("exactly one certificate is allowed".into()));
        }
        let node = identity::node_id(certificate).map_err(|error| match error {
            identity::CertificateError::Malformed => CertificateError::BadEncoding.into(),
            identity::CertificateError::WrongKeyType => Error::General(error.to_string()),
        })?;
        match self.only {
            Some(only) if only != node => Err(CertificateError::ApplicationVerificationFailure.into()),
            _ => Ok(()),
        }
    }
}

/// Whoever dials, the other side signs in the same way; rustls wants it said for both.
macro_rules! signed_with_ed25519 {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("only TLS 1.3 is spoken".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            if signed.scheme != SignatureScheme::ED25519 {
                return Err(PeerIncompatible::NoSignatureSchemesInCommon.into());
            }
            verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.certificate(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    signed_with_ed25519!();
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.certificate(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    signed_with_ed25519!();
}
