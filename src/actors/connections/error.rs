//! Why there is no link to a node, sorted by what the caller can do.

use serde::{Deserialize, Serialize};

use crate::io::home::lines::LinesError;
use crate::io::net::dial::DialError;
use crate::io::net::resolve::ResolveError;
use crate::logic::transfer::Why;
use crate::model::NodeId;
use crate::wire::{Code, Role};

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ConnectError {
    /// Another node answers than the one that was remembered.
    #[error("{host_port} answered with key {found} where {remembered} was remembered")]
    ChangedKey {
        /// As the user wrote it.
        host_port: String,
        /// Who was seen there before.
        remembered: NodeId,
        /// Who answers now.
        found: NodeId,
    },
    /// Dialling it failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The host has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The actor is gone.
    #[error("the node is stopping")]
    Stopped,
    /// What was remembered cannot be read or written.
    #[error(transparent)]
    Trust(#[from] LinesError),
    /// The node is something else.
    #[error("{host_port} is a {found}, not a {expected}", found = word(*found), expected = word(*expected))]
    WrongRole {
        /// As the user wrote it.
        host_port: String,
        /// What it is.
        found: Role,
        /// What it should be.
        expected: Role,
    },
}

/// What a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectKind {
    /// The other side does not let this node in.
    Forbidden,
    /// Another node answers than the one that was asked for, or remembered.
    OtherKey,
    /// What answers is no node.
    NotQshare,
    /// It is this node itself.
    Own,
    /// The host has no address.
    Resolve,
    /// The actor is gone.
    Stopped,
    /// What was remembered cannot be read or written.
    Trust,
    /// Nothing of use answers now; it may later.
    Unreachable,
    /// The node is something else.
    OtherRole,
}

impl ConnectError {
    /// Which kind it is of.
    pub const fn kind(&self) -> ConnectKind {
        match self {
            Self::ChangedKey { .. } | Self::Dial(DialError::WrongKey { .. }) => ConnectKind::OtherKey,
            Self::Dial(DialError::Forbidden { .. }) => ConnectKind::Forbidden,
            Self::Dial(DialError::NotQshare { .. }) => ConnectKind::NotQshare,
            Self::Dial(DialError::OwnId(_)) => ConnectKind::Own,
            Self::Dial(_) => ConnectKind::Unreachable,
            Self::Resolve(_) => ConnectKind::Resolve,
            Self::Stopped => ConnectKind::Stopped,
            Self::Trust(_) => ConnectKind::Trust,
            Self::WrongRole { .. } => ConnectKind::OtherRole,
        }
    }
}

impl From<&ConnectError> for Why {
    fn from(error: &ConnectError) -> Self {
        if error.kind() == ConnectKind::Forbidden { Self::Refused(Code::Forbidden) } else { Self::Unreachable }
    }
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::Bench => "bench",
        Role::Node => "sharing node",
        Role::Tracker => "tracker",
    }
}
