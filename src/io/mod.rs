//! Adapters, one outside thing per file; no policy.

pub mod dest;
pub mod journal;
pub mod source;
pub mod space;
