//! The Index actor: owns what this node offers, the hash cache and the watch over the shared roots.
//! Invariant: the published offers and snapshot always belong together, and follow the disk within seconds.
//! Not responsible for answering peers (they use the snapshot) nor for announcing (the announcer watches the offers).

use std::path::PathBuf;
use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::{mpsc, oneshot, watch};

use crate::actors::access::Access;
use crate::actors::start::{Handled, Owner};
use crate::io::share::cache::HashCache;
use crate::io::share::handover::Handover;
use crate::io::share::scan::SharePlan;
use crate::io::share::watch::Pace;
use crate::logic::offers::reserved::Reserved;
use crate::logic::offers::table::OfferTable;
use crate::model::{ContentId, SafePath};
use crate::wire::Code;
use crate::wire::ResolveEvent;

mod catalogue;
mod collect;
mod handle;
mod hashing;
mod lookup;
mod notice;
mod outbox;
mod state;
#[cfg(test)]
mod tests;
mod waiters;

pub use catalogue::{Absence, IndexSnapshot, SharedRoot};
pub use handle::IndexRef;
pub use notice::IndexNotice;
pub use state::Seed;
use state::{IndexState, Step};

/// What the index is told.
#[derive(Debug)]
pub enum IndexMessage {
    /// A file was found to have changed when it was to be served, which the watch may not have noticed: a link made to
    /// it elsewhere changes its stamp, too.
    Stale,
    /// Hash this offer first, and tell how far it is: any number of `Hashing`, then one end.
    /// A channel of some ten events is enough; steps that find no room are left out.
    Resolve {
        /// The offer's name.
        name: SafePath,
        /// Who is told.
        tell: mpsc::Sender<ResolveEvent>,
    },
    /// Transfers of this home have put something at these paths.
    Arrived(Vec<PathBuf>),
    /// Go on sharing what was fetched; the reply comes when it can be had, or will not be.
    Seed(Box<Seed>, oneshot::Sender<bool>),
    /// Share these as well; the reply has the names that they are offered under, without those that were taken.
    Share(Box<SharePlan>, oneshot::Sender<Vec<SafePath>>),
    /// What is shared, root by root.
    Roots(oneshot::Sender<Vec<SharedRoot>>),
    /// Share what has these names no longer; the reply has those that were shared, and comes when nobody gets them any more.
    Unshare(Vec<SafePath>, oneshot::Sender<Vec<SafePath>>),
    /// From the actor's own tasks.
    Own(OwnStep),
}

/// The result of one of the actor's own tasks.
#[derive(Debug)]
pub struct OwnStep(Step);

/// What the index has to say to the person who shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexEvent {
    /// Bytes hashed of those that had to be; sampled, the last has both equal.
    Hashing {
        /// Done.
        done: u64,
        /// In all.
        total: u64,
    },
    /// A shared path has its id; again when it changes.
    Offer {
        /// The id.
        id: ContentId,
        /// The name it is offered under.
        name: SafePath,
    },
    /// Something to know.
    Notice(IndexNotice),
}

impl From<IndexNotice> for IndexEvent {
    fn from(notice: IndexNotice) -> Self {
        Self::Notice(notice)
    }
}

/// What the index works with.
#[derive(Debug)]
pub struct IndexArgs {
    /// What is shared from the start.
    pub plan: Option<SharePlan>,
    /// Ids from earlier runs; none for a guest.
    pub cache: Option<HashCache>,
    /// What transfers of this home prove; with a cache only.
    pub handover: Option<Handover>,
    /// Threads that hash; as many again hash what somebody waits for.
    pub threads: usize,
    /// How soon changes are noticed.
    pub pace: Pace,
    /// Who is told.
    pub events: mpsc::Sender<IndexEvent>,
    /// Who may know of what.
    pub access: Access,
    /// What of the offers is not for everybody: told before they are.
    pub reserved: watch::Sender<Arc<Reserved>>,
    /// What anybody may know of the offers, for announcing. Of changes of the others it tells nothing.
    pub public: watch::Sender<Arc<OfferTable>>,
    /// The offers, for searching and serving.
    pub snapshot: watch::Sender<Arc<IndexSnapshot>>,
}

/// The actor. Hashing threads and a file-system watch would cost a short command more than its own work, so they come with
/// the first thing that is shared.
#[derive(Debug)]
pub struct Index {
    waiting: Option<IndexArgs>,
    index: Option<IndexState>,
}

impl Index {
    /// The index, begun if it was not.
    fn begun(&mut self, me: &ActorRef<IndexMessage>) -> Handled<Option<&mut IndexState>> {
        if let Some(args) = self.waiting.take() {
            self.index = Some(IndexState::start(me.clone(), args)?);
        }
        Ok(self.index.as_mut())
    }
}

impl Owner for Index {
    type Message = IndexMessage;
    type Arguments = IndexArgs;

    fn begin(me: &ActorRef<IndexMessage>, args: IndexArgs) -> Handled<Self> {
        let shares = args.plan.is_some();
        let mut index = Self { waiting: Some(args), index: None };
        if shares {
            index.begun(me)?;
        }
        Ok(index)
    }

    fn handle(&mut self, message: IndexMessage, me: &ActorRef<IndexMessage>) -> Handled {
        let index = match &message {
            IndexMessage::Seed(..) | IndexMessage::Share(..) => self.begun(me)?,
            _ => self.index.as_mut(),
        };
        let Some(index) = index else {
            refuse(&message);
            return Ok(());
        };
        match message {
            IndexMessage::Arrived(paths) => index.arrived(&paths),
            IndexMessage::Own(OwnStep(step)) => index.step(step),
            IndexMessage::Resolve { name, tell } => index.resolve(name, tell),
            IndexMessage::Seed(seed, reply) => index.seed(*seed, reply),
            IndexMessage::Roots(reply) => drop(reply.send(index.catalogue.shared())),
            IndexMessage::Share(plan, reply) => drop(reply.send(index.share(*plan))),
            IndexMessage::Stale => index.look_everywhere(),
            IndexMessage::Unshare(names, reply) => drop(reply.send(index.unshare(&names))),
        }
        index.advance();
        Ok(())
    }
}

/// What is asked of an index that has nothing.
fn refuse(message: &IndexMessage) {
    if let IndexMessage::Resolve { tell, .. } = message {
        // Nothing was sent on this channel yet, so there is room; if not, its end says the same.
        let _ = tell.try_send(ResolveEvent::Failed(Code::NotFound.into()));
    }
}
