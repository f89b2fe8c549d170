//! The network: sockets, connections, frames, and who may come in.

pub mod congestion;
pub mod dial;
pub mod endpoint;
pub mod frames;
pub mod gate;
pub mod interfaces;
pub mod lan;
pub mod link;
pub(crate) mod open;
pub mod purpose;
pub mod resolve;
pub mod tls;
pub mod transport;
pub mod udp;
