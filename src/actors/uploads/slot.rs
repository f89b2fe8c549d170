//! What the pool of uploads grants: guards that give back what they stand for when they are dropped, wherever that is.
//! A slot's guard also says whom its upload waits for, so that the pool can tell a peer that does not read from a disk
//! that is slow, and how much the peer has acknowledged: atomic stores for each buffer, no message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ractor::ActorRef;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{Asking, Message};
use crate::actors::start::Farewell;
use crate::io::net::link::WeakLink;
use crate::logic::limits::slots::{Ticket, View};

/// Not waiting for the peer.
const OURS: u64 = u64::MAX;

/// The right to serve one request; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    pool: ActorRef<Message>,
    ticket: Ticket,
    standing: Arc<UploadState>,
    whole: AtomicBool,
}

/// How an upload stands, as its task and the pool both see it.
#[derive(Debug)]
struct UploadState {
    started: Instant,
    /// Since when the peer is waited for, in milliseconds after `started`.
    since: AtomicU64,
    recall: Notify,
    /// Bytes of the content that the peer acknowledged and that were not counted yet.
    taken: AtomicU64,
    /// Bytes that were written, or are about to be, and are not acknowledged.
    outstanding: AtomicU64,
    /// There are fewer of them.
    fewer: Notify,
    /// What is dropped from now on was not acknowledged.
    abandoned: AtomicBool,
}

/// Bytes that QUIC keeps until they are acknowledged, or their stream is reset, or the connection has ended.
struct Unacknowledged {
    bytes: Bytes,
    /// How many of the content are among them.
    content: u64,
    standing: Arc<UploadState>,
}

impl AsRef<[u8]> for Unacknowledged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Unacknowledged {
    fn drop(&mut self) {
        self.standing.outstanding.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
        self.standing.fewer.notify_one();
        if !self.standing.abandoned.load(Ordering::Relaxed) {
            self.standing.taken.fetch_add(self.content, Ordering::Relaxed);
        }
    }
}

impl UploadState {
    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(OURS - 1)
    }
}

impl Slot {
    pub(super) fn new(
        pool: ActorRef<Message>,
        ticket: Ticket,
        Asking { link, .. }: Asking,
        (started, number): (Instant, u64),
    ) -> (Self, Upload) {
        let (since, taken, outstanding, abandoned) = Default::default();
        let (recall, fewer) = Default::default();
        let standing = UploadState { started, since, recall, taken, outstanding, fewer, abandoned };
        let standing = Arc::new(standing);
        let upload = Upload { standing: Arc::clone(&standing), number, link, acknowledged: 0, view: View::default() };
        let slot = Self { pool, ticket, standing, whole: AtomicBool::new(false) };
        slot.waits();
        (slot, upload)
    }

    /// From now on the upload waits for its peer, which has just taken something or is about to be given the first.
    pub fn waits(&self) {
        self.standing.since.store(self.standing.millis(), Ordering::Relaxed);
    }

    /// The upload waits for this side: a disk, a buffer, the user's limit.
    pub fn works(&self) {
        self.standing.since.store(OURS, Ordering::Relaxed);
    }

    /// These bytes, to be written to the stream; so many of the content are among them, and count once the peer has
    /// acknowledged all of these. What is written is only buffered, and a peer that is gone took nothing of it.
    #[must_use]
    pub fn counted(&self, bytes: Bytes, content: u64) -> Bytes {
        self.standing.outstanding.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Unacknowledged { bytes, content, standing: Arc::clone(&self.standing) })
    }

    /// Resolves when the peer has acknowledged all that was written but so many bytes.
    pub async fn taken_but(&self, most: u64) {
        while self.standing.outstanding.load(Ordering::Relaxed) > most {
            // Kept where it comes before this.
            self.standing.fewer.notified().await;
        }
    }

    /// The stream is about to be reset: what of it was not acknowledged will be dropped, and is not counted.
    pub fn abandon(&self) {
        self.standing.abandoned.store(true, Ordering::Relaxed);
    }

    /// The peer has everything.
    pub fn is_whole(&self) {
        self.whole.store(true, Ordering::Relaxed);
    }

    /// Resolves when the slot is wanted for others: the upload is to be broken off with Busy.
    pub async fn recalled(&self) {
        self.standing.recall.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Whoever serves the stream has its link still, and the link what was not acknowledged.
        self.abandon();
        // A stopped pool needs no slot back.
        let _ = self.pool.cast(Message::Release(self.ticket, *self.whole.get_mut()));
    }
}

/// The pool's side of a slot.
#[derive(Debug)]
pub(super) struct Upload {
    standing: Arc<UploadState>,
    /// Of which upload it is, as people think of it.
    pub(super) number: u64,
    link: Option<WeakLink>,
    /// Frames of acknowledgements that had come when something was last known to arrive.
    acknowledged: u64,
    view: View,
}

impl Upload {
    /// Takes note of what has gone out. It counts once anything is acknowledged: QUIC sends the same again and again to
    /// one that only lives.
    pub(super) fn sample(&mut self) {
        let since = self.standing.since.load(Ordering::Relaxed);
        let blocked = (since != OURS).then(|| self.standing.millis().saturating_sub(since));
        self.view.blocked = blocked.map(Duration::from_millis);
        let Some(link) = self.link.as_ref().and_then(WeakLink::upgrade) else { return };
        let stats = link.connection().stats();
        if stats.frame_rx.acks != self.acknowledged {
            (self.acknowledged, self.view.sent) = (stats.frame_rx.acks, stats.udp_tx.bytes);
        }
        self.view.rtt = stats.path.rtt;
    }

    /// Bytes of the content that the peer acknowledged since the last call.
    pub(super) fn newly_taken(&self) -> u64 {
        self.standing.taken.swap(0, Ordering::Relaxed)
    }

    pub(super) const fn view(&self) -> View {
        self.view
    }

    /// Has the task break it off.
    pub(super) fn recall(&self) {
        // Kept until the task looks.
        self.standing.recall.notify_one();
    }
}

/// Those who fetch a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Crowd {
    /// How many nodes.
    pub nodes: u32,
    /// On how many streams they are told so.
    pub streams: u32,
}

/// A node's place among those who fetch a content; left when dropped.
#[derive(Debug)]
pub struct Seat {
    /// How many fetch it now.
    pub fetching: watch::Receiver<Crowd>,
    pub(super) _end: Farewell<Message>,
}
