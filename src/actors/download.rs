//! The Download actor: one transfer's decisions, its providers and its requests under way.
//! Invariant: no byte passes here; every task belongs to the state and ends with it.
//! Not responsible for opening or publishing the partial file, nor for finding providers: who starts it is.

pub mod clocks;
pub mod fetch;
pub mod have;
pub mod source;
mod state;
pub mod supervisor;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ractor::{ActorRef, RpcReplyPort};
use serde::{Deserialize, Serialize};

use crate::actors::connections::ConnectError;
use crate::actors::start::{Handled, Owner};
use crate::io::net::frames::CallError;
use crate::io::net::link::Link;
use crate::io::receive::partial::PartialError;
use crate::logic::transfer::{Input, RequestId};
use crate::model::units::UnitPlace;
use crate::model::{NodeId, Provider};
use crate::wire::HaveEvent;

pub(crate) use state::{Arguments, State};
pub use state::{DownloadNotice, Hashing, Phase, Progress, ProviderProgress, Shortfall, Tell, Terms, Trouble};

/// How often time is told to the transfer and progress is sampled.
const TICK: Duration = Duration::from_millis(100);
/// The same while somebody has nothing to do and others still owe: a short transfer is not to wait for a tick.
const SOON: Duration = Duration::from_millis(3);

/// What a transfer is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// End it; what was proven is kept.
    Cancel,
    /// These offer something else under its name by now.
    Changed(Vec<NodeId>),
    /// A checkpoint is written, or could not be.
    Checkpointed(Result<(), PartialError>),
    /// The disk refused.
    Failed(PartialError),
    /// What a provider has.
    Have(NodeId, HaveEvent, RpcReplyPort<()>),
    /// For the transfer's logic.
    Input(Input),
    /// A dial ended.
    Linked(NodeId, Result<Link, ConnectError>),
    /// A chunk list merges to its file's id and is kept.
    ListKnown { request: RequestId, file: usize },
    /// Time has passed, and somebody has nothing to do.
    Look,
    /// A peer takes part in the transfer and has something, or will.
    Participant(Link, RpcReplyPort<()>),
    /// Units are proven and written.
    Proven { request: RequestId, node: NodeId, units: Vec<UnitPlace> },
    /// Who may have it.
    Providers(Vec<Provider>),
    /// Everything that was under way has settled: the actor can end.
    Settled(Result<Ending, PartialError>),
    /// Time has passed.
    Tick,
    /// A provider's Watch stream is over.
    WatchEnded { link: Link, error: Option<CallError> },
    /// The side connections of a link are there, as many as could be had.
    Widened(Link, Vec<Link>),
}

/// How a transfer ended, if not by a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was cancelled; what was proven is kept.
    Cancelled,
    /// Everything wanted is there.
    Complete,
    /// Nothing came for as long as was to be waited, or nobody is left who could give the rest; what was proven is kept.
    Incomplete(Shortfall),
}

/// Why a transfer failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DownloadError {
    /// The disk refused.
    #[error(transparent)]
    Partial(#[from] PartialError),
    /// The transfer's actor failed; the node lives.
    #[error("the transfer stopped because of a fault in the program")]
    Stopped,
}

impl Owner for State {
    type Message = Message;
    type Arguments = Box<Arguments>;

    fn begin(myself: &ActorRef<Message>, arguments: Box<Arguments>) -> Handled<Self> {
        // Ends by itself when the actor has ended.
        drop(myself.send_interval(TICK, || Message::Tick));
        Ok(Self::new(myself.clone(), *arguments))
    }

    fn handle(&mut self, message: Message, _: &ActorRef<Message>) -> Handled {
        match message {
            Message::Cancel => self.end(Ok(Ending::Cancelled)),
            Message::Changed(nodes) => self.on_changed(&nodes),
            Message::Checkpointed(done) => self.on_checkpoint(done),
            Message::Failed(error) => self.end(Err(error)),
            Message::Have(node, event, reply) => {
                self.on_have(node, event);
                // Whoever waits for the reply may have been aborted.
                let _ = reply.send(());
            }
            Message::Input(input) => self.input(input),
            Message::Linked(node, result) => self.on_linked(node, result),
            Message::ListKnown { request, file } => self.on_list(request, file),
            Message::Look => self.look_soon(),
            Message::Participant(link, reply) => {
                self.on_participant(link);
                // Whoever waits for the reply may have been aborted.
                let _ = reply.send(());
            }
            Message::Proven { request, node, units } => self.on_proven(request, node, &units),
            Message::Providers(providers) => self.on_providers(providers),
            Message::Settled(result) => self.on_settled(result),
            Message::Tick => self.on_tick(),
            Message::WatchEnded { link, error } => self.on_watch_ended(&link, error.as_ref()),
            Message::Widened(link, sides) => self.on_widened(&link, sides),
        }
        Ok(())
    }
}
