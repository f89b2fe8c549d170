//! qshare finds a file by name on any network of machines and pulls it, verified and encrypted,
//! from everyone who has it at once.
//!
//! Floors, each importing only from those below it:
//! `cli → node → actors → { io | logic } → wire → model`; `config` and `metrics` are leaves.
//! `docs/architecture.md` tells the whole; a test keeps the floors.

pub mod actors;
pub mod io;
pub mod logic;
pub mod model;
pub mod wire;
