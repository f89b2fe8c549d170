//! The supervisor of transfers: starts a Download for each, and remembers for an hour who lied about what.
//! Invariant: a transfer that fails is reported by its own handle; the node and other transfers go on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorRef, RpcReplyPort, SpawnErr, SupervisionEvent};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::actors::connections::ConnectionsRef;
use crate::actors::download::source::PartialSource;
use crate::actors::download::{self, Arguments, DownloadError, Ending, Progress, Tell, Terms};
use crate::actors::shelf::{Serving, Shelf, Shelved};
use crate::actors::start::{Handled, spawn, start};
use crate::io::net::link::Link;
use crate::io::receive::partial::{Partial, Resumed};
use crate::io::share::source::Source;
use crate::model::{ContentId, NodeId, Provider};
use crate::wire::LeftOut;

/// How long a lie is remembered.
const BARRED: Duration = Duration::from_secs(3600);
/// Lies remembered at most; the oldest are forgotten first.
const BARS: usize = 10_000;
/// Peers that wait to be looked at by a transfer.
const PARTICIPANTS: usize = 64;

/// One transfer to be started, with its partial file open.
#[derive(Debug)]
pub struct TransferRequest {
    /// What is fetched, and where the bytes go.
    pub partial: Arc<Partial>,
    /// What an earlier run left.
    pub resumed: Resumed,
    /// Whether a single file may be executed, as others are told.
    pub executable: bool,
    /// What a collection leaves out of its directory, as those whom it is served to are told.
    pub left_out: LeftOut,
    /// How it is to be fetched.
    pub terms: Terms,
    /// Whether it is served to others from its first proven unit.
    pub share: bool,
    /// How what it has is served.
    pub serving: Serving,
    /// Whether those whom it serves may give, too: not where one node alone was named to give.
    pub open: bool,
    /// Where it shows how far it is.
    pub progress: watch::Sender<Progress>,
    /// To whom it tells what went wrong.
    pub tell: Tell,
}

/// What the supervisor is told.
#[derive(Debug)]
pub enum Message {
    /// The node lied about the content.
    Bar(NodeId, ContentId),
    /// Start a transfer.
    Start(Box<TransferRequest>, RpcReplyPort<Result<Download, SpawnErr>>),
}

/// The actor.
#[derive(Debug)]
pub struct Downloads;

/// Its state.
pub struct State {
    connections: ConnectionsRef,
    shelf: Shelf,
    bars: HashMap<(NodeId, ContentId), Instant>,
}

/// A handle to the supervisor; cheap to clone.
#[derive(Debug, Clone)]
pub struct DownloadsRef(ActorRef<Message>);

impl Downloads {
    /// Starts the supervisor.
    ///
    /// # Errors
    /// When its own supervisor is gone.
    pub async fn start(
        connections: ConnectionsRef,
        shelf: Shelf,
        supervisor: Option<ActorCell>,
    ) -> Result<DownloadsRef, SpawnErr> {
        let state = State { connections, shelf, bars: HashMap::new() };
        let (actor, _) = spawn(Self, state, supervisor).await?;
        Ok(DownloadsRef(actor))
    }
}

impl DownloadsRef {
    /// Starts a transfer.
    ///
    /// # Errors
    /// When the node is stopping.
    pub async fn start(&self, request: TransferRequest) -> Result<Download, DownloadError> {
        let started = ractor::call!(self.0, Message::Start, Box::new(request));
        started.ok().and_then(Result::ok).ok_or(DownloadError::Stopped)
    }

    /// The node lied about the content: no transfer asks it for that for an hour.
    pub fn bar(&self, node: NodeId, id: ContentId) {
        // Gone only with the node itself.
        let _ = self.0.cast(Message::Bar(node, id));
    }
}

impl Actor for Downloads {
    type Msg = Message;
    type State = State;
    type Arguments = State;

    async fn pre_start(&self, _: ActorRef<Message>, state: State) -> Handled<State> {
        Ok(state)
    }

    async fn handle(&self, myself: ActorRef<Message>, message: Message, state: &mut State) -> Handled {
        match message {
            Message::Bar(node, id) => state.bar(node, id),
            Message::Start(request, reply) => {
                let started = state.start(*request, myself).await;
                // Whoever asked may have gone; dropping the handle ends the transfer.
                let _ = reply.send(started);
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(&self, _: ActorRef<Message>, event: SupervisionEvent, _: &mut State) -> Handled {
        if let SupervisionEvent::ActorFailed(_, error) = event {
            // Its handle reports it too: the sender of its end is gone.
            tracing::error!(%error, "a transfer failed");
        }
        Ok(())
    }
}

impl State {
    fn bar(&mut self, node: NodeId, id: ContentId) {
        self.bars.retain(|_, since| since.elapsed() < BARRED);
        if self.bars.len() >= BARS {
            let oldest = self.bars.iter().min_by_key(|(_, since)| **since).map(|(key, _)| *key);
            oldest.and_then(|key| self.bars.remove(&key));
        }
        self.bars.insert((node, id), Instant::now());
    }

    fn barred(&self, id: ContentId) -> HashSet<NodeId> {
        let fresh = self.bars.iter().filter(|((_, about), since)| *about == id && since.elapsed() < BARRED);
        fresh.map(|((node, _), _)| *node).collect()
    }

    async fn start(&self, request: TransferRequest, myself: ActorRef<Message>) -> Result<Download, SpawnErr> {
        let TransferRequest { partial, resumed, executable, left_out, terms, share, serving, open, progress, tell } =
            request;
        let id = partial.wanted().content.id;
        let source = Arc::new(PartialSource::new(partial, resumed.lists, executable));
        let watched = progress.subscribe();
        let (ended, end) = oneshot::channel();
        let arguments = Arguments {
            source: Arc::clone(&source),
            claimed: resumed.units,
            terms,
            barred: self.barred(id),
            connections: self.connections.clone(),
            supervisor: myself.clone(),
            progress,
            tell,
            ended,
        };
        let (actor, _) = start::<download::State>(Box::new(arguments), Some(myself.get_cell())).await?;
        let place = share.then(|| {
            let (participants, arrivals) = mpsc::channel(PARTICIPANTS);
            if open {
                tokio::spawn(introduce(arrivals, actor.clone()));
            }
            self.shelf.place(id, Arc::clone(&source) as Arc<dyn Source>, left_out, (participants, serving))
        });
        Ok(Download { actor, source, progress: watched, end: Some(end), _place: place })
    }
}

/// Passes peers on to the transfer, one at a time, until it is off the shelf.
async fn introduce(mut arrivals: mpsc::Receiver<Link>, actor: ActorRef<download::Message>) {
    while let Some(link) = arrivals.recv().await {
        if ractor::call!(actor, download::Message::Participant, link).is_err() {
            return;
        }
    }
}

/// A transfer under way. Dropping it cancels the transfer and takes it off the shelf; what was proven is kept.
pub struct Download {
    actor: ActorRef<download::Message>,
    /// What is there, to be served or read.
    pub source: Arc<PartialSource>,
    progress: watch::Receiver<Progress>,
    end: Option<oneshot::Receiver<Result<Ending, DownloadError>>>,
    _place: Option<Shelved>,
}

impl Download {
    /// Nodes that may have the content; known ones are not harmed.
    pub fn providers(&self, providers: Vec<Provider>) {
        // A transfer that has ended needs none.
        let _ = self.actor.cast(download::Message::Providers(providers));
    }

    /// Tells it later who offers something else under its name.
    pub fn changes(&self) -> ChangeTeller {
        ChangeTeller(self.actor.clone())
    }

    /// Where it stands.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Ends it; what was proven is kept.
    pub fn cancel(&self) {
        // It may have ended already.
        let _ = self.actor.cast(download::Message::Cancel);
    }

    /// Waits for its end. When it is complete, nothing is written to the partial file any more: it can be published.
    ///
    /// # Errors
    /// When the disk refuses, or the program has a fault.
    pub async fn ended(&mut self) -> Result<Ending, DownloadError> {
        match self.end.as_mut() {
            Some(end) => {
                let ended = end.await.unwrap_or(Err(DownloadError::Stopped));
                self.end = None;
                ended
            }
            None => Err(DownloadError::Stopped),
        }
    }
}

/// Tells a transfer who offers something else under its name by now.
#[derive(Debug, Clone)]
pub struct ChangeTeller(ActorRef<download::Message>);

impl ChangeTeller {
    /// These do. Only of those that have said that they have it no longer anything follows.
    pub fn changed(&self, nodes: Vec<NodeId>) {
        // A transfer that has ended does not care.
        let _ = self.0.cast(download::Message::Changed(nodes));
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.cancel();
    }
}
