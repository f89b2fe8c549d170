//! Adapters, one outside thing per file; no policy.

pub mod accepts;
pub mod dest;
pub mod existing;
pub mod journal;
pub mod partial;
pub mod publish;
pub mod source;
pub mod space;
