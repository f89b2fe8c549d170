//! Adapters, one outside thing per file; no policy.

pub mod dial;
pub mod endpoint;
pub mod frames;
pub mod gate;
pub mod home;
pub mod identity;
pub mod interfaces;
pub mod link;
pub mod resolve;
pub mod secret;
pub mod source;
pub mod tls;
pub mod transport;
pub mod trust;
pub mod udp;
