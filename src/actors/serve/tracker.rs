//! What a tracker answers. One function a request; what is known is the directory's.
//! Invariant: announced pages that are being received, answers on their way, and searches that run have places in pools
//! that are divided among peers and networks.
//! Who is let in is judged after the handshake, and again at each request: a list may have changed meanwhile.

use std::time::Duration;

use quinn::RecvStream;
use tokio::time::{Instant, timeout};

use crate::actors::access::Access;
use crate::actors::directory::{AnnouncementId, DirectoryRef, Reading, Window};
use crate::actors::limits::pool::{Pool, Taken, who};
use crate::actors::limits::reads::Reads;
use crate::actors::serve::clock;
use crate::actors::serve::dial_back::{DialBack, Probe};
use crate::actors::serve::{Answers, Pages, Stream, kib, lasting_units};
use crate::io::net::frames::{self, CallError, Incoming, REQUEST};
use crate::io::net::link::Link;
use crate::logic::addresses::AskerView;
use crate::logic::limits::shares::{Limits, Who};
use crate::model::address::is_loopback;
use crate::model::{Content, NodeId};
use crate::wire::{
    Announce, Announced, Code, Delta, FilesOf, Locate, Peers, Refusal, Renew, Request, Search, Withdraw, decode, limits,
};

/// What has come of announced pages, in KiB; a page is at most 1024. What is below [`FREE`] has no place.
const COMING: Limits = Limits { all: 32 << 10, network: 16 << 10, peer: 2 << 10, reserve: 8 << 10, modest: 1 << 10 };
/// Of a page, in bytes, what is received without a place: the pages of most nodes are smaller, and a claim holds nothing.
const FREE: usize = 4 << 10;
/// The rest is received in steps of so many bytes, each with a place: what has not come keeps nobody out.
const STEP: usize = 64 << 10;
/// So long a page waits for a place of its next step at most; then it gives way, with all that has come of it.
const ROOM: Duration = Duration::from_secs(2);
/// Pages of announcements that are decoded and taken: a page of tiny names is many times larger in memory.
const TURNS: Limits = Limits { all: 2, network: 2, peer: 1, reserve: 0, modest: 0 };
/// What is remembered about a follower, in bytes: the at most 50 nodes that it was told of, and events that wait.
const FOLLOWER: usize = 4 << 10;
/// After how long a node that found the directory full may ask again.
const BUSY_RETRY_MS: u32 = 5000;

/// The tracker role.
pub struct TrackerAnswers {
    directory: DirectoryRef,
    access: Access,
    dial_back: DialBack,
    coming: Pool,
    turns: Pool,
    pages: Pages,
    reads: Reads,
}

impl TrackerAnswers {
    /// Answers these nodes from a directory; addresses are published when `probe` reaches them.
    #[must_use]
    pub fn new(directory: DirectoryRef, access: Access, probe: Probe) -> Self {
        let [coming, turns] = [COMING, TURNS].map(Pool::new);
        let dial_back = DialBack::new(directory.clone(), probe);
        Self { directory, access, dial_back, coming, turns, pages: Pages::default(), reads: Reads::default() }
    }
}

impl Answers for TrackerAnswers {
    fn is_friend(&self, node: NodeId) -> bool {
        self.access.has_friend(node)
    }

    async fn answer(&self, link: &Link, request: Request, stream: Stream) {
        if !self.access.serves(link.peer()) {
            return stream.refuse(Code::Forbidden).await;
        }
        match request {
            Request::Announce(head) => Box::pin(self.announce(link, head, stream)).await,
            Request::Clock(_) => clock::tell(stream).await,
            Request::FilesOf(FilesOf { node, after }) => {
                self.read(link, stream, self.directory.files_of(node.unwrap_or_else(|| link.peer()), after)).await;
            }
            Request::Follow(content) => Box::pin(self.follow(link, content, stream)).await,
            Request::Locate(Locate { id }) => {
                self.read(link, stream, self.directory.locate(id, view(link))).await;
            }
            Request::Peers(Peers { after }) => {
                self.read(link, stream, self.directory.peers(after, view(link))).await;
            }
            Request::Put(_) => stream.refuse(Code::Unsupported).await,
            Request::Renew(Renew { epoch, seq }) => match self.directory.renew(link.peer(), epoch, seq).await {
                Ok(renewed) => stream.finish_with(renewed, limits::CONTROL).await,
                Err(code) => stream.refuse(code).await,
            },
            Request::Search(search) => self.search(link, &search, stream).await,
            Request::Withdraw(Withdraw { epoch }) => {
                self.directory.withdraw(link.peer(), epoch).await;
                stream.finish_with((), limits::CONTROL).await;
            }
            Request::Bench(_)
            | Request::Fetch(_)
            | Request::Join(_)
            | Request::List(_)
            | Request::Manifest(_)
            | Request::Resolve(_)
            | Request::Times(_)
            | Request::Watch(_) => stream.refuse(Code::Unsupported).await,
        }
    }
}

impl TrackerAnswers {
    async fn announce(&self, link: &Link, head: Announce, mut stream: Stream) {
        match self.taken(link, head, &mut stream.recv).await {
            Ok(announced) => stream.finish_with(announced, limits::CONTROL).await,
            Err(code) => {
                let refusal = Refusal { code, retry_ms: if code == Code::Busy { BUSY_RETRY_MS } else { 0 } };
                let Stream { send, recv, .. } = &mut stream;
                frames::refuse(send, recv, refusal).await;
            }
        }
    }

    async fn taken(&self, link: &Link, head: Announce, pages: &mut RecvStream) -> Result<Announced, Code> {
        if head.candidates.len() > limits::CANDIDATES {
            return Err(Code::BadRequest);
        }
        let node = link.peer();
        let place = AnnouncementId { node, epoch: head.epoch, seq: head.seq };
        self.directory.announce(self.who(link), head.clone()).await?;
        while self.page(place, self.who(link), pages).await? {}
        let tally = self.directory.complete(place).await?;
        let reachable = if head.full || !head.candidates.is_empty() {
            let reached = self.dial_back.reached(node, link.remote(), head.port, &head.candidates).await;
            self.directory.publish(node, head.epoch, reached.clone()).await;
            reached
        } else {
            self.directory.addresses_of(node).await
        };
        let lease_ms = u32::try_from(tally.lease.as_millis()).unwrap_or(u32::MAX);
        Ok(Announced { taken: tally.taken, refused: tally.refused, lease_ms, reachable })
    }

    /// Receives and takes one page; `false` at the stream's end.
    async fn page(&self, place: AnnouncementId, who: Who, pages: &mut RecvStream) -> Result<bool, Code> {
        let received = self.receive(who, pages).await.map_err(|error| error.code())?;
        let Some((value, held)) = received else { return Ok(false) };
        let _turn = self.turns.take(who, 1).await;
        let delta: Delta = decode(&value).map_err(|error| CallError::from(error).code())?;
        drop((value, held));
        self.directory.apply(place, delta).await?;
        Ok(true)
    }

    /// Receives one page, with the places of what has come of it.
    async fn receive(&self, who: Who, pages: &mut RecvStream) -> Result<Option<(Vec<u8>, Vec<Taken>)>, CallError> {
        let begun = timeout(REQUEST, Incoming::begin(pages, limits::PAGE)).await.map_err(|_| CallError::TimedOut)??;
        let Some(mut page) = begun else { return Ok(None) };
        page.read(pages, FREE).await?;
        let mut held = Vec::new();
        while page.missing() > 0 {
            let before = Instant::now();
            let next = self.coming.take(who, kib(page.missing().min(STEP)));
            let full = |_| CallError::Refused(Code::Busy.into());
            held.push(timeout(ROOM, next).await.map_err(full)?);
            page.forgive(before.elapsed());
            page.read(pages, STEP).await?;
        }
        Ok(Some((page.whole(pages).await?, held)))
    }

    async fn search(&self, link: &Link, search: &Search, stream: Stream) {
        let Ok(query) = search.query() else { return stream.refuse(Code::BadRequest).await };
        let within = Window { limit: search.limit, skip: search.skip };
        self.read(link, stream, self.directory.search(query, within, view(link))).await;
    }

    async fn follow(&self, link: &Link, content: Content, mut stream: Stream) {
        let later = |code| Refusal { code, retry_ms: BUSY_RETRY_MS };
        if let Err(code) = stream.stay(lasting_units(FOLLOWER)) {
            return stream.refuse(later(code)).await;
        }
        let followed = self.directory.follow(content, link.peer(), view(link)).await.map_err(later);
        let Some((mut subscription, mut stream)) = stream.unless_refused(followed).await else { return };
        if stream.grant((), limits::CONTROL).await.is_err() {
            return;
        }
        let mut event = Some(std::mem::take(&mut subscription.first));
        while let Some(news) = event {
            let sent = frames::send(&mut stream.send, &news, limits::PAGE).await;
            drop(news);
            if sent.is_err() {
                return stream.end(sent);
            }
            let stopped = stream.send.stopped();
            event = tokio::select! {
                _ = stopped => None,
                event = subscription.events.recv() => event,
            };
        }
        stream.finish();
    }

    /// Answers with a page of the directory.
    async fn read(&self, link: &Link, stream: Stream, reading: Reading) {
        let made = self.pages.made(&self.reads, self.who(link), move |going| reading(going));
        stream.answer_with(link, made).await;
    }

    fn who(&self, link: &Link) -> Who {
        who(link, self.access.has_friend(link.peer()))
    }
}

fn view(link: &Link) -> AskerView {
    AskerView { loopback: is_loopback(link.remote().ip()), reached: link.local_ip() }
}
