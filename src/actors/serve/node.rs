//! What a node answers: its own offers, and the bytes of what is on its shelf.
//! One function a request; nothing here owns state.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::actors::index::IndexRef;
use crate::actors::limits::buffers::BufferPool;
use crate::actors::limits::gauges::Gauges;
use crate::actors::limits::pool::{Pool, who};
use crate::actors::limits::reads::{Going, Reads};
use crate::actors::limits::throttle::Throttle;
use crate::actors::neighbours::{NeighboursRef, talk};
use crate::actors::serve::clock;
use crate::actors::serve::inbox::InboxRef;
use crate::actors::serve::upload::{Sent, UnitWriter, UploadError, accepted_units};
use crate::actors::serve::watch::{remembered, tell_what_is_here};
use crate::actors::serve::{Answers, Pages, Stream, lasting_units};
use crate::actors::shelf::{Shelf, View};
use crate::actors::uploads::{Slot, UploadsRef};
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::io::share::source::Source;
use crate::logic::limits::inbox::Loss;
use crate::logic::limits::shares::{Limits, Who};
use crate::logic::offers::search::Window;
use crate::model::{ChunkList, ContentId, NodeId};
use crate::wire::{
    Answer, Code, Fetch, HitPage, Join, List, ListHead, Locate, Manifest, ManifestHead, Put, PutEvent, Refusal,
    Request, Resolve, ResolveEvent, Search, Times, TimesHead, Watch, encode, limits,
};

/// After how long a peer over its quota, or one that asks for what is being looked at again, may ask again.
const BUSY_RETRY_MS: u32 = 500;
/// What is written of a chunk list at a time: whatever the peer takes is a sign that it reads.
const PART: usize = 64 << 10;
/// Resolves under way; as many names wait in the index at most, and a getter waits for those of one collection.
const RESOLVES: Limits = Limits { all: 1024, network: 512, peer: 32, reserve: 256, modest: 1 };

/// The node role.
pub struct NodeAnswers {
    /// Whose offers they are.
    pub own: NodeId,
    /// What can be served, and to whom.
    pub shelf: Shelf,
    /// Hashes an offer first when asked to.
    pub index: IndexRef,
    /// Who stands beside this node.
    pub neighbours: NeighboursRef,
    /// Slots and counts.
    pub uploads: UploadsRef,
    /// The upload limit.
    pub throttle: Throttle,
    /// For reading ahead of streams.
    pub buffers: BufferPool,
    /// For searching beside the threads that move packets.
    pub reads: Reads,
    /// Room for answers on their way.
    pub pages: Pages,
    /// Room for those who wait for an id.
    pub resolves: Pool,
    /// What is for the person.
    pub inbox: InboxRef,
}

impl NodeAnswers {
    /// Has its owner see how much of it is in use.
    pub fn show(&self, gauges: &mut Gauges) {
        self.pages.show(gauges);
        self.reads.show(gauges);
        gauges.pool("waits for an id", &self.resolves);
        gauges.buffers("upload buffers", &self.buffers);
    }
}

/// What the end of a stream says of what was offered on it.
enum StreamEnd {
    /// Nothing: the sender asks again.
    Lost,
    /// The sender takes it back, by itself or because of such a loss.
    Withdrawn(Option<Loss>),
}

impl From<Code> for StreamEnd {
    fn from(code: Code) -> Self {
        match code {
            Code::Cancelled => Self::Withdrawn(None),
            Code::Changed => Self::Withdrawn(Some(Loss::Changed)),
            Code::NotFound => Self::Withdrawn(Some(Loss::Gone)),
            _ => Self::Lost,
        }
    }
}

/// Room for those who wait for an id.
pub fn resolves() -> Pool {
    Pool::new(RESOLVES)
}

impl Answers for NodeAnswers {
    fn is_friend(&self, node: NodeId) -> bool {
        self.shelf.access.has_friend(node)
    }

    async fn answer(&self, link: &Link, request: Request, stream: Stream) {
        // To be a neighbour is no service: what a neighbour asks is judged when it asks. What is for the person has rules of its own.
        // Whoever was named for a content has that, and nothing else.
        let is_open = matches!(request, Request::Join(_) | Request::Put(_));
        let is_given = || request.content().is_some_and(|id| self.view(link).is_given(id));
        if !is_open && !self.shelf.access.serves(link.peer()) && !is_given() {
            return stream.refuse(Code::Forbidden).await;
        }
        match request {
            Request::Clock(_) => clock::tell(stream).await,
            // What stays, and what is large, on the heap: else each stream would be as large as the largest.
            Request::Fetch(fetch) => Box::pin(self.fetch(link, fetch, stream)).await,
            Request::FilesOf(files) if files.node.is_some_and(|node| node != self.own) => {
                stream.refuse(Code::NotFound).await;
            }
            Request::FilesOf(files) => {
                self.read(link, stream, move |view, _| Some(view.files_of(files.after.as_ref()))).await;
            }
            Request::Join(join) => Box::pin(self.join(link, join, stream)).await,
            Request::List(list) => Box::pin(self.list(link, list, stream)).await,
            Request::Locate(locate) => self.locate(link, &locate, stream).await,
            Request::Manifest(manifest) => self.manifest(link, &manifest, stream).await,
            Request::Put(put) => Box::pin(self.put(link, put, stream)).await,
            Request::Resolve(resolve) => Box::pin(self.resolve(link, resolve, stream)).await,
            Request::Search(search) => self.search(link, &search, stream).await,
            Request::Times(times) => self.times(link, &times, stream).await,
            Request::Watch(watch) => Box::pin(self.watch(link, watch, stream)).await,
            Request::Announce(_)
            | Request::Bench(_)
            | Request::Follow(_)
            | Request::Peers(_)
            | Request::Renew(_)
            | Request::Withdraw(_) => stream.refuse(Code::Unsupported).await,
        }
    }
}

impl NodeAnswers {
    async fn search(&self, link: &Link, search: &Search, stream: Stream) {
        let Ok(query) = search.query() else { return stream.refuse(Code::BadRequest).await };
        let within = Window { limit: search.limit, skip: search.skip };
        self.read(link, stream, move |view, going| view.search(&query, within, going)).await;
    }

    async fn locate(&self, link: &Link, locate: &Locate, stream: Stream) {
        let id = locate.id;
        self.read(link, stream, move |view, _| Some(HitPage { hits: view.locate(id), more: 0 })).await;
    }

    /// The shelf as the other end may see it.
    fn view(&self, link: &Link) -> View {
        self.shelf.seen_by(Some(link.peer()))
    }

    /// Answers with what a read of the shelf gives.
    async fn read<T, F>(&self, link: &Link, stream: Stream, read: F)
    where
        T: Serialize,
        F: Fn(&View, Going<'_>) -> Option<T> + Clone + Send + 'static,
    {
        let view = self.view(link);
        let make = move |going: Going<'_>| {
            let encoded = encode(&Answer::Ok(read(&view, going)?), limits::PAGE);
            Some(encoded.map(Vec::into_boxed_slice).map_err(|_| Code::Internal))
        };
        stream.answer_with(link, self.pages.made(&self.reads, self.who(link), make)).await;
    }

    fn who(&self, link: &Link) -> Who {
        who(link, self.is_friend(link.peer()))
    }

    async fn resolve(&self, link: &Link, resolve: Resolve, mut stream: Stream) {
        let place = self.resolves.try_take(self.who(link), 1);
        if place.is_none() || stream.stay(lasting_units(0)).is_err() {
            return stream.refuse(busy()).await;
        }
        let view = self.view(link);
        let mut events = view.resolve(&self.index, resolve.name);
        let mut sent = stream.grant((), limits::CONTROL).await;
        while sent.is_ok()
            && let Some(event) = events.recv().await.map(|event| view.resolved(event))
        {
            let last = !matches!(event, ResolveEvent::Hashing(..));
            sent = frames::send(&mut stream.send, &event, limits::CONTROL).await;
            if last {
                break;
            }
        }
        stream.end(sent);
    }

    async fn manifest(&self, link: &Link, manifest: &Manifest, stream: Stream) {
        let view = self.view(link);
        let id = manifest.id;
        let found = tokio::task::spawn_blocking(move || view.manifest(id)).await;
        match found.unwrap_or(Err(Code::Internal)) {
            Ok((bytes, left_out)) => {
                let head = ManifestHead { len: bytes.len() as u64, left_out };
                // Everybody who asks is sent the same bytes in memory.
                send_raw(stream, head, Bytes::from_owner(bytes)).await;
            }
            Err(code) => stream.refuse(code).await,
        }
    }

    async fn times(&self, link: &Link, times: &Times, stream: Stream) {
        let source = self.view(link).source(times.id, times.size);
        let Some((source, mut stream)) = stream.unless_refused(source).await else { return };
        let Some(times) = source.times() else { return stream.refuse(Code::NotFound).await };
        let Ok(count) = u32::try_from(times.len()) else { return stream.refuse(Code::TooLarge).await };
        let room = self.pages.room_for(self.who(link), count as usize * size_of::<i64>()).await;
        let bytes: Vec<u8> = times.iter().flat_map(|time| time.to_be_bytes()).collect();
        match stream.grant(TimesHead { count }, limits::CONTROL).await {
            Ok(()) => stream.deliver(bytes.into(), room).await,
            failed => stream.end(failed),
        }
    }

    async fn watch(&self, link: &Link, watch: Watch, stream: Stream) {
        let view = self.view(link);
        let source = view.source(watch.id, watch.size);
        let Some((source, mut stream)) = stream.unless_refused(source).await else { return };
        if stream.stay(lasting_units(remembered(source.map().units()))).is_err() {
            return stream.refuse(busy()).await;
        }
        let Some(seat) = self.uploads.join(watch.id, link.peer()).await else {
            return stream.refuse(Code::Closing).await;
        };
        view.participant(watch.id, link);
        match stream.grant((), limits::CONTROL).await {
            Ok(()) => {
                let changes = view.changes(watch.id, watch.size);
                tell_what_is_here(stream, source, changes, seat).await;
            }
            failed => stream.end(failed),
        }
    }

    /// Answers a node that wants to be a neighbour, and talks with it until the end.
    async fn join(&self, link: &Link, join: Join, mut stream: Stream) {
        if let Err(code) = stream.stay(lasting_units(0)) {
            return stream.refuse(code).await;
        }
        let joined = stream.unless_refused(self.neighbours.join(link, join).await).await;
        let Some(((about, ticket), mut stream)) = joined else { return };
        match stream.grant(about, limits::CONTROL).await {
            Ok(()) => drop(talk(ticket, (stream.send, stream.recv)).await),
            failed => stream.end(failed),
        }
    }

    /// Takes something for the person, and tells what becomes of it.
    async fn put(&self, link: &Link, mut put: Put, mut stream: Stream) {
        if let Err(code) = stream.stay(lasting_units(0)) {
            return stream.refuse(code).await;
        }
        let (from, number, teller) = (link.peer(), put.put, link.teller());
        put.receivers.iter_mut().for_each(|other| other.addrs.retain(|addr| teller.may_tell(*addr)));
        let taken = self.inbox.offer((self.who(link), link.remote()), put).await;
        let Some((mut events, mut stream)) = stream.unless_refused(taken).await else { return };
        let mut sent = stream.grant((), limits::CONTROL).await;
        while sent.is_ok() {
            let event = *events.borrow_and_update();
            sent = frames::send(&mut stream.send, &event, limits::CONTROL).await;
            if matches!(event, PutEvent::Declined | PutEvent::Done) {
                break;
            }
            tokio::select! {
                changed = events.changed() => if changed.is_err() {
                    return stream.reset(Code::Closing);
                },
                // Nothing comes but the end.
                end = frames::receive::<()>(&mut stream.recv, limits::CONTROL) => {
                    if let Err(CallError::Reset(code)) = end
                        && let StreamEnd::Withdrawn(loss) = code.into()
                    {
                        self.inbox.withdraw(from, number, loss).await;
                    }
                    return;
                }
            }
        }
        stream.end(sent);
    }

    async fn list(&self, link: &Link, list: List, stream: Stream) {
        stream.queue_behind_earlier();
        let admitted = self.admit(link, list.id, list.size).await;
        let Some((upload, stream)) = stream.unless_refused(admitted).await else { return };
        let found = chunk_list(Arc::clone(&upload.source), list.unit).await;
        let Some(((list, last), mut stream)) = stream.unless_refused(found).await else { return };
        let sent = tokio::select! {
            biased;
            () = upload.slot.recalled() => Err(UploadError::Reset(Code::Busy)),
            sent = self.send_list(&list, last, &upload, &mut stream) => sent,
        };
        end(stream, sent, &upload.slot).await;
    }

    async fn send_list(&self, list: &ChunkList, last: u32, upload: &Upload, stream: &mut Stream) -> Sent {
        upload.slot.waits();
        let head = ListHead { chunks: list.layout().chunks() };
        stream.grant(head, limits::CONTROL).await.map_err(|_| UploadError::Gone)?;
        for part in list.as_bytes().chunks(PART) {
            upload.slot.waits();
            stream.send.write_all(part).await?;
        }
        self.writer(upload, &mut stream.send).bare(last).await
    }

    async fn fetch(&self, link: &Link, fetch: Fetch, mut stream: Stream) {
        stream.queue_behind_earlier();
        let mut stopped = pin!(stream.send.stopped());
        let admitted = tokio::select! {
            biased;
            _ = &mut stopped => return stream.reset(Code::Cancelled),
            admitted = self.admit(link, fetch.id, fetch.size) => admitted,
        };
        let Some((upload, stream)) = stream.unless_refused(admitted).await else { return };
        let units = accepted_units(&fetch, upload.source.map().units());
        let Some((units, mut stream)) = stream.unless_refused(units).await else { return };
        let sent = tokio::select! {
            biased;
            _ = stopped => Err(UploadError::Gone),
            () = upload.slot.recalled() => Err(UploadError::Reset(Code::Busy)),
            sent = self.send_units(&fetch, units, &upload, &mut stream) => sent,
        };
        end(stream, sent, &upload.slot).await;
    }

    /// Sends everything in order when everything may go, else what was sent least, one unit at a time.
    async fn send_units(&self, fetch: &Fetch, mut units: Vec<u32>, upload: &Upload, stream: &mut Stream) -> Sent {
        upload.slot.waits();
        stream.grant((), limits::CONTROL).await.map_err(|_| UploadError::Gone)?;
        let mut writer = self.writer(upload, &mut stream.send);
        if fetch.max as usize >= units.len() {
            for (first, count) in &fetch.units {
                self.uploads.sent(fetch.id, *first..first + count);
            }
            return writer.records(units).await;
        }
        units.retain(|unit| upload.source.has(*unit));
        for _ in 0..fetch.max {
            let Some(unit) = self.uploads.choose(fetch.id, units.clone()).await else { break };
            units.retain(|other| *other != unit);
            writer.records([unit]).await?;
        }
        Ok(())
    }

    async fn admit(&self, link: &Link, id: ContentId, size: u64) -> Result<Upload, Refusal> {
        let view = self.view(link);
        let source = view.source(id, size)?;
        let throttle = view.limit(id, size).map_or_else(|| self.throttle.clone(), |own| own.beneath(&self.throttle));
        let slot = self.uploads.admit(link, self.who(link), (id, size)).await.ok_or_else(busy)?;
        let given = view.is_given(id);
        let (link, who) = (link.clone(), self.who(link));
        Ok(Upload { source, slot, throttle, link, who, over: Box::new(move || view.is_over(id, given)) })
    }

    fn writer<'a>(&'a self, upload: &'a Upload, send: &'a mut quinn::SendStream) -> UnitWriter<'a> {
        let (buffers, index) = (&self.buffers, &self.index);
        let Upload { source, slot, throttle, link, who, over } = upload;
        let (source, room) = (Arc::clone(source), Arc::new(Semaphore::new(1)));
        UnitWriter { source, send, link, who: *who, buffers, throttle, index, slot, room, over, begun: false }
    }
}

/// What has its slot.
struct Upload {
    source: Arc<dyn Source>,
    slot: Slot,
    throttle: Throttle,
    link: Link,
    who: Who,
    /// Whether its peer is no longer to have it.
    over: Box<dyn Fn() -> bool + Send + Sync>,
}

const fn busy() -> Refusal {
    Refusal { code: Code::Busy, retry_ms: BUSY_RETRY_MS }
}

/// The chunk list of the file that begins at `unit`, and the file's last unit.
///
/// # Errors
/// BadRequest when no file with a list begins there; NotFound when its last unit is not here, or its list is not known yet;
/// Busy when a shared file has just been hashed again, so that its list is to be had in a moment.
async fn chunk_list(source: Arc<dyn Source>, unit: u32) -> Result<(Arc<ChunkList>, u32), Refusal> {
    let place = source.map().place(unit).filter(|place| place.chunk.0 == 0).ok_or(Code::BadRequest)?;
    let file = source.map().files()[place.file];
    if !file.layout.needs_list() {
        return Err(Code::BadRequest.into());
    }
    let last = file.units().end - 1;
    if !source.has(last) {
        return Err(Code::NotFound.into());
    }
    let absent = if source.growth().is_none() { busy() } else { Code::NotFound.into() };
    let list = tokio::task::spawn_blocking(move || source.list(place.file)).await.map_err(|_| Code::Internal)?;
    Ok((list.ok_or(absent)?, last))
}

async fn send_raw<T: Serialize>(mut stream: Stream, head: T, bytes: Bytes) {
    let mut sent = stream.grant(head, limits::CONTROL).await;
    if sent.is_ok() {
        sent = frames::write(&mut stream.send, bytes).await;
    }
    stream.end(sent);
}

/// Ends the stream; returns when the peer has all of it, so that a slot is held until then, or when the slot is wanted for
/// others.
async fn end(mut stream: Stream, sent: Sent, slot: &Slot) {
    let broken_off = match sent {
        Ok(()) => {
            stream.finish();
            slot.waits();
            let stopped = stream.send.stopped();
            tokio::select! {
                () = slot.recalled() => Code::Busy,
                stopped = stopped => {
                    // An error says that the peer has gone.
                    return if matches!(stopped, Ok(None)) { slot.is_whole() };
                }
            }
        }
        Err(UploadError::Gone) => Code::Cancelled,
        Err(UploadError::Reset(code)) => code,
    };
    slot.abandon();
    stream.reset(broken_off);
}
