//! What a transfer is told and what it orders.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::logic::picker::RequestId;
use crate::model::NodeId;
use crate::wire::{Code, HaveEvent, Refusal};

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Bytes of a request have come, proven or not; sampled, so that a provider is known to be alive.
    Bytes {
        /// Of which request.
        request: RequestId,
        /// How many since the last time.
        bytes: u64,
    },
    /// Units of a file whose list is known now are said to be elsewhere on the disk: they count once they are verified.
    Claimed {
        /// Which.
        units: Vec<u32>,
    },
    /// A request's stream is over.
    Ended {
        /// Which request.
        request: RequestId,
        /// How it ended.
        end: End,
    },
    /// A unit did not come as it should have.
    Fault {
        /// Of which request.
        request: RequestId,
        /// Which unit, if known.
        unit: Option<u32>,
        /// What was wrong.
        fault: Fault,
    },
    /// What a provider has, or has in addition.
    Have {
        /// Which provider.
        node: NodeId,
        /// Its event.
        event: HaveEvent,
    },
    /// For so long this side itself has not taken what a provider sends: the user's limit, or no room. That is not its silence.
    Held {
        /// Which provider.
        node: NodeId,
        /// How long, since the last time.
        time: Duration,
    },
    /// A file's chunk list merges to its id and is kept; the request goes on with the file's last chunk.
    ListKnown {
        /// The request that brought it.
        request: RequestId,
        /// Index of the file in the unit map.
        file: usize,
    },
    /// A provider is gone: whoever tells it knows why, and is not told to leave it.
    Lost {
        /// Which.
        node: NodeId,
    },
    /// Units are proven and written.
    Proven {
        /// The request that brought them.
        request: RequestId,
        /// Which.
        units: Vec<u32>,
    },
    /// A provider is connected.
    Ready {
        /// Which.
        node: NodeId,
        /// The round trip to it.
        rtt: Duration,
        /// The network in which it is (`model::address::network`).
        network: IpAddr,
    },
    /// The provider has chosen this unit among those that it may send.
    Started {
        /// For which request.
        request: RequestId,
        /// Which unit.
        unit: u32,
    },
    /// Time has passed; to be told at least every 200 ms.
    Tick,
    /// A unit that was claimed is not on the disk as it should be; nobody is to blame.
    Unproven {
        /// Which.
        unit: u32,
    },
    /// Units of an earlier run, or taken from another, were hashed again and are right.
    Verified {
        /// Which.
        units: Range<u32>,
    },
}

/// How a request's stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// Over a quota: to be asked again after that time.
    #[error("it is busy")]
    Busy {
        /// After which time.
        retry: Duration,
    },
    /// Everything that the provider wanted to send has come.
    #[error("it has sent all that it wanted")]
    Finished,
    /// The connection is gone.
    #[error("the connection was lost")]
    Lost,
    /// Refused in the answer.
    #[error("{0}")]
    Refused(Code),
    /// Reset on the way.
    #[error("it broke off, {0}")]
    Reset(Code),
    /// No byte for too long.
    #[error("nothing came for too long")]
    TimedOut,
}

/// What was wrong with a unit or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Its file changed at the provider.
    #[error("its file has changed")]
    Changed,
    /// The bytes are not what was asked for, or not in the form they should have.
    #[error("it sent wrong bytes")]
    Lie,
    /// The provider has not got it.
    #[error("it has it no longer")]
    Missing,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The provider lied: never ask it for this content again, for an hour; its requests are cancelled.
    Bar {
        /// Which.
        node: NodeId,
    },
    /// The request is no longer wanted: reset its stream.
    Cancel {
        /// Which.
        request: RequestId,
    },
    /// Everything wanted is there.
    Complete,
    /// Ask for units.
    Fetch {
        /// Under this number.
        request: RequestId,
        /// Whom.
        node: NodeId,
        /// Acceptable units.
        units: Vec<Range<u32>>,
        /// How many of them at most.
        max: u32,
    },
    /// The provider is of no use any more; its requests are cancelled.
    Leave {
        /// Which.
        node: NodeId,
        /// Why.
        why: Why,
    },
    /// Ask for a file's chunk list and last chunk.
    List {
        /// Under this number.
        request: RequestId,
        /// Whom.
        node: NodeId,
        /// Index of the file in the unit map.
        file: usize,
    },
}

/// Why a provider was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Why {
    /// Over a quota there, or it is not ready: it asked for so long a pause.
    #[error("it is busy")]
    Busy(Duration),
    /// Its copy changed.
    #[error("its copy has changed")]
    Changed,
    /// Less than a kibibyte a second for some seconds.
    #[error("it sends next to nothing")]
    Crawling,
    /// One request after the other failed.
    #[error("its answers keep failing")]
    Failing,
    /// It no longer has it.
    #[error("it no longer has it")]
    Gone,
    /// Its copy has changed, or was only touched: it is being hashed again, and it asked for so long a pause.
    #[error("it hashes its copy again")]
    Hashing(Duration),
    /// It sent wrong bytes.
    #[error("it sent wrong bytes")]
    Lied,
    /// The connection broke.
    #[error("the connection was lost")]
    Lost,
    /// It has only what is here too: it fetches the rest itself.
    #[error("it has only a part of it")]
    Partial,
    /// It refused.
    #[error("{}", refusal(*.0))]
    Refused(Code),
    /// No byte for some seconds.
    #[error("it sends nothing")]
    Silent,
    /// It could not be dialled.
    #[error("it cannot be reached")]
    Unreachable,
}

impl From<&Refusal> for Why {
    fn from(refusal: &Refusal) -> Self {
        match refusal.code {
            Code::Busy => Self::Busy(Duration::from_millis(refusal.retry_ms.into())),
            Code::Changed => Self::Changed,
            code => Self::Refused(code),
        }
    }
}

impl Why {
    /// Whether it will not give the content, as far as it knows.
    pub const fn denies(self) -> bool {
        match self {
            Self::Changed | Self::Gone | Self::Lied => true,
            Self::Refused(code) => matches!(
                code,
                Code::BadRequest
                    | Code::Forbidden
                    | Code::NotFound
                    | Code::SizeDiffers
                    | Code::Unreadable
                    | Code::Unsupported
            ),
            _ => false,
        }
    }

    /// Whether it is only not there: nothing is wrong with it, and it may be again.
    pub const fn is_absence(self) -> bool {
        matches!(self, Self::Gone | Self::Refused(Code::NotFound))
    }

    /// Whether it said itself that this passes.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Busy(_) | Self::Hashing(_))
    }

    /// The word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Busy(_) => "busy",
            Self::Changed => "changed",
            Self::Crawling => "slow",
            Self::Failing => "failing",
            Self::Gone | Self::Refused(Code::NotFound) => "gone",
            Self::Hashing(_) => "hashing",
            Self::Lied => "lied",
            Self::Lost => "lost",
            Self::Partial => "partial",
            Self::Refused(Code::Forbidden) => "forbidden",
            Self::Refused(Code::SizeDiffers) => "size_differs",
            Self::Refused(Code::Unreadable) => "unreadable",
            Self::Refused(_) => "refused",
            Self::Silent => "silent",
            Self::Unreachable => "unreachable",
        }
    }
}

const fn refusal(code: Code) -> &'static str {
    match code {
        Code::Closing => "it is stopping",
        Code::Forbidden => "it does not serve this node",
        Code::NotFound => "it does not offer it now",
        Code::SizeDiffers => "it has it with another size",
        Code::Unreadable => "it may not read its copy any more",
        _ => "it refused",
    }
}

/// What bounds a transfer.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Decides ties; differs from node to node.
    pub seed: u64,
    /// Bytes asked for and not there yet, over all providers.
    pub process_budget: u64,
    /// The same for one provider.
    pub provider_budget: u64,
    /// Providers with requests at the same time.
    pub max_active: usize,
    /// Begin at a place of this node's own, so that many who begin together do not ask for the same; else in order.
    pub scatter: bool,
    /// The rate to which the transfer is limited, in bytes per second: asking for more only makes it wait.
    pub limit: Option<u64>,
}

impl Settings {
    /// The design's bounds: 64 MiB, 16 MiB and 12 providers.
    pub const fn new(seed: u64) -> Self {
        Self { seed, process_budget: 64 << 20, provider_budget: 16 << 20, max_active: 12, scatter: true, limit: None }
    }
}
