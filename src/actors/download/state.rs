//! What a Download owns, and what it makes of each message.

mod candidates;
mod ending;
mod orders;
mod progress;
mod sides;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use self::candidates::Candidates;
use self::ending::Outlook;
pub use self::ending::{Shortfall, Trouble};
use self::orders::Running;
use self::progress::Tallies;
pub use self::progress::{DownloadNotice, Hashing, Phase, Progress, ProviderProgress, Tell};
use self::sides::Width;
use super::{DownloadError, Ending, Message, SOON};
use crate::actors::connections::ConnectionsRef;
use crate::actors::download::clocks::Clocks;
use crate::actors::download::fetch::{FetchContext, WRITERS, from_kin, verify};
use crate::actors::download::source::PartialSource;
use crate::actors::download::supervisor;
use crate::actors::limits::buffers::BufferPool;
use crate::actors::limits::throttle::Throttle;
use crate::io::receive::partial::PartialError;
use crate::logic::patience::{Awake, ByteNews, Patience};
use crate::logic::transfer::files::Files;
use crate::logic::transfer::{Input, RequestId, Settings, Transfer};
use crate::model::units::UnitPlace;
use crate::model::{Bitfield, NodeId, Rate, UnitMap};
use crate::wire::HaveEvent;

/// Bytes after which a checkpoint is written.
const CHECKPOINT_BYTES: u64 = 256 << 20;
/// The same as a time.
const CHECKPOINT_TIME: Duration = Duration::from_secs(5);
/// All buffers of a transfer together: as much as it may ask for.
const BUFFERS: u64 = 64 << 20;
/// The least size of a buffer: many small units share one.
const BUFFER: u64 = 512 << 10;

/// How a transfer is to be fetched.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The most bytes a second that it takes; may change.
    pub throttle: Throttle,
    /// With no news for so long it ends incomplete.
    pub wait: Duration,
    /// Connections to each provider; else as many as there is use for.
    pub connections: Option<NonZeroU8>,
    /// Begin at the beginning, because somebody reads the bytes as they come.
    pub in_order: bool,
    /// Whether whoever takes its offer back may offer it again.
    pub returns: bool,
    /// Decides ties; drawn at random.
    pub seed: u64,
}

/// What a Download is started with.
pub(crate) struct Arguments {
    pub(crate) source: Arc<PartialSource>,
    pub(crate) claimed: Bitfield,
    pub(crate) terms: Terms,
    pub(crate) barred: HashSet<NodeId>,
    pub(crate) connections: ConnectionsRef,
    pub(crate) supervisor: ActorRef<supervisor::Message>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) tell: Tell,
    pub(crate) ended: oneshot::Sender<Result<Ending, DownloadError>>,
}

/// The actor's state.
pub(crate) struct State {
    myself: ActorRef<Message>,
    transfer: Transfer,
    context: Arc<FetchContext>,
    connections: ConnectionsRef,
    supervisor: ActorRef<supervisor::Message>,
    started: Instant,
    /// Time as the logic counts it: none passes while the process is stopped.
    awake: Awake,
    tasks: JoinSet<()>,
    candidates: Candidates,
    running: HashMap<RequestId, Running>,
    tallies: Tallies,
    width: Width,
    checkpoint: Checkpoint,
    patience: Patience,
    arrivals: ByteNews,
    outlook: Outlook,
    /// Whether whoever takes its offer back may offer it again.
    returns: bool,
    last_tick: Instant,
    /// A look before the next tick is due already.
    looks: bool,
    idle: Duration,
    ending: bool,
    ended: Option<oneshot::Sender<Result<Ending, DownloadError>>>,
}

struct Checkpoint {
    at: Instant,
    bytes: u64,
    under_way: bool,
}

impl State {
    pub(super) fn new(myself: ActorRef<Message>, args: Arguments) -> Self {
        let terms = args.terms;
        let wanted = Arc::clone(args.source.partial.wanted());
        let units = args.source.partial.wanted_units();
        let lists = args.source.lists().into_keys().collect();
        let limit = terms.throttle.rate().map(Rate::get);
        let settings = Settings { limit, scatter: !terms.in_order, ..Settings::new(terms.seed) };
        let kin = args.source.all_units_of_kin();
        let mut claimed = args.claimed.clone();
        for unit in &kin {
            claimed.set(*unit);
        }
        let transfer = Transfer::new(Arc::clone(&wanted.map), &units, &claimed, &lists, settings);
        let total = units.iter().map(|unit| wanted.map.len(unit)).sum();
        let files = Files::new(&wanted.map, &units);
        let context = Arc::new(FetchContext {
            buffers: pool(&wanted.map),
            wanted,
            source: args.source,
            throttle: terms.throttle,
            writers: Arc::new(Semaphore::new(WRITERS as usize)),
            clocks: Clocks::start(),
            actor: myself.clone(),
        });
        let now = Instant::now();
        let mut state = Self {
            myself,
            transfer,
            context,
            connections: args.connections,
            supervisor: args.supervisor,
            started: now,
            awake: Awake::default(),
            tasks: JoinSet::new(),
            candidates: Candidates::new(args.barred),
            running: HashMap::new(),
            tallies: Tallies::new(args.progress, args.tell, total, files),
            width: Width::new(terms.connections),
            checkpoint: Checkpoint { at: now, bytes: 0, under_way: false },
            patience: Patience::new(terms.wait, Duration::ZERO),
            arrivals: ByteNews::default(),
            outlook: Outlook::Open,
            returns: terms.returns,
            last_tick: now,
            looks: false,
            idle: Duration::ZERO,
            ending: false,
            ended: Some(args.ended),
        };
        state.tasks.spawn(verify(Arc::clone(&state.context), args.claimed));
        state.tasks.spawn(from_kin(Arc::clone(&state.context), kin));
        state.input(Input::Tick);
        state.show();
        state
    }

    /// Time as the logic counts it.
    pub(super) fn now(&self) -> Duration {
        self.awake.at(self.started.elapsed())
    }

    /// Tells the logic and does what it orders.
    pub(super) fn input(&mut self, input: Input) {
        if self.ending {
            return;
        }
        if let Input::Ended { request, .. } | Input::Fault { request, .. } = &input {
            self.sample(*request);
        }
        if matches!(input, Input::Verified { .. }) {
            self.news();
        }
        if let Input::Ended { request, .. } = &input {
            self.running.remove(request);
        }
        let outputs = self.transfer.handle(input, self.now());
        outputs.into_iter().for_each(|output| self.obey(output));
        if !self.ending && self.transfer.somebody_idles(self.now()) && !std::mem::replace(&mut self.looks, true) {
            // Ends by itself when the actor has ended.
            drop(self.myself.send_after(SOON, || Message::Look));
        }
    }

    /// Tells the transfer what has come and that time has passed.
    fn look(&mut self) {
        let requests: Vec<_> = self.running.keys().copied().collect();
        for request in requests {
            if self.sample(request) {
                self.news();
            }
        }
        self.input(Input::Tick);
    }

    pub(super) fn look_soon(&mut self) {
        self.looks = false;
        self.look();
    }

    fn news(&mut self) {
        let now = self.now();
        self.patience.news(now);
    }

    pub(super) fn on_have(&mut self, node: NodeId, event: HaveEvent) {
        if !event.gone {
            self.candidates.granted(node);
        }
        if event.executable {
            self.context.source.set_executable();
        }
        self.input(Input::Have { node, event });
    }

    /// These offer something else under its name by now.
    pub(super) fn on_changed(&mut self, nodes: &[NodeId]) {
        let now = self.now();
        self.candidates.changed(nodes, now);
    }

    pub(super) fn on_proven(&mut self, request: RequestId, node: NodeId, units: &[UnitPlace]) {
        self.count(node, units);
        self.sample(request);
        self.input(Input::Proven { request, units: units.iter().map(|place| place.unit).collect() });
    }

    pub(super) fn on_list(&mut self, request: RequestId, file: usize) {
        self.sample(request);
        let kin = self.context.source.units_of_kin(file);
        if !kin.is_empty() {
            self.input(Input::Claimed { units: kin.clone() });
            self.tasks.spawn(from_kin(Arc::clone(&self.context), kin));
        }
        self.input(Input::ListKnown { request, file });
    }

    /// Counts what was not there before to whoever brought it.
    fn count(&mut self, node: NodeId, units: &[UnitPlace]) {
        let new = units.iter().filter(|place| !self.transfer.has(place.unit));
        let bytes = new.map(|place| place.len).sum();
        let now = self.now();
        self.tallies.proven(node, bytes, now);
        self.candidates.healthy(node);
        self.checkpoint.bytes += bytes;
        self.arrivals.proven();
        self.news();
    }

    pub(super) fn on_tick(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        if self.ending {
            return;
        }
        let passed = std::mem::replace(&mut self.last_tick, Instant::now()).elapsed();
        if self.running.is_empty() {
            self.idle += passed;
        }
        if self.awake.tick(self.started.elapsed()) {
            tracing::debug!("the process was stopped for a while: everybody is dialled again");
            self.candidates.wake();
        }
        self.transfer.set_limit(self.context.throttle.rate().map(Rate::get));
        self.held();
        self.look();
        self.look_ahead();
        self.dial_rested();
        self.widen();
        self.checkpoint_if_due();
        self.show();
        self.end_if_hopeless();
    }

    /// While this side takes nothing, nobody is silent, and nobody is waited for.
    fn held(&mut self) {
        let (held, now) = (self.context.clocks.held(), self.now());
        let longest = held.iter().map(|(_, time)| *time).max().unwrap_or_default();
        self.patience.held(longest, now);
        held.into_iter().for_each(|(node, time)| self.input(Input::Held { node, time }));
    }

    /// Takes the bytes that a request has received since the last time; says whether they are news: what trickles, or keeps
    /// coming and never proves right, must not keep a transfer waiting for ever.
    fn sample(&mut self, request: RequestId) -> bool {
        let Some(running) = self.running.get_mut(&request) else { return false };
        let (bytes, node) = (running.news(), running.link.peer());
        if bytes > 0 && !self.ending {
            let now = self.now();
            let outputs = self.transfer.handle(Input::Bytes { request, bytes }, now);
            outputs.into_iter().for_each(|output| self.obey(output));
        }
        bytes > 0 && self.candidates.is_trusted(node) && self.arrivals.came(bytes, self.now())
    }

    fn checkpoint_if_due(&mut self) {
        let check = &mut self.checkpoint;
        let due = check.bytes >= CHECKPOINT_BYTES || (check.bytes > 0 && check.at.elapsed() >= CHECKPOINT_TIME);
        if !due || check.under_way || self.ending {
            return;
        }
        *check = Checkpoint { at: Instant::now(), bytes: 0, under_way: true };
        let (context, myself) = (Arc::clone(&self.context), self.myself.clone());
        self.tasks.spawn(async move {
            let done = checkpoint(context).await;
            // A transfer that has ended writes its own.
            let _ = myself.cast(Message::Checkpointed(done));
        });
    }

    pub(super) fn on_checkpoint(&mut self, done: Result<(), PartialError>) {
        self.checkpoint.under_way = false;
        self.checkpoint.at = Instant::now();
        if let Err(error) = done {
            self.end(Err(error));
        }
    }

    /// Stops asking, lets what is being written settle, and then ends.
    pub(super) fn end(&mut self, how: Result<Ending, PartialError>) {
        if std::mem::replace(&mut self.ending, true) {
            return;
        }
        self.show();
        self.running.drain().for_each(|(_, running)| running.abort());
        self.candidates.stop();
        let (context, myself) = (Arc::clone(&self.context), self.myself.clone());
        self.tasks.spawn(async move {
            // All permits: nothing is being written any more.
            let _quiet = context.writers.acquire_many(WRITERS).await;
            let how = match how {
                Ok(Ending::Complete) => Ok(Ending::Complete),
                Ok(other) => checkpoint(Arc::clone(&context)).await.map(|()| other),
                Err(error) => Err(error),
            };
            // Nobody else ends this actor.
            let _ = myself.cast(Message::Settled(how));
        });
    }

    pub(super) fn on_settled(&mut self, how: Result<Ending, PartialError>) {
        self.show();
        if let Some(ended) = self.ended.take() {
            // Whoever started it may have lost interest.
            let _ = ended.send(how.map_err(DownloadError::from));
        }
        self.myself.stop(None);
    }
}

async fn checkpoint(context: Arc<FetchContext>) -> Result<(), PartialError> {
    let partial = Arc::clone(&context.source.partial);
    spawn_blocking(move || partial.checkpoint()).await.unwrap_or(Ok(()))
}

/// Buffers that each hold the largest unit.
fn pool(map: &UnitMap) -> BufferPool {
    let largest = map.files().iter().map(|f| f.layout.chunk_size().min(f.layout.size())).max().unwrap_or(0);
    let size = largest.max(BUFFER);
    let count = BUFFERS / size;
    BufferPool::new(usize::try_from(count).unwrap_or(1).max(2), usize::try_from(size).unwrap_or(1))
}
