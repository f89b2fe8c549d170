//! Who a node is: an Ed25519 key in its home, and the keys that outlive a process of it.
//! Invariant: the node id is BLAKE3 of the public key that the certificate carries. A guest has an identity in
//! memory only.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;
use serde::{Deserialize, Serialize};

use crate::io::home::secret;
use crate::model::{Cause, LocalPath, NodeId};

/// The file with the key, in PEM, within a role's directory.
pub const KEY_FILE: &str = "identity.key";
/// The file with the transport's long-term secret, within a role's directory.
pub const TRANSPORT_FILE: &str = "transport.key";

/// The DER of an Ed25519 SubjectPublicKeyInfo up to the 32 bytes of the key (RFC 8410, section 4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum IdentityError {
    /// The file system refused.
    #[error("the key file {} cannot be read or written ({cause})", path.display())]
    Io {
        /// Which file.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// The file is not such a key.
    #[error("{path} is not a key that this program made ({cause})", path = path.display())]
    Malformed {
        /// Which file.
        path: LocalPath,
        /// Why.
        cause: String,
    },
    /// No key could be made.
    #[error("no key can be made: {0}")]
    Generate(String),
}

/// Why a certificate is not a node's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be parsed.
    #[error("the certificate is malformed")]
    Malformed,
    /// Its key is not an Ed25519 key.
    #[error("the certificate's key is not an Ed25519 key")]
    WrongKeyType,
}

/// A key pair with its certificate and id.
pub struct Identity {
    node_id: NodeId,
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// The identity of a role's directory; made at first use.
    ///
    /// # Errors
    /// When the key file cannot be read, written or understood.
    pub fn load_or_create(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(KEY_FILE);
        let make = || Ok(generate().map_err(io::Error::other)?.serialize_pem().into_bytes());
        let pem = secret::read_or_create(&path, make)
            .map_err(|e| IdentityError::Io { path: path.clone().into(), cause: e.into() })?;
        let malformed = |cause: String| IdentityError::Malformed { path: path.clone().into(), cause };
        if pem.is_empty() {
            return Err(malformed("it is empty".into()));
        }
        let pem = String::from_utf8(pem).map_err(|_| malformed("it is not text".into()))?;
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_ED25519).map_err(|e| malformed(e.to_string()))?;
        Self::of_key(&key).map_err(|error| malformed(error.to_string()))
    }

    /// The identity of a role's directory, if it has been made.
    ///
    /// # Errors
    /// When the key file cannot be read or understood.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        dir.join(KEY_FILE).exists().then(|| Self::load_or_create(dir)).transpose()
    }

    /// A new identity that is never written anywhere.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        generate().and_then(|key| Self::of_key(&key)).map_err(|error| IdentityError::Generate(error.to_string()))
    }

    /// BLAKE3 of the public key.
    pub const fn node_id(&self) -> NodeId {
        self.node_id
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub(crate) fn key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.clone_key()
    }

    fn of_key(key: &KeyPair) -> Result<Self, rcgen::Error> {
        let certificate = CertificateParams::new(Vec::new())?.self_signed(key)?.der().clone();
        let node_id = node_id(&certificate).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        Ok(Self { node_id, certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()) })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.node_id).finish()
    }
}

/// The node id of a certificate.
///
/// # Errors
/// When it cannot be parsed or its key is not an Ed25519 key.
pub fn node_id(certificate: &CertificateDer<'_>) -> Result<NodeId, CertificateError> {
    let parsed = ParsedCertificate::try_from(certificate).map_err(|_| CertificateError::Malformed)?;
    let spki = parsed.subject_public_key_info();
    if spki.len() != ED25519_SPKI.len() + 32 || !spki.starts_with(&ED25519_SPKI) {
        return Err(CertificateError::WrongKeyType);
    }
    Ok(NodeId::of_public_key(&spki))
}

fn generate() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ED25519)
}

/// The secret from which the transport's keys are derived. Kept in the home, a restarted process recognises the
/// connections of the one before and says at once that they are gone.
#[derive(Clone)]
pub struct LongTermKeys {
    secret: [u8; 32],
    /// A file that held something else.
    torn: Option<(PathBuf, usize)>,
}

impl LongTermKeys {
    /// The keys of a role's directory; made at first use, and made anew where the file holds something else: nothing else
    /// hangs on them than how soon peers notice a restart.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn load_or_create(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(TRANSPORT_FILE);
        let failed = |cause: io::Error| IdentityError::Io { path: path.clone().into(), cause: cause.into() };
        let bytes = secret::read_or_create(&path, || Ok(random()?.to_vec())).map_err(failed)?;
        let len = bytes.len();
        if let Ok(secret) = bytes.try_into() {
            return Ok(Self { secret, torn: None });
        }
        let secret = random().map_err(failed)?;
        secret::replace(&path, &secret).map_err(failed)?;
        Ok(Self { secret, torn: Some((path, len)) })
    }

    /// New keys that are never written anywhere.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        let secret = random().map_err(|error| IdentityError::Generate(error.to_string()))?;
        Ok(Self { secret, torn: None })
    }

    /// A file that was torn and has been made anew, and how many bytes it had.
    pub const fn renewed(&self) -> Option<&(PathBuf, usize)> {
        self.torn.as_ref()
    }

    /// Signs stateless resets.
    pub(crate) fn reset(&self) -> ring::hmac::Key {
        ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.derive("qshare 2026-11 stateless reset"))
    }

    /// Seals address-validation tokens.
    pub(crate) fn token(&self) -> ring::hkdf::Prk {
        let salt = ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]);
        salt.extract(&self.derive("qshare 2026-11 address token"))
    }

    /// Marks connection ids as ours.
    pub(crate) fn connection_id(&self) -> u64 {
        let derived = self.derive("qshare 2026-11 connection id");
        derived.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn derive(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.secret)
    }
}

impl fmt::Debug for LongTermKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LongTermKeys")
    }
}

fn random() -> io::Result<[u8; 32]> {
    let random = ring::rand::generate::<[u8; 32]>(&ring::rand::SystemRandom::new());
    random.map(ring::rand::Random::expose).map_err(|_| io::Error::other("the system has no randomness"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_in_its_directory() {
        let dir = tempfile::tempdir().expect("tempdir");
        let first = Identity::load_or_create(dir.path()).expect("made");
        let again = Identity::load_or_create(dir.path()).expect("read");
        assert_eq!(first.node_id(), again.node_id());
        assert_ne!(first.node_id(), Identity::ephemeral().expect("made").node_id());
        assert!(!format!("{first:?}").contains("PRIVATE"));
    }

    #[test]
    fn transport_keys_survive_in_their_directory() {
        let dir = tempfile::tempdir().expect("tempdir");
        let id = |keys: LongTermKeys| keys.connection_id();
        let first = id(LongTermKeys::load_or_create(dir.path()).expect("made"));
        assert_eq!(first, id(LongTermKeys::load_or_create(dir.path()).expect("read")));
        assert_ne!(first, id(LongTermKeys::ephemeral().expect("made")));
    }

    #[test]
    fn a_broken_key_is_named_and_kept() {
        let dir = tempfile::tempdir().expect("tempdir");
        for file in [KEY_FILE, TRANSPORT_FILE] {
            std::fs::write(dir.path().join(file), "nonsense").expect("written");
        }
        let error = Identity::load_or_create(dir.path()).expect_err("broken").to_string();
        assert!(error.contains(KEY_FILE) && error.contains("is not a key that this program made"), "{error}");
        let keys = LongTermKeys::load_or_create(dir.path()).expect("made anew");
        assert_eq!(keys.renewed(), Some(&(dir.path().join(TRANSPORT_FILE), 8)));
        assert_eq!(LongTermKeys::load_or_create(dir.path()).expect("whole").renewed(), None);
        assert_eq!(std::fs::read(dir.path().join(KEY_FILE)).expect("kept"), b"nonsense");
    }

    #[test]
    fn only_ed25519_certificates_have_an_id() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("made");
        let certificate = CertificateParams::new(Vec::new()).expect("params").self_signed(&key).expect("signed");
        assert_eq!(node_id(certificate.der()), Err(CertificateError::WrongKeyType));
        assert_eq!(node_id(&CertificateDer::from(vec![0x30; 40])), Err(CertificateError::Malformed));
    }
}
