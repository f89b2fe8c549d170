//! What is offered: walked, hashed, watched, and opened to be served.

pub mod cache;
pub mod handover;
pub mod hash;
pub mod scan;
pub mod secrets;
pub mod shared_source;
pub mod source;
pub mod stamp;
pub mod watch;
