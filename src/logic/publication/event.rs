//! What the machine is told, and what it orders.

use std::time::Duration;

use super::Root;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A root was looked at for the first time, and is to be watched; `unseen` when something of it could not be looked
    /// at, and that was told.
    Added {
        /// Which.
        root: Root,
        /// See above.
        unseen: bool,
    },
    /// What is offered has changed.
    Changed,
    /// A batch of files has come back from hashing.
    Hashed,
    /// These may have changed.
    Look(Vec<Root>),
    /// All of so many may have changed: asked for by peers, as often as they like.
    LookEverywhere(usize),
    /// The look that was under way is over.
    Looked,
    /// A root is to be watched, and has not been looked at.
    New(Root),
    /// A root is shared no longer.
    Removed(Root),
    /// Something of a root keeps changing: when it has settled, nothing tells.
    Restless(Root),
    /// What a look saw of a root.
    Seen {
        /// Which.
        root: Root,
        /// What the look cost, in time of one core.
        cost: Duration,
        /// Something could not be looked at.
        unseen: bool,
    },
    /// Everything was taken in: what is due?
    Settle(Facts),
    /// A look-up or a collection is under way;
    TaskBegun,
    /// and is over.
    TaskEnded,
    /// A file of a root cannot be read; nothing tells when the cause is over.
    Unreadable(Root),
    /// Every file of a root could be read by now.
    Whole(Root),
}

/// What others know at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Nothing is being hashed or waits for it.
    pub idle: bool,
    /// Somebody waits for an id that is there.
    pub awaited: bool,
    /// Somebody waits for ids, or to be told something.
    pub waiting: bool,
    /// Former trees are kept.
    pub former: bool,
    /// How many offers there are.
    pub offers: usize,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicationOrder {
    /// All is hashed; that is told.
    AllHashed,
    /// Look at these roots; [`Input::Looked`] says when that is over.
    Look(Vec<Root>),
    /// Show who waits how far it is.
    Progress,
    /// Publish what there is.
    Publish,
    /// Try to read again what could not be read of a root.
    Read(Root),
    /// Let go of former trees that nobody asks for.
    Sweep,
    /// Tell that something of a root could not be looked at.
    Unseen(Root),
    /// Watch a root.
    Watch(Root),
    /// What could not be watched of a root can be now.
    WatchAgain(Root),
}
