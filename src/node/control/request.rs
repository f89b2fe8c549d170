//! What a command asks of the running node of its home, and what it is told: both ends have one version of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::io::receive::landing::Landing;
use crate::logic::limits::jobs::{JobId, JobOrder};
use crate::logic::uploads::Uploads;
use crate::model::{ContentId, FoundHit, Hit, Query, RateLimit};
use crate::node::inner::orders::JobWish;
use crate::node::inner::shares::{ShareWish, Unwanted};
use crate::node::types::{Event, Notice, PeerRef, Places, Progress, PutProgress, PutWish, RateChange};

/// Bytes of an answer at most: a list of a collection of the most files that are usual.
pub(super) const ANSWER: usize = 256 << 20;

/// The first frame of a stream, beside those of `wire/control.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Something is asked for, with where to look for it.
    Ask(Places, Box<Ask>),
    /// A transfer, whose progress is told to its end. The command may send one [`Word`] meanwhile.
    Fetch(Box<JobWish>),
    /// Everything that the node reports from now on.
    Events,
    /// Offers, for as long as the command keeps its side of the stream open, or until they are unshared.
    Share(Box<ShareWish>),
    /// A transfer that ends with the command, as `Fetch`. Where a number is given, the proven bytes of its file come on a stream that
    /// the node opens, after that number in 8 bytes, the highest first.
    Attend(Box<JobWish>, Option<u64>),
    /// What is fetched of what lies at these whole paths, and is offered, as for `Share`.
    Watch(Vec<PathBuf>),
    /// Something is sent to single nodes, with where to look for them. The command may send one [`Word`] meanwhile.
    Put(Places, Box<PutWish>),
}

/// What is asked: a method of [`crate::node::Node`] each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    Holdings(Hit),
    Jobs(Option<JobId>),
    OrderJobs(Option<JobId>, JobOrder),
    IsAsShown(Query, FoundHit),
    Knows(PeerRef),
    List(PeerRef),
    Locate(ContentId),
    Manifest(ContentId),
    Meant(Query),
    Neighbours,
    NotFound(String, Query),
    Peers,
    Search(Query, u32),
    Limit(RateChange),
    LimitJobs(Option<JobId>, RateLimit),
    Shared,
    Unshare(Unwanted),
    Yield,
    Inbox,
    Accept(Option<u32>, Option<(PathBuf, Landing)>),
    Decline(Option<u32>),
    ClearInbox(Option<u32>),
    Puts,
    CancelPut(Option<u32>),
    ClearPuts(Option<u32>),
}

/// A frame of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Told {
    /// The end: so many bytes of MessagePack follow, what the method gives.
    Answer(u64),
    /// What is reported from now on comes.
    Begun,
    /// The number of the transfer that was asked for; before it is left, that of the one that goes on with it.
    Job(JobId),
    /// It is left to the node.
    Left,
    /// Where it stands.
    Progress(Box<Progress>),
    /// What the node reports.
    Event(Event),
    /// Something to tell the user.
    Notice(Notice),
    /// What is being fetched of what the command offers, and what was.
    Uploads(Box<Uploads>),
    /// How what is sent stands.
    Put(Box<PutProgress>),
    /// What is sent is left to the node, as this number.
    PutLeft(u32),
}

/// What a command says of the transfer that it follows. Without a word its end is a connection that was lost: then the
/// transfer is left to the node, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// End it, and keep what was proven.
    Cancel,
    /// Go on with it without this command.
    Leave,
}
