//! Adapters, one outside thing per file; no policy.

pub mod cache;
pub mod hash;
pub mod scan;
pub mod secrets;
pub mod shared_source;
pub mod source;
pub mod stamp;
pub mod watch;
