//! Adapters, one outside thing per file; no policy.

pub mod cache;
pub mod dial;
pub mod endpoint;
pub mod frames;
pub mod gate;
pub mod hash;
pub mod home;
pub mod identity;
pub mod interfaces;
pub mod link;
pub mod resolve;
pub mod scan;
pub mod secret;
pub mod secrets;
pub mod shared_source;
pub mod source;
pub mod stamp;
pub mod tls;
pub mod transport;
pub mod trust;
pub mod udp;
pub mod watch;
