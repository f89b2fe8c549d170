//! Whom an error is about, in sentences.

use std::fmt;

use crate::model::Shown;

/// Whom an error is about, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// `bench`, `peer` or `tracker`.
    pub role: &'static str,
    /// `HOST:PORT`, or a node id.
    pub at: String,
}

impl Who {
    /// A bench at `HOST:PORT`.
    #[must_use]
    pub fn bench(at: impl fmt::Display) -> Self {
        Self { role: "bench", at: at.to_string() }
    }

    /// A peer at `HOST:PORT` or with an id.
    #[must_use]
    pub fn peer(at: impl fmt::Display) -> Self {
        Self { role: "peer", at: at.to_string() }
    }

    /// A tracker at `HOST:PORT`.
    #[must_use]
    pub fn tracker(at: impl fmt::Display) -> Self {
        Self { role: "tracker", at: at.to_string() }
    }

    /// The port in sentences about it.
    pub(super) fn port(&self) -> &str {
        self.at.rsplit_once(':').map_or("4917", |(_, port)| port)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, Shown(&self.at))
    }
}
