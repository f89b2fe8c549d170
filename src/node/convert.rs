//! From the errors of connections and exchanges to those of the node.

use crate::actors::connections::{ConnectError, ConnectKind};
use crate::io::net::frames::CallError;
use crate::model::NodeId;
use crate::node::error::{Error, Who};
use crate::wire::Code;

/// There is no link to a place.
pub(crate) fn connect_error(who: Who, own: NodeId, error: ConnectError) -> Error {
    match error.kind() {
        ConnectKind::Forbidden => Error::Forbidden { who, node: own },
        _ => Error::Connect { who, source: Box::new(error) },
    }
}

/// An exchange with a place failed.
pub(crate) fn call_error(who: Who, error: CallError) -> Error {
    match error {
        CallError::Refused(refusal) if refusal.code == Code::Forbidden => Error::NotAFriend { who },
        CallError::Refused(refusal) => Error::Refused { who, code: refusal.code },
        CallError::Lost(_) | CallError::TimedOut | CallError::Reset(_) => {
            Error::Unreachable { who, cause: error.into() }
        }
        CallError::Ended | CallError::Frame(_) => Error::Protocol { who, cause: error },
    }
}
