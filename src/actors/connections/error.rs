//! Why there is no link to a node, sorted by what the caller can do.

use crate::io::net::dial::DialError;
use crate::io::net::resolve::ResolveError;
use crate::model::NodeId;
use crate::wire::Role;

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Another node answers than the one that was remembered.
    #[error(
        "{host_port} answered with key {found} where {remembered} was remembered: if it was really reinstalled, run `qshare trust forget {host_port}`"
    )]
    ChangedKey {
        /// As the user wrote it.
        host_port: String,
        /// Who was seen there before.
        remembered: NodeId,
        /// Who answers now.
        found: NodeId,
    },
    /// The other side does not let this node in.
    #[error(transparent)]
    Forbidden(DialError),
    /// What answers is no node.
    #[error(transparent)]
    NotQshare(DialError),
    /// It is this node itself.
    #[error(transparent)]
    Own(DialError),
    /// The host has no address.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The actor is gone.
    #[error("the node is stopping")]
    Stopped,
    /// What was remembered cannot be read or written.
    #[error("{0}")]
    Trust(String),
    /// Nothing of use answers now; it may later.
    #[error(transparent)]
    Unreachable(DialError),
    /// Another node answers than the one that was asked for.
    #[error(transparent)]
    WrongKey(DialError),
    /// The node is something else.
    #[error("{host_port} is a {found}, not a {expected}: check the port", found = word(*found), expected = word(*expected))]
    WrongRole {
        /// As the user wrote it.
        host_port: String,
        /// What it is.
        found: Role,
        /// What it should be.
        expected: Role,
    },
}

impl From<DialError> for ConnectError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Forbidden { .. } => Self::Forbidden(error),
            DialError::NotQshare { .. } => Self::NotQshare(error),
            DialError::OwnId(_) => Self::Own(error),
            DialError::WrongKey { .. } => Self::WrongKey(error),
            _ => Self::Unreachable(error),
        }
    }
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::Bench => "bench",
        Role::Node => "sharing node",
        Role::Tracker => "tracker",
    }
}
