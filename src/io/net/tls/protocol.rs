//! Which protocol an arrival speaks, and what follows from it: the certificate that it is shown, and how it is verified.
//! Invariant: nobody is verified by the rules of another protocol than the one that TLS agrees on. What an arrival has
//! chosen stays chosen: a second hello (RFC 8446, section 4.1.4) with another choice ends the handshake.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// A protocol that is answered.
#[derive(Debug)]
pub struct Protocol {
    /// Its name in TLS.
    pub alpn: &'static [u8],
    /// What is shown to whoever dials.
    pub certificate: Arc<CertifiedKey>,
    /// How who dials is verified; it may ask for no certificate.
    pub dialler: Arc<dyn ClientCertVerifier>,
}

/// What one arrival chooses of the protocols that are answered.
#[derive(Debug)]
pub(super) struct Choice {
    protocols: Arc<[Protocol]>,
    chosen: OnceLock<usize>,
}

impl Choice {
    pub(super) fn of(protocols: &Arc<[Protocol]>) -> Self {
        Self { protocols: Arc::clone(protocols), chosen: OnceLock::new() }
    }

    /// The certificate for who offers these protocols. The first that is answered is chosen, as TLS does next.
    fn choose(&self, offered: &[&[u8]]) -> Option<&Arc<CertifiedKey>> {
        let Some(found) = self.protocols.iter().position(|protocol| offered.contains(&protocol.alpn)) else {
            // TLS refuses it next, by the error that is for this, before any certificate is shown.
            return self.protocols.first().map(|protocol| &protocol.certificate);
        };
        let stays = *self.chosen.get_or_init(|| found) == found;
        stays.then(|| &self.protocols[found].certificate)
    }

    /// Who verifies, once it is chosen. Before that a certificate is wanted, and none is right.
    fn dialler(&self) -> Option<&dyn ClientCertVerifier> {
        self.chosen.get().map(|chosen| &*self.protocols[*chosen].dialler)
    }

    fn chosen(&self) -> Result<&dyn ClientCertVerifier, Error> {
        self.dialler().ok_or(Error::NoApplicationProtocol)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let offered: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
        self.choose(&offered).cloned()
    }
}

impl ClientCertVerifier for Choice {
    fn offer_client_auth(&self) -> bool {
        self.dialler().is_none_or(ClientCertVerifier::offer_client_auth)
    }

    fn client_auth_mandatory(&self) -> bool {
        self.dialler().is_none_or(ClientCertVerifier::client_auth_mandatory)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.dialler().map_or(&[], ClientCertVerifier::root_hint_subjects)
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.chosen()?.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chosen()?.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chosen()?.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.dialler().map_or_else(Vec::new, ClientCertVerifier::supported_verify_schemes)
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::WebPkiClientVerifier;

    use super::*;
    use crate::io::home::identity::Identity;
    use crate::io::net::tls;

    fn protocols() -> Arc<[Protocol]> {
        let identity = Identity::ephemeral().expect("identity");
        let nodes = tls::protocols(&identity).expect("a key");
        let certificate = Arc::clone(&nodes[0].certificate);
        let open = Protocol { alpn: b"open", certificate, dialler: WebPkiClientVerifier::no_client_auth() };
        nodes.into_iter().chain([open]).collect()
    }

    #[test]
    fn before_anything_is_chosen_a_certificate_is_wanted_and_none_is_right() {
        let choice = Choice::of(&protocols());
        assert!(choice.choose(&[b"h3"]).is_some(), "TLS says that there is no such protocol");
        assert!(choice.offer_client_auth() && choice.client_auth_mandatory());
        assert!(choice.supported_verify_schemes().is_empty());
        let wrong = choice.verify_client_cert(&CertificateDer::from(Vec::new()), &[], UnixTime::now());
        assert_eq!(wrong.map(drop), Err(Error::NoApplicationProtocol));
    }

    /// Else a dialler could be verified by the rules of one protocol and speak another.
    #[test]
    fn a_second_hello_chooses_nothing_else() {
        let nodes: &[u8] = b"qshare/1";
        for (first, second) in [(&b"open"[..], nodes), (nodes, b"open")] {
            let choice = Choice::of(&protocols());
            assert!(choice.choose(&[first]).is_some());
            let demands = choice.client_auth_mandatory();
            assert!(choice.choose(&[second]).is_none());
            assert_eq!(choice.client_auth_mandatory(), demands);
            assert!(choice.choose(&[b"h3", first]).is_some(), "the same again");
        }
    }
}
