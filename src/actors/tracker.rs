//! What a tracker answers. One function a request; what is known is the directory's.
//! Invariant: at most `PAGES` announced pages, and as many searches as [`Reads`] lets run, are in memory at once.
//! Who is let in is judged after the handshake, and again at each request: a list may have changed meanwhile.

use quinn::RecvStream;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::actors::circle::Circle;
use crate::actors::dial_back::{DialBack, Probe};
use crate::actors::directory::{DirectoryRef, Place};
use crate::actors::reads::Reads;
use crate::actors::serve::{Answers, Stream};
use crate::actors::time_of_day;
use crate::io::frames::{self, CallError};
use crate::io::link::Link;
use crate::logic::directory::{AskerView, Snapshot};
use crate::model::address::is_loopback;
use crate::model::{NodeId, Query};
use crate::wire::{
    Announce, Announced, Code, Delta, FilesOf, Follow, Locate, Part, Peers, Refusal, Renew, Request, Search, Withdraw,
    decode, limits,
};

/// Pages of announcements that are being received.
const PAGES: usize = 32;
/// Pages of announcements that are decoded and taken: a page of tiny names is many times larger in memory.
const TURNS: usize = 2;
/// After how long a node that found the directory full may ask again.
const BUSY_RETRY_MS: u32 = 5000;

/// The tracker role.
pub struct TrackerAnswers {
    directory: DirectoryRef,
    circle: Circle,
    dial_back: DialBack,
    pages: Semaphore,
    turns: Semaphore,
    reads: Reads,
}

impl TrackerAnswers {
    /// Answers these nodes from a directory; addresses are published when `probe` reaches them.
    #[must_use]
    pub fn new(directory: DirectoryRef, circle: Circle, probe: Probe) -> Self {
        let [pages, turns] = [PAGES, TURNS].map(Semaphore::new);
        Self { directory, circle, dial_back: DialBack::new(probe), pages, turns, reads: Reads::default() }
    }
}

impl Answers for TrackerAnswers {
    async fn answer(&self, link: &Link, request: Request, stream: Stream) {
        if !self.circle.serves(link.peer()) {
            return stream.refuse(Code::Forbidden).await;
        }
        match request {
            Request::Announce(head) => self.announce(link, head, stream).await,
            Request::Clock(_) => time_of_day::tell(stream).await,
            Request::FilesOf(files) => self.files_of(link, files, stream).await,
            Request::Follow(follow) => self.follow(link, &follow, stream).await,
            Request::Locate(Locate { id }) => {
                let asker = view(link);
                self.read(stream, move |snapshot| Ok(snapshot.locate(id, asker, rand::random()))).await;
            }
            Request::Peers(Peers { after }) => {
                let asker = view(link);
                self.read(stream, move |snapshot| Ok(snapshot.peers(after, asker))).await;
            }
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
        let place = Place { node, epoch: head.epoch, seq: head.seq };
        self.directory.announce(node, head.clone()).await?;
        while self.page(place, pages).await? {}
        let tally = self.directory.complete(place).await?;
        let reachable = if head.full || !head.candidates.is_empty() {
            let reached = self.dial_back.reached(&self.directory, node, link.remote(), head.port, &head.candidates);
            let reached = reached.await;
            self.directory.publish(node, head.epoch, reached.clone()).await;
            reached
        } else {
            self.directory.snapshot().addresses_of(node)
        };
        let lease_ms = u32::try_from(tally.lease.as_millis()).unwrap_or(u32::MAX);
        Ok(Announced { taken: tally.taken, refused: tally.refused, lease_ms, reachable })
    }

    /// Receives and takes one page; `false` at the stream's end.
    async fn page(&self, place: Place, pages: &mut RecvStream) -> Result<bool, Code> {
        let received = frames::receive_value(pages, limits::PAGE, &self.pages).await;
        let Some((value, _page)) = received.map_err(|error| error.code())? else { return Ok(false) };
        let _turn = self.turns.acquire().await.map_err(|_| Code::Closing)?;
        let delta: Delta = decode(&value).map_err(|error| CallError::from(error).code())?;
        self.directory.apply(place, delta).await?;
        Ok(true)
    }

    async fn search(&self, link: &Link, search: &Search, stream: Stream) {
        let Ok(query) = Query::parse(&search.words) else { return stream.refuse(Code::BadRequest).await };
        let (asker, limit, skip) = (view(link), search.limit, search.skip);
        self.read(stream, move |snapshot| Ok(snapshot.search(&query, limit, skip, asker, rand::random()))).await;
    }

    async fn files_of(&self, link: &Link, files: FilesOf, stream: Stream) {
        let node: NodeId = files.node.unwrap_or_else(|| link.peer());
        let read = move |snapshot: Snapshot| snapshot.files_of(node, files.after.as_ref()).ok_or(Code::NotFound);
        self.read(stream, read).await;
    }

    async fn follow(&self, link: &Link, follow: &Follow, mut stream: Stream) {
        let part = Part { id: follow.id, kind: follow.kind, size: follow.size };
        let mut subscription = match self.directory.follow(part, link.peer(), view(link)).await {
            Ok(subscription) => subscription,
            Err(code) => return stream.refuse(Refusal { code, retry_ms: BUSY_RETRY_MS }).await,
        };
        if let Err(code) = stream.stay() {
            return stream.refuse(Refusal { code, retry_ms: BUSY_RETRY_MS }).await;
        }
        if stream.grant((), limits::CONTROL).await.is_err() {
            return;
        }
        let mut event = Some(std::mem::take(&mut subscription.first));
        while let Some(news) = event {
            if frames::send(&mut stream.send, &news, limits::PAGE).await.is_err() {
                return;
            }
            let stopped = stream.send.stopped();
            event = tokio::select! {
                _ = stopped => None,
                event = subscription.events.recv() => event,
            };
        }
        stream.finish();
    }

    /// Answers with what a read of the snapshot gives, on a thread that may take its time.
    async fn read<T, F>(&self, stream: Stream, read: F)
    where
        T: Serialize + Send + 'static,
        F: FnOnce(Snapshot) -> Result<T, Code> + Send + 'static,
    {
        let directory = self.directory.clone();
        match self.reads.run(move || read(directory.snapshot())).await.unwrap_or(Err(Code::Internal)) {
            Ok(page) => stream.finish_with(page, limits::PAGE).await,
            Err(code) => stream.refuse(code).await,
        }
    }
}

fn view(link: &Link) -> AskerView {
    AskerView { loopback: is_loopback(link.remote().ip()), reached: link.local_ip() }
}
