//! Whom an error is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Shown;
use crate::wire::Role;

/// Whom an error is about, as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// What it is taken for.
    pub role: Role,
    /// `HOST:PORT`, or a node id.
    pub at: String,
}

impl Who {
    /// A bench at `HOST:PORT`.
    #[must_use]
    pub fn bench(at: impl fmt::Display) -> Self {
        Self { role: Role::Bench, at: at.to_string() }
    }

    /// A peer at `HOST:PORT` or with an id.
    #[must_use]
    pub fn peer(at: impl fmt::Display) -> Self {
        Self { role: Role::Node, at: at.to_string() }
    }

    /// A tracker at `HOST:PORT`.
    #[must_use]
    pub fn tracker(at: impl fmt::Display) -> Self {
        Self { role: Role::Tracker, at: at.to_string() }
    }

    /// A role as errors name it.
    #[must_use]
    pub const fn word(role: Role) -> &'static str {
        match role {
            Role::Bench => "bench",
            Role::Node => "peer",
            Role::Tracker => "tracker",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Self::word(self.role), Shown(&self.at))
    }
}

/// Who was asked in vain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Whom {
    /// Trackers and peers.
    pub places: Vec<Who>,
    /// How many nodes near this one, where those were asked, too.
    pub near: Option<usize>,
    /// What is spelled nearly so was looked for, too, and not all have answered that.
    pub unfinished: bool,
}

impl Whom {
    /// Whether there was nobody who could have been asked.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.places.is_empty() && self.near.unwrap_or_default() == 0
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.places.as_slice() {
            [] if self.near.is_none() => f.write_str("this node itself")?,
            [] => {}
            [one] => one.fmt(f)?,
            many => write!(f, "{} places", many.len())?,
        }
        let and = if self.places.is_empty() { "" } else { " and " };
        match self.near {
            None => Ok(()),
            Some(0) => write!(f, "{and}the nodes near this one, of which there are none"),
            Some(_) => write!(f, "{and}the nodes near this one"),
        }
    }
}
