//! qshare finds a file by name on any network of machines and pulls it, verified and encrypted,
//! from everyone who has it at once.
//!
//! Floors, each importing only from those below it:
//! `cli → node → actors → { io | logic } → wire → model`; `config` is a leaf.
//! `docs/architecture.md` tells the whole; a test keeps the floors.

pub mod actors;
pub mod cli;
pub mod config;
pub mod io;
pub mod logic;
pub mod model;
pub mod node;
pub mod wire;
