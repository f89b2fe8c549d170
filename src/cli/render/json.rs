//! The JSON lines: each an object with `event` first. The design, section 9, lists the fields of those that
//! programs wait for; `near` comes before an error; `id`, `hashed`, `checked`, `status`, `trust`, `forgotten`, `friend` and `removed` are the results of the commands about this home,
//! `bench` and `benched` those of the bench, `check` the doctor's, `neighbour` the result of `neighbours`, `step`, `killed` and `verified` those of the demo.
//! Invariant: a field is there in every line of its event, null when unknown.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::cli::render::human::mean_rate;
use crate::cli::say::names::Names;
use crate::model::{ContentId, Friend, Hit, Kind, Modified, NodeId, PeerTarget, Rate, SafePath};
use crate::node::{
    BenchReport, BenchRow, Beyond, Cause, Direction, ErrorCode, Has, Hashing, Holder, JobId, JobRow, JobState, NearRow,
    Outcome, Phase, Plane, Preview, PreviewFile, Progress, ProviderProgress, Share, SharedRoot, SharedRow, Suggestion,
    Upload, Verdict, Why,
};
use crate::wire::Peer;

/// One line on standard output. What is said of a field here is what `docs/cli.md` says of it (`cli/reference_tests.rs`).
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Line<'a> {
    /// `share`, `get --seed`: a tracker has acknowledged what is offered.
    Announced {
        /// As it was given.
        tracker: &'a str,
        /// How many offers it knows of this node.
        offers: u64,
        /// How many of them have an id.
        hashed: u64,
    },
    /// `bench`: one of its tests.
    Bench(Tested),
    /// `bench`: its end.
    Benched(Benched),
    /// `doctor`: one thing that was looked at.
    Check {
        /// What.
        name: &'a str,
        /// How it is.
        state: Verdict,
        /// The same for people.
        message: &'a str,
    },
    /// `hash --check`: whether a file has the id that the list says.
    Checked(Checked<'a>),
    /// `get`, `demo`: how it has ended; with `-n` what would be done.
    Done(Ended<'a>),
    /// `get --explain`: where its time went.
    Explain(Explained),
    /// Any command: why it did not end well. The last line, but for several things in one `get`, of which each has one.
    Error {
        /// What went wrong.
        code: ErrorCode,
        /// The process's exit code.
        exit: u8,
        /// The same for people.
        message: String,
    },
    /// `trust forget`: an address whose key is not remembered now.
    Forgotten {
        /// As it was remembered.
        addr: &'a str,
    },
    /// `friends add`, `friends list`: a friend.
    Friend(Named<'a>),
    /// `hash`: the id of a file.
    Hashed {
        /// Its content id.
        id: ContentId,
        /// As it was given, or found below what was given.
        path: Cow<'a, str>,
    },
    /// `jobs`, `get --detach`, and `events` and `share` when it changes: what the running node fetches for commands.
    Job(JobLine<'a>),
    /// `demo`: a provider was killed.
    Killed {
        /// Which.
        node: NodeId,
        /// Where it was.
        addr: SocketAddr,
        /// Bytes that were there then.
        bytes: u64,
        /// Bytes altogether.
        total: u64,
    },
    /// `search`, `ls`, `locate`, and a `get` that stands for several things: something that was found.
    Hit(Found<'a>),
    /// `id`: who this home is.
    Id {
        /// Its node id.
        node: NodeId,
    },
    /// `inbox`, and `events` and `share` when it changes: something that another node offers to this one's person.
    Inbox(InboxLine<'a>),
    /// `limit`: the rates to which the running node is limited, in bytes a second; null where it is not.
    Limit {
        /// All its uploads together.
        up: Option<u64>,
        /// All its downloads together.
        down: Option<u64>,
    },
    /// The first line of `tracker`, `node`, `share`, `get --seed`, `bench --listen` and `events`: it can be dialled.
    Listening {
        /// Where a process of this machine dials it.
        addr: SocketAddr,
        /// Its node id.
        node: NodeId,
    },
    /// Before an `error` of what was not found: words that are nearly those, which somebody has.
    Near(&'a Suggestion),
    /// `neighbours`: a node that is near.
    Neighbour(Near<'a>),
    /// `share`, `get --seed`: something can be fetched now.
    Offer {
        /// Its content id.
        id: ContentId,
        /// Under which name.
        name: &'a SafePath,
        /// A command that fetches it without tracker, local network or words.
        get: String,
    },
    /// `peers`: a node that is known.
    Peer(Known<'a>),
    /// `get`: what it does now.
    Phase {
        /// What.
        name: Phase,
    },
    /// `get`: how far it is, once a second and at its end.
    Progress(Reached),
    /// `put`, and `events` and `share` when it changes where it was left to the node: how what is sent stands at one of those to whom it
    /// goes.
    Put(PutLine<'a>),
    /// `friends remove`: a name that is no friend's now.
    Removed {
        /// Which.
        name: &'a str,
    },
    /// `demo`: it begins something.
    Step {
        /// Counted from 1.
        number: u32,
        /// What.
        message: &'a str,
    },
    /// `stop`: the running node of this home has ended.
    Stopped {
        /// Its node id.
        node: NodeId,
        /// Its process.
        pid: u32,
    },
    /// `share` without a path: something that the running node offers, or keeps for that.
    Shared(SharedLine<'a>),
    /// The end of hits.
    Summary {
        /// How many there were.
        hits: u64,
        #[serde(flatten)]
        beyond: Beyond,
    },
    /// `trust list`: a key that is remembered.
    Trust {
        /// At which address.
        addr: &'a str,
        /// Whose.
        node: NodeId,
    },
    /// `unshare`: something that is offered no longer.
    Unshared {
        /// Its name; its path where it could not be offered.
        what: &'a str,
    },
    /// `share`, `get --seed`: somebody fetches something from here, or has ended.
    Upload(Uploaded<'a>),
    /// `demo`: it has compared every byte of the result with the original.
    Verified {
        /// Files that are the same.
        files: u64,
        /// Directories that are there.
        directories: u64,
        /// Files among them that may be executed.
        executables: u64,
        /// Bytes that are the same.
        bytes: u64,
        /// How long the transfer took.
        seconds: f64,
        /// Bytes a second.
        rate: u64,
        /// Whether a provider was killed meanwhile.
        killed: bool,
    },
    /// Any command: something is wrong without ending it.
    Warning {
        /// What, for people.
        message: &'a str,
    },
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
        #[derive(Debug, serde::Serialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub(crate) struct $name$(<$life>)? { $($(#[$attribute])* $field: $type,)* }

        impl$(<$life>)? $name$(<$life>)? {
            pub(crate) fn of($($from: $of),*) -> Self {
                Self { $($field: $value,)* }
            }
        }
    };
}

pub(crate) use view;

mod sent;

pub(crate) use sent::{InboxLine, PutLine};

view! {
    /// Whether a file has the id that a list says; `error` where it could not be read.
    Checked<'a>(file: &'a Path, expected: ContentId, is_right: bool, cause: Option<String>) {
        /// As the list says.
        path: Cow<'a, str> = file.to_string_lossy(),
        /// The id that it should have.
        id: ContentId = expected,
        /// Whether it has it.
        ok: bool = is_right,
        /// Why it could not be read.
        error: Option<String> = cause,
    }
}

view! {
    /// How a `get` has ended; of a dry run also what it found out.
    Ended<'a>(outcome: &'a Outcome) {
        /// Its content id.
        id: ContentId = outcome.id,
        /// Under which name it was found.
        name: &'a SafePath = &outcome.name,
        /// Where it lies; null of a stream, and where nothing was made.
        path: Option<Cow<'a, str>> = outcome.path.as_deref().map(Path::to_string_lossy),
        /// Whether only some of its files were asked for.
        part: bool = outcome.part,
        /// Its size; of a part the part's.
        bytes: u64 = outcome.bytes,
        /// Bytes that came over the network in this run.
        fetched: u64 = outcome.fetched,
        /// Files of other content that were replaced.
        replaced: u64 = outcome.replaced,
        /// With `--update`: files of other content that stay, as they are not older.
        left: u64 = outcome.left,
        /// Whether files that were asked for are left out where it is shared, and so are not in it.
        lacks: bool = outcome.lacks,
        /// How long it took, without `waited`.
        seconds: f64 = outcome.elapsed.as_secs_f64(),
        /// How long it waited for another transfer of the same, in seconds.
        waited: f64 = outcome.waited.as_secs_f64(),
        /// Who gave.
        providers: Vec<Given> = all(&outcome.providers, Given::of),
        /// Where it was looked up: the plane whose word counted; null of an id.
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
        /// With `-n`: each file that was asked for.
        plan: &'a [PreviewFile] = &preview.files,
        /// With `-n`: bytes that would be fetched.
        to_come: u64 = preview.to_come,
        /// With `-n`: bytes that an earlier run left.
        kept: u64 = preview.kept,
        /// With `-n`: files that would keep it from doing anything.
        in_the_way: usize = preview.in_the_way(),
        /// With `-n`: everyone who has it, or parts of it.
        holders: Vec<Holding> = all(&preview.holders, Holding::of),
        /// With `-n`: when it was last changed, as `modified` of `hit`.
        modified: Option<u64> = preview.modified.map(Modified::seconds),
        /// With `-n`: whether another process fetches the same to the same place.
        busy: bool = preview.busy.is_some(),
    }
}

view! {
    /// A transfer that the running node carries out by itself.
    JobLine<'a>(job: &'a JobRow, why: Option<String>) {
        /// Its number.
        id: JobId = job.id,
        /// What it is called, once known.
        name: Option<&'a SafePath> = job.name.as_ref(),
        /// What was asked for: an id or words.
        what: String = job.what.to_string(),
        /// Where it goes.
        output: Option<Cow<'a, str>> = job.output.as_deref().map(Path::to_string_lossy),
        /// How it stands.
        state: JobState = job.state,
        /// Proven so far.
        bytes: u64 = job.bytes,
        /// Bytes altogether; 0 while unknown.
        total: u64 = job.total,
        /// Bytes a second, lately.
        rate: u64 = job.rate,
        /// The most bytes a second that it may take; null where only the node is limited.
        limit: Option<u64> = job.limit.map(Rate::get),
        /// How many give.
        providers: u64 = job.providers,
        /// In how many seconds it is tried again by itself.
        again_s: Option<u64> = job.again.map(|again| again.as_secs()),
        /// What went wrong last.
        code: Option<ErrorCode> = job.error.as_ref().map(crate::node::Error::code),
        /// The same for people.
        message: Option<String> = why,
    }
}

view! {
    /// Something that the running node offers, or keeps for that. Of what cannot be offered now only its path is known.
    SharedLine<'a>(row: &'a SharedRow, path: &'a Path, root: Option<&'a SharedRoot>) {
        /// What it is offered under.
        name: Option<&'a SafePath> = root.map(|root| &root.name),
        /// Where it is.
        path: Cow<'a, str> = path.to_string_lossy(),
        /// File or collection.
        kind: Option<Kind> = root.map(|root| root.kind),
        /// Its content id; none until all of it is hashed.
        id: Option<ContentId> = root.and_then(|root| root.id),
        /// How many files.
        files: Option<u64> = root.map(|root| root.files),
        /// How many bytes they have together.
        bytes: Option<u64> = root.map(|root| root.bytes),
        /// How many of these are not hashed yet.
        missing_bytes: Option<u64> = root.map(|root| root.missing_bytes),
        /// Whether friends alone may have it.
        friends_only: Option<bool> = root.map(|root| root.audience.is_friends()),
        /// The most bytes a second that are sent of it; null where only the node is limited.
        limit: Option<u64> = root.and_then(|root| root.limit).map(Rate::get),
        /// Since when, in seconds since 1970 UTC.
        since: Option<u64> = root.map(|root| root.since.as_secs()),
        /// Whether it is offered at the next start, too.
        kept: bool = row.offer.kept,
        /// Whether nothing is at its path now.
        gone: Option<bool> = root.map(|root| root.gone),
        /// How often it was fetched since the node began, or something of it.
        fetched: u64 = row.fetched.times,
        /// By whom last.
        last: Option<NodeId> = row.fetched.last.map(|(node, _)| node),
        /// When, in seconds since 1970 UTC.
        last_at: Option<u64> = row.fetched.last.map(|(_, at)| at.as_secs()),
    }
}

view! {
    /// How far a transfer is. Hashing proves nothing, so it is no part of `bytes`.
    Reached(progress: &Progress) {
        /// Proven so far, with those that earlier runs have noted, which are taken off where the disk has lost them.
        bytes: u64 = progress.bytes,
        /// Those of this run.
        fetched: u64 = progress.fetched,
        /// Bytes altogether; 0 while unknown.
        total: u64 = progress.total,
        /// Bytes a second, lately.
        rate: u64 = progress.rate,
        /// Whom it is connected to, or was.
        providers: Vec<Giving> = all(&progress.providers, Giving::of),
        /// How far hashing is, of what is here or at a provider; no part of `bytes`.
        hashing: Option<Hashing> = progress.hashing,
    }
}

view! {
    /// Where the time of a `get` went; what limited it most is the first share. Seconds, microseconds, bytes.
    Explained(outcome: &Outcome) {
        /// What limited it most: the first of `shares`.
        limit: Option<&'static str> = outcome.shares.first().map(|share| share.cause.word()),
        /// Parts of the time, the greatest first.
        shares: Vec<Spent> = all(&outcome.shares, Spent::of),
        /// The paths to those who gave.
        paths: Vec<Way> = all(&outcome.providers, Way::of),
    }
}

view! {
    /// A provider of a transfer that has ended.
    Given(provider: &ProviderProgress) {
        /// Who.
        node: NodeId = provider.node,
        /// From where.
        addr: SocketAddr = provider.addr,
        /// Bytes that it brought in this run and that were proven.
        bytes: u64 = provider.bytes,
    }
}

view! {
    /// One of a transfer under way; `state` is why it gives nothing now: `busy`, `changed`, `hashing`, `unreachable`…
    Giving(provider: &ProviderProgress) {
        #[serde(flatten)]
        given: Given = Given::of(provider),
        /// Its bytes a second, lately.
        rate: u64 = provider.rate,
        /// Why it gives nothing now: `busy`, `changed`, `failing`, `forbidden`, `gone`, `hashing`, `lied`, `lost`, `partial`, `refused`, `silent`, `size_differs`, `slow`, `unreachable`, `unreadable`.
        state: Option<&'static str> = provider.why.map(Why::word),
    }
}

view! {
    /// The path to one.
    Way(provider: &ProviderProgress) {
        #[serde(flatten)]
        given: Given = Given::of(provider),
        /// The round trip, in microseconds.
        rtt_us: u64 = micros(provider.rtt),
        /// The UDP payload in bytes that it carries.
        mtu: u16 = provider.mtu,
        /// The most connections that were open at a time.
        connections: usize = provider.connections,
    }
}

view! {
    /// A share of the time of a transfer; a provider's has its node.
    Spent(spent: &Share) {
        /// Of what: `looking`, `connecting`, `comparing`, `no_provider`, `provider`, `network`, `hashing`, `disk`, `limit`, `finishing`.
        what: &'static str = spent.cause.word(),
        /// Which provider.
        node: Option<NodeId> = if let Cause::Provider(node) = spent.cause { Some(node) } else { None },
        /// From 0 to 1.
        share: f64 = f64::from(spent.permille) / 1000.0,
        /// How long.
        seconds: f64 = spent.time.as_secs_f64(),
    }
}

view! {
    /// Who has something, and whether all of it, where it was asked.
    Holding(holder: &Holder) {
        /// Who.
        node: NodeId = holder.node,
        /// Where, if that is known.
        addr: Option<SocketAddr> = holder.addrs.first().copied(),
        /// Whether all of it is there; null where it was not asked.
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
        /// Its content id; null until its provider has hashed it.
        id: Option<ContentId> = hit.id,
        /// The first of `names`.
        name: Option<&'a SafePath> = hit.names.first(),
        /// What providers call it.
        names: &'a [SafePath] = &hit.names,
        /// Bytes; of a collection those of its files.
        size: u64 = hit.size,
        /// A file or a directory.
        kind: Kind = hit.kind,
        /// When its bytes were last changed, of a collection those of its youngest file, as those who offer it say: the earliest date that any of them tells, in seconds since 1970 UTC; null where none does.
        modified: Option<u64> = hit.modified.map(Modified::seconds),
        /// Whether it needs a password.
        locked: bool = hit.locked,
        /// Who has it.
        providers: Vec<Holding> = all(holders, Holding::of),
        /// Where it was learned of; null where nobody else was asked.
        plane: Option<Plane> = found,
    }
}

view! {
    /// A node that is known.
    Known<'a>(peer: &Peer, names: &'a Names) {
        /// Its node id.
        node: NodeId = peer.node,
        /// The friend's name.
        name: Option<&'a str> = names.of(peer.node),
        /// Where it is, if that is known.
        addr: Option<SocketAddr> = peer.addrs.first().copied(),
        /// How many things it offers to everybody.
        offers: u64 = peer.offers,
    }
}

view! {
    /// A node that is near; `by` tells of it where it is not a neighbour itself.
    Near<'a>(row: &NearRow, names: &'a Names) {
        /// Its node id.
        node: NodeId = row.peer.node,
        /// The friend's name.
        name: Option<&'a str> = names.of(row.peer.node),
        /// Where it is, if that is known.
        addr: Option<SocketAddr> = row.peer.addrs.first().copied(),
        /// Who began it; null of a node that is no neighbour itself.
        direction: Option<Direction> = row.direct.map(|direct| direct.direction),
        /// The round trip, in microseconds.
        rtt_us: Option<u64> = row.direct.map(|direct| micros(direct.rtt)),
        /// How long it has been a neighbour.
        seconds: Option<f64> = row.direct.map(|direct| direct.since.as_secs_f64()),
        /// How many things it offers to everybody.
        offers: u64 = row.peer.offers,
        /// The neighbour that tells of it, where it is none itself.
        by: Option<NodeId> = row.by,
    }
}

view! {
    /// A node takes a content from this one, or has taken what it wanted: `bytes` of its `size`; it is whole when as many
    /// were acknowledged as the content has.
    Uploaded<'a>(stands: UploadState, upload: &'a Upload, names: &'a Names) {
        /// Which of both.
        state: UploadState = stands,
        /// Its content id.
        id: ContentId = upload.id,
        /// Its name here.
        name: Option<&'a SafePath> = upload.name.as_ref(),
        /// Who fetches.
        node: NodeId = upload.node,
        /// The friend's name.
        friend: Option<&'a str> = names.of(upload.node),
        /// From where.
        addr: SocketAddr = upload.addr,
        /// Bytes that it has acknowledged, so far or altogether.
        bytes: u64 = upload.bytes,
        /// Bytes that it has.
        size: u64 = upload.size,
        /// How long, so far or altogether.
        seconds: f64 = upload.elapsed.as_secs_f64(),
        /// Whether as many were acknowledged as it has.
        whole: bool = upload.is_whole(),
    }
}

view! {
    /// A friend; `addr` as it was given.
    Named<'a>(friend: &'a Friend) {
        /// The friend's name.
        name: &'a str = friend.name.as_str(),
        /// The node id.
        node: NodeId = friend.node,
        /// As it was given, if it was.
        addr: Option<String> = friend.at.as_ref().map(PeerTarget::host_port),
    }
}

view! {
    /// One test of a bench; `rate` in bytes a second, processor time in seconds, round trips in microseconds.
    Tested(row: &BenchRow) {
        /// `memory` or `file`.
        test: &'static str = row.test(),
        /// `upload` or `download`.
        direction: &'static str = row.direction(),
        /// How many went over.
        bytes: u64 = row.bytes,
        /// How long that took.
        seconds: f64 = row.elapsed.as_secs_f64(),
        /// Bytes a second.
        rate: u64 = mean_rate(row.bytes, row.elapsed),
        /// Bits a second.
        bits: u64 = mean_rate(row.bytes, row.elapsed).saturating_mul(8),
        /// Processor time of this end, in seconds.
        cpu_here: f64 = row.cpu_here.as_secs_f64(),
        /// That of the other end.
        cpu_there: f64 = row.cpu_there.as_secs_f64(),
        /// The round trip meanwhile, in microseconds.
        rtt_us: u64 = micros(row.rtt),
        /// The UDP payload in bytes that the path carries.
        mtu: u16 = row.mtu,
        /// Packets that the sender sent.
        sent: u64 = row.sent,
        /// Those of them that were lost.
        lost: u64 = row.lost,
        /// Memory of this end at most, in bytes.
        memory_here: u64 = row.memory_here,
        /// That of the other end.
        memory_there: u64 = row.memory_there,
    }
}

view! {
    /// The end of a bench; the round trip is that of the idle network.
    Benched(report: &BenchReport, at: String) {
        /// The other end.
        node: NodeId = report.node,
        /// As it was given.
        addr: String = at,
        /// How many tests there were.
        tests: u64 = report.rows.len() as u64,
        /// The round trip of the idle network, in microseconds.
        rtt_us: u64 = micros(report.rtt),
    }
}

pub(crate) fn all<T, V>(values: &[T], view: impl Fn(&T) -> V) -> Vec<V> {
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

/// The line to paste that fetches an offer, by its id or its name, from this node alone.
pub(crate) fn paste(what: impl fmt::Display, node: NodeId, addr: SocketAddr) -> String {
    format!("qshare get {what} --from {node}@{addr}")
}

#[cfg(test)]
mod tests;
