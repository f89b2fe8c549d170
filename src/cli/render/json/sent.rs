//! What programs are told of what is sent to single nodes, here and there.

use std::borrow::Cow;

use crate::cli::say::names::Names;
use crate::model::{ContentId, Kind, NodeId, SafePath};
use crate::node::{InboxRow, JobId, PutProgress, Receiver, Receiving, Standing};
use crate::wire::PutItem;

view! {
    /// Something that another node offers to this one's person.
    InboxLine<'a>(row: &'a InboxRow, names: &'a Names, why: Option<String>) {
        /// Its number, for `inbox accept` and `inbox decline`.
        number: u32 = row.number,
        /// Who offers it.
        node: NodeId = row.entry.from,
        /// The friend's name.
        name: Option<&'a str> = names.of(row.entry.from),
        /// How it stands.
        state: Standing = row.entry.state,
        /// What it is.
        items: Vec<InboxItem<'a>> = row.entry.put.items.iter().map(InboxItem::of).collect(),
        /// Its message; empty where there is none.
        text: &'a str = &row.entry.put.text,
        /// Files, as whoever offers it says.
        files: u64 = row.entry.files(),
        /// Bytes, likewise.
        bytes: u64 = row.entry.bytes(),
        /// Bytes of it that are there.
        have: u64 = row.entry.have,
        /// When it came, in seconds since 1970 UTC.
        since: u64 = row.entry.since.as_secs(),
        /// Where its contents go or are, in the order of `items`; nothing before it was accepted.
        outputs: Vec<Cow<'a, str>> = row.entry.outputs.iter().map(|path| path.to_string_lossy()).collect(),
        /// The transfers of them, as `jobs` has them.
        jobs: &'a [JobId] = &row.entry.jobs,
        /// Which of its jobs does not go on, for `jobs retry`.
        stuck: Option<JobId> = row.trouble.as_ref().map(|(job, _)| *job),
        /// Why that one does not.
        message: Option<String> = why,
    }
}

view! {
    /// How what is sent stands at one of those to whom it goes.
    PutLine<'a>(receiver: &'a Receiver, progress: &PutProgress, names: &'a Names, why: Option<String>) {
        /// Its number, for `put --cancel`, where it was left to the running node.
        number: Option<u32> = progress.number,
        /// As it was given.
        peer: String = receiver.peer.to_string(),
        /// Who that is, once known.
        node: Option<NodeId> = receiver.node,
        /// The friend's name.
        name: Option<&'a str> = receiver.node.and_then(|node| names.of(node)),
        /// How it stands.
        state: Receiving = receiver.state,
        /// Bytes that are there.
        bytes: u64 = receiver.bytes,
        /// Bytes altogether; 0 while unknown.
        total: u64 = progress.total,
        /// Why it cannot be told, or does not take it.
        message: Option<String> = why,
    }
}

view! {
    /// One content that a node offers to this one's person.
    InboxItem<'a>(item: &'a PutItem) {
        /// What it is called.
        name: &'a SafePath = &item.name,
        /// Its content id.
        id: ContentId = item.id,
        /// A file or a directory.
        kind: Kind = item.kind,
        /// Its bytes.
        size: u64 = item.size,
        /// Its files.
        files: u32 = item.files,
    }
}
