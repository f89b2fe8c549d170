//! What is sent to single nodes, and how that stands.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::io::receive::landing::Landing;
use crate::io::share::scan::{Omission, SurveyOptions};
use crate::model::{NodeId, PutId};
use crate::node::{Error, PeerRef};
use crate::wire::PutItem;

/// What is to be sent; every path of it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutWish {
    /// Tells it from others, here and there, however often it is begun.
    pub put: PutId,
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// How they are looked at.
    pub options: SurveyOptions,
    /// A message; empty where there is none.
    pub text: String,
    /// To whom.
    pub to: Vec<PeerRef>,
    /// How long to go on while nothing moves.
    pub wait: Duration,
    /// Which directories the command sees there.
    pub seen: Vec<Landing>,
    /// Copies that were made for it, and go with it.
    pub spooled: Vec<PathBuf>,
    /// So soon all to whom it goes have to be known, or nothing is offered.
    #[serde(default)]
    pub known_within: Option<Duration>,
    /// What an earlier run of the node has told of it: if it is another thing now, it is sent no longer.
    #[serde(default)]
    pub told: Vec<PutItem>,
    /// Its number, once it was left to the node.
    #[serde(default)]
    pub number: Option<u32>,
    /// How it ended at each of those to whom it went, once it is over.
    #[serde(default)]
    pub ended: Vec<Receiver>,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PutProgress {
    /// What is sent, once that is known.
    pub items: Vec<PutItem>,
    /// Its bytes.
    pub total: u64,
    /// Bytes that are hashed before it can be sent, of how many.
    pub hashing: Option<(u64, u64)>,
    /// Each of those to whom it goes.
    pub receivers: Vec<Receiver>,
    /// What is left out of it, and how much more.
    pub left_out: (Vec<Omission>, u64),
    /// Its number, once it was left to the node.
    pub number: Option<u32>,
}

impl PutProgress {
    /// Why it is sent no longer: it is not what it was.
    #[must_use]
    pub fn spoilt(&self) -> Option<&Error> {
        let is_spoilt = |receiver: &&Receiver| matches!(receiver.state, Receiving::Changed | Receiving::Gone);
        self.receivers.iter().find(is_spoilt).and_then(|receiver| receiver.error.as_ref())
    }

    /// Ends it like this wherever it is not over.
    #[must_use]
    pub fn ended(mut self, state: Receiving, error: Option<&Error>) -> Self {
        for receiver in self.receivers.iter_mut().filter(|receiver| !receiver.state.is_over()) {
            (receiver.state, receiver.error) = (state, error.cloned());
        }
        self
    }
}

/// One of those to whom something is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// As a person named it.
    pub peer: PeerRef,
    /// Who it is, once known.
    pub node: Option<NodeId>,
    /// How it stands there.
    pub state: Receiving,
    /// Bytes that are there.
    pub bytes: u64,
    /// Why it cannot be told, or does not take it.
    pub error: Option<Error>,
    /// When it was seen last while it is away, from 1970 on, if that is known.
    #[serde(default)]
    pub seen: Option<Duration>,
}

/// How something that is sent stands at one of those to whom it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Receiving {
    /// It does not answer now, or takes nothing now; it is asked again.
    Away,
    /// It was ended here before all of it was there.
    Cancelled,
    /// It is not wanted.
    Declined,
    /// All of it is there.
    Done,
    /// Nothing has moved for as long as was waited.
    Expired,
    /// It could not be offered any more.
    Failed,
    /// It was accepted, and comes there.
    Fetching,
    /// It is looked for.
    Looking,
    /// It cannot be taken there.
    Refused,
    /// Its person has not decided.
    Waiting,
    /// It is another thing than was told, and so is sent no longer.
    Changed,
    /// It is not there any more to be sent.
    Gone,
}

impl Receiving {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::Done => "done",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Fetching => "fetching",
            Self::Looking => "looking",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Changed => "changed",
            Self::Gone => "gone",
        }
    }

    /// Whether nothing more comes of it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Away | Self::Fetching | Self::Looking | Self::Waiting)
    }
}

/// Something that a node sends for a command that has left it, or has sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRow {
    /// Its number.
    pub number: u32,
    /// What was asked for.
    pub wish: PutWish,
    /// How it stands.
    pub progress: PutProgress,
}

impl PutRow {
    /// Whether nothing more comes of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.wish.ended.is_empty()
    }
}
