//! Adapters, one outside thing per file; no policy.

pub mod source;
