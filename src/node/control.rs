//! One running node, many commands: the node's control socket, and how a command asks through it.
//! Each request has a stream: one frame that asks, then frames that tell on the way, then the answer. What is fixed for ever is
//! `wire/control.rs`; everything else is here, and both ends must have one version of it.

mod asker;
mod board;
mod fetch;
mod followed;
pub(super) mod jobs;
mod puts;
mod remote;
mod request;
mod server;
mod shares;
mod sharing;
mod status;

use std::sync::Arc;

use quinn::SendStream;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::io::home::control::{ControlFile, Whereabouts};
use crate::io::net::frames::{self, CallError};
use crate::model::Cause;
use crate::node::Node;
use crate::node::host::EVENTS;
use crate::node::types::{Event, Notice};
use crate::wire::Role;
use crate::wire::limits::PAGE;

use board::Board;
use request::Told;
use server::Server;

pub use asker::Asker;
pub use board::Fetched;
pub use jobs::{KeptJob, kept_in};
pub use puts::Put;
pub use remote::{Followed, Remote};
pub use shares::SharedRow;
pub use sharing::{Heard, Sharing};

/// Begins to answer the commands of the home, where this node has it, and gives what the node reports.
pub(super) fn listen(node: &Node, from: mpsc::Receiver<Event>) -> mpsc::Receiver<Event> {
    if node.guest.is_some() {
        return from;
    }
    let board = Arc::<Board>::default();
    let (to, events) = mpsc::channel(EVENTS);
    node.inner.run(Arc::clone(&board).pass_on(from, to));
    if let Err(cause) = open(node, board) {
        node.inner.host.warn(Notice::NoControl(cause));
    }
    events
}

fn open(node: &Node, board: Arc<Board>) -> Result<(), Cause> {
    let other = |error: String| Cause::from(std::io::Error::other(error));
    let socket = node.endpoint.control().map_err(|error| other(error.to_string()))?;
    let file = ControlFile::at(&node.home.role_dir(Role::Node));
    file.write(&Whereabouts::here(socket.local_addr()))?;
    // Set once: a node listens once.
    let _ = node.control.set(socket.clone());
    node.inner.run(Arc::new(Server::new(Arc::downgrade(&node.inner), board)).run(socket));
    Ok(())
}

/// The end of what was asked for.
async fn answer_with(to: &mut SendStream, answer: Vec<u8>) -> Result<(), CallError> {
    frames::send(to, &Told::Answer(answer.len() as u64), PAGE).await?;
    frames::write(to, answer.into()).await
}

/// Plain values always can be.
fn packed<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap_or_default()
}
