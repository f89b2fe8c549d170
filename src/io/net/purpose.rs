//! What a connection is for: its ALPN says so, before anything is sent on it.

use quinn::Connection;
use quinn::crypto::rustls::HandshakeData;

use crate::wire::limits::{ALPN, CONTROL_ALPN, PROBE_ALPN, SIDE_ALPN};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Commands of the same home, on a socket of its own: no link between nodes.
    Control,
    /// Everything, for both ends; between two nodes one of these stays.
    Link,
    /// To see who answers.
    Probe,
    /// Requests of whoever dialled, beside the link: from another socket, for more than one core can move.
    Side,
}

impl Purpose {
    /// All that the public socket answers.
    pub const ALL: [Self; 3] = [Self::Link, Self::Probe, Self::Side];

    /// The name of its protocol.
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Control => CONTROL_ALPN,
            Self::Link => ALPN,
            Self::Probe => PROBE_ALPN,
            Self::Side => SIDE_ALPN,
        }
    }

    /// What an established connection is for; `None` when its protocol is none of these.
    pub(crate) fn of(connection: &Connection) -> Option<Self> {
        let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
        let protocol = data.and_then(|data| data.protocol);
        Self::ALL.into_iter().find(|purpose| protocol.as_deref() == Some(purpose.alpn()))
    }
}
