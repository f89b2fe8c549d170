//! Adapters, one outside thing per file; no policy.

pub mod clock;
pub mod cpu;
pub mod desktop;
pub mod home;
pub mod ignored;
pub mod net;
pub mod positional;
pub mod receive;
pub mod share;
