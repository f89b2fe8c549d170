//! The JSON lines: each an object with `event` first. The design, section 9, lists the fields of those that
//! programs wait for; `near` comes before an error; `id`, `hashed`, `checked`, `status`, `trust`, `forgotten`, `friend` and `removed` are the results of the commands about this home,
//! `bench` and `benched` those of the bench, `check` the doctor's, `neighbour` the result of `neighbours`, `step`, `killed` and `verified` those of the demo.
//! Invariant: a field is there in every line of its event, null when unknown.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::cli::render::human::mean_rate;
use crate::cli::say::names::Names;
use crate::model::{ContentId, Friend, Hit, Kind, NodeId, PeerTarget, SafePath};
use crate::node::{
    BenchReport, BenchRow, Beyond, Cause, Direction, ErrorCode, Has, Hashing, Holder, NearRow, Outcome, Phase, Plane,
    Preview, PreviewFile, Progress, ProviderProgress, Share, Suggestion, Upload, Verdict, Why,
};
use crate::wire::Peer;

/// One line on standard output.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Line<'a> {
    Announced {
        tracker: &'a str,
        offers: u64,
        hashed: u64,
    },
    Bench(Tested),
    Benched(Benched),
    /// One thing that the doctor looked at.
    Check {
        name: &'a str,
        state: Verdict,
        message: &'a str,
    },
    Checked(Checked<'a>),
    Done(Ended<'a>),
    Explain(Explained),
    Error {
        code: ErrorCode,
        exit: u8,
        message: String,
    },
    Forgotten {
        addr: &'a str,
    },
    Friend(Named<'a>),
    Hashed {
        id: ContentId,
        path: Cow<'a, str>,
    },
    /// A provider of the demo was killed, when this much of all was there.
    Killed {
        node: NodeId,
        addr: SocketAddr,
        bytes: u64,
        total: u64,
    },
    Hit(Found<'a>),
    Id {
        node: NodeId,
    },
    Listening {
        addr: SocketAddr,
        node: NodeId,
    },
    /// Words that are nearly those that nothing was found for, how many names have them, and the first of those.
    Near(&'a Suggestion),
    Neighbour(Near<'a>),
    Offer {
        id: ContentId,
        name: &'a SafePath,
        get: String,
    },
    Peer(Known<'a>),
    Phase {
        name: Phase,
    },
    Progress(Reached),
    /// A name that is no friend's now.
    Removed {
        name: &'a str,
    },
    /// The demo begins something.
    Step {
        number: u32,
        message: &'a str,
    },
    /// `more` is a lower bound where `at_least` says so.
    Summary {
        hits: u64,
        #[serde(flatten)]
        beyond: Beyond,
    },
    Trust {
        addr: &'a str,
        node: NodeId,
    },
    Upload(Uploaded<'a>),
    /// The demo compared every byte of the result with the original.
    Verified {
        files: u64,
        directories: u64,
        executables: u64,
        bytes: u64,
        seconds: f64,
        rate: u64,
        killed: bool,
    },
    Warning {
        message: &'a str,
    },
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UploadState {
    Begun,
    Ended,
}

/// Defines what an event tells of values of the node: each field, its type, and how it is made.
macro_rules! view {
    ($(#[$about:meta])* $name:ident$(<$life:lifetime>)?($($from:ident: $of:ty),*) {
        $($(#[$attribute:meta])* $field:ident: $type:ty = $value:expr,)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Serialize)]
        pub(crate) struct $name$(<$life>)? { $($(#[$attribute])* $field: $type,)* }

        impl$(<$life>)? $name$(<$life>)? {
            pub(crate) fn of($($from: $of),*) -> Self {
                Self { $($field: $value,)* }
            }
        }
    };
}

view! {
    /// Whether a file has the id that a list says; `error` where it could not be read.
    Checked<'a>(file: &'a Path, expected: ContentId, is_right: bool, cause: Option<String>) {
        path: Cow<'a, str> = file.to_string_lossy(),
        id: ContentId = expected,
        ok: bool = is_right,
        error: Option<String> = cause,
    }
}

view! {
    /// How a `get` has ended; of a dry run also what it found out.
    Ended<'a>(outcome: &'a Outcome) {
        id: ContentId = outcome.id,
        name: &'a SafePath = &outcome.name,
        path: Option<Cow<'a, str>> = outcome.path.as_deref().map(Path::to_string_lossy),
        bytes: u64 = outcome.bytes,
        fetched: u64 = outcome.fetched,
        seconds: f64 = outcome.elapsed.as_secs_f64(),
        providers: Vec<Given> = all(&outcome.providers, Given::of),
        plane: Option<Plane> = outcome.plane,
        #[serde(flatten)]
        preview: Option<Previewed<'a>> = outcome.preview.as_ref().map(Previewed::of),
    }
}

view! {
    /// What is at the target of each file, bytes that would be fetched, bytes that an earlier run left, and how many files
    /// would keep it from doing anything; everyone who has it, or parts of it; whether another process is fetching the same
    /// to the same place.
    Previewed<'a>(preview: &'a Preview) {
        plan: &'a [PreviewFile] = &preview.files,
        to_come: u64 = preview.to_come,
        kept: u64 = preview.kept,
        in_the_way: usize = preview.in_the_way(),
        holders: Vec<Holding> = all(&preview.holders, Holding::of),
        busy: bool = preview.busy.is_some(),
    }
}

view! {
    /// How far a transfer is. Hashing proves nothing, so it is no part of `bytes`.
    Reached(progress: &Progress) {
        bytes: u64 = progress.bytes,
        fetched: u64 = progress.fetched,
        total: u64 = progress.total,
        rate: u64 = progress.rate,
        providers: Vec<Giving> = all(&progress.providers, Giving::of),
        hashing: Option<Hashing> = progress.hashing,
    }
}

view! {
    /// Where the time of a `get` went; what limited it most is the first share. Seconds, microseconds, bytes.
    Explained(outcome: &Outcome) {
        limit: Option<&'static str> = outcome.shares.first().map(|share| share.cause.word()),
        shares: Vec<Spent> = all(&outcome.shares, Spent::of),
        paths: Vec<Way> = all(&outcome.providers, Way::of),
    }
}

view! {
    /// A provider of a transfer that has ended.
    Given(provider: &ProviderProgress) {
        node: NodeId = provider.node,
        addr: SocketAddr = provider.addr,
        bytes: u64 = provider.bytes,
    }
}

view! {
    /// One of a transfer under way; `state` is why it gives nothing now: `busy`, `changed`, `hashing`, `unreachable`…
    Giving(provider: &ProviderProgress) {
        #[serde(flatten)]
        given: Given = Given::of(provider),
        rate: u64 = provider.rate,
        state: Option<&'static str> = provider.why.map(Why::word),
    }
}

view! {
    /// The path to one.
    Way(provider: &ProviderProgress) {
        #[serde(flatten)]
        given: Given = Given::of(provider),
        rtt_us: u64 = micros(provider.rtt),
        mtu: u16 = provider.mtu,
        connections: usize = provider.connections,
    }
}

view! {
    /// A share of the time of a transfer; a provider's has its node.
    Spent(spent: &Share) {
        what: &'static str = spent.cause.word(),
        node: Option<NodeId> = if let Cause::Provider(node) = spent.cause { Some(node) } else { None },
        share: f64 = f64::from(spent.permille) / 1000.0,
        seconds: f64 = spent.time.as_secs_f64(),
    }
}

view! {
    /// Who has something, and whether all of it, where it was asked.
    Holding(holder: &Holder) {
        node: NodeId = holder.node,
        addr: Option<SocketAddr> = holder.addrs.first().copied(),
        whole: Option<bool> = match holder.has {
            Has::Parts(_) => Some(false),
            Has::Unknown => None,
            Has::Whole => Some(true),
        },
    }
}

view! {
    /// What was found, and who has it.
    Found<'a>(hit: &'a Hit, holders: &[Holder], found: Option<Plane>) {
        id: Option<ContentId> = hit.id,
        name: Option<&'a SafePath> = hit.names.first(),
        names: &'a [SafePath] = &hit.names,
        size: u64 = hit.size,
        kind: Kind = hit.kind,
        locked: bool = hit.locked,
        providers: Vec<Holding> = all(holders, Holding::of),
        plane: Option<Plane> = found,
    }
}

view! {
    /// A node that is known.
    Known<'a>(peer: &Peer, names: &'a Names) {
        node: NodeId = peer.node,
        name: Option<&'a str> = names.of(peer.node),
        addr: Option<SocketAddr> = peer.addrs.first().copied(),
        offers: u64 = peer.offers,
    }
}

view! {
    /// A node that is near; `by` tells of it where it is not a neighbour itself.
    Near<'a>(row: &NearRow, names: &'a Names) {
        node: NodeId = row.peer.node,
        name: Option<&'a str> = names.of(row.peer.node),
        addr: Option<SocketAddr> = row.peer.addrs.first().copied(),
        direction: Option<Direction> = row.direct.map(|direct| direct.direction),
        rtt_us: Option<u64> = row.direct.map(|direct| micros(direct.rtt)),
        seconds: Option<f64> = row.direct.map(|direct| direct.since.as_secs_f64()),
        offers: u64 = row.peer.offers,
        by: Option<NodeId> = row.by,
    }
}

view! {
    /// A node takes a content from this one, or has taken what it wanted: `bytes` of its `size`; it is whole when as many
    /// went out as the content has.
    Uploaded<'a>(stands: UploadState, upload: &'a Upload, names: &'a Names) {
        state: UploadState = stands,
        id: ContentId = upload.id,
        name: Option<&'a SafePath> = upload.name.as_ref(),
        node: NodeId = upload.node,
        friend: Option<&'a str> = names.of(upload.node),
        addr: SocketAddr = upload.addr,
        bytes: u64 = upload.bytes,
        size: u64 = upload.size,
        seconds: f64 = upload.elapsed.as_secs_f64(),
        whole: bool = upload.is_whole(),
    }
}

view! {
    /// A friend; `addr` as it was given.
    Named<'a>(friend: &'a Friend) {
        name: &'a str = friend.name.as_str(),
        node: NodeId = friend.node,
        addr: Option<String> = friend.at.as_ref().map(PeerTarget::host_port),
    }
}

view! {
    /// One test of a bench; `rate` in bytes a second, processor time in seconds, round trips in microseconds.
    Tested(row: &BenchRow) {
        test: &'static str = row.test(),
        direction: &'static str = row.direction(),
        bytes: u64 = row.bytes,
        seconds: f64 = row.elapsed.as_secs_f64(),
        rate: u64 = mean_rate(row.bytes, row.elapsed),
        bits: u64 = mean_rate(row.bytes, row.elapsed).saturating_mul(8),
        cpu_here: f64 = row.cpu_here.as_secs_f64(),
        cpu_there: f64 = row.cpu_there.as_secs_f64(),
        rtt_us: u64 = micros(row.rtt),
        mtu: u16 = row.mtu,
        sent: u64 = row.sent,
        lost: u64 = row.lost,
        memory_here: u64 = row.memory_here,
        memory_there: u64 = row.memory_there,
    }
}

view! {
    /// The end of a bench; the round trip is that of the idle network.
    Benched(report: &BenchReport, at: String) {
        node: NodeId = report.node,
        addr: String = at,
        tests: u64 = report.rows.len() as u64,
        rtt_us: u64 = micros(report.rtt),
    }
}

fn all<T, V>(values: &[T], view: impl Fn(&T) -> V) -> Vec<V> {
    values.iter().map(view).collect()
}

/// Microseconds, as round trips are told.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl<'a> Line<'a> {
    /// The event `hit`, where nobody was asked how much of it they have.
    pub(crate) fn hit(hit: &'a Hit, plane: Option<Plane>) -> Self {
        let unknown = all(&hit.providers, |provider| Holder::new(provider, Has::Unknown));
        Self::Hit(Found::of(hit, &unknown, plane))
    }
}

/// The line to paste that fetches an offer without tracker or words.
pub(crate) fn paste(id: ContentId, node: NodeId, addr: SocketAddr) -> String {
    format!("qshare get {id} --from {node}@{addr}")
}

#[cfg(test)]
mod tests;
