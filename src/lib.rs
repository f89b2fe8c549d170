//! qshare finds a file by name on any network of machines and pulls it, verified and encrypted,
//! from everyone who has it at once.
//!
//! Floors, each importing only from those below it:
//! `cli → node → actors → { io | logic } → wire → model`; `config` is a leaf.
//! `docs/architecture.md` tells the whole; a test keeps the floors.
//!
//! Programs use [`node`]: two nodes, of which one offers a file and the other fetches it by a word.
//!
//! ```
//! use qshare::model::Query;
//! use qshare::node::{Event, GetRequest, Home, Lifetime, Node, Options, SurveyOptions, What, survey};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! std::fs::write(dir.path().join("notes.txt"), "we meet at noon")?;
//! let options = Options::new(Home::at(dir.path().join("anna"))).lifetime(Lifetime::LongRunning);
//! let (anna, mut events) = Node::start(options).await?;
//! anna.share(survey(&[dir.path().join("notes.txt")], &SurveyOptions::default())?);
//! while !matches!(events.recv().await, Some(Event::Offer { .. }) | None) {}
//!
//! let at_anna = format!("{}@{}", anna.id(), anna.addr()).parse()?;
//! let (bob, _events) = Node::start(Options::new(Home::at(dir.path().join("bob"))).peers([at_anna])).await?;
//! let wish = GetRequest::new(What::Words(Query::parse(&["notes"])?)).output(dir.path().join("copy.txt"));
//! assert_eq!(bob.get(wish).finish().await?.bytes, 15);
//! # bob.stop().await;
//! # anna.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Nodes on the local network are found by multicast where [`node::Near::lan`] names the `qshare` program: it is run as a child
//! that listens there, because what arrives from a network must be bounded by the limits of a process (`io::net::lan::daemon`).
//! Without it a node knows its trackers, peers and friends, and whom these tell of.

// What only the project's own tests and benches reach is not part of the crate: the feature `lab` opens it to them. Without
// it the compiler sees what nobody uses.
#![cfg_attr(not(feature = "lab"), allow(unreachable_pub, reason = "public within the lab"))]

pub mod cli;
pub mod config;
pub mod model;
pub mod node;

// Written out, for what a macro names `cargo fmt` does not find.
#[cfg(feature = "lab")]
pub mod actors;
#[cfg(not(feature = "lab"))]
mod actors;
#[cfg(feature = "lab")]
pub mod io;
#[cfg(not(feature = "lab"))]
mod io;
#[cfg(feature = "lab")]
pub mod logic;
#[cfg(not(feature = "lab"))]
mod logic;
#[cfg(feature = "lab")]
pub mod wire;
#[cfg(not(feature = "lab"))]
mod wire;
