//! What a node answers: its own offers, and the bytes of what is on its shelf.
//! One function a request; nothing here owns state.

use std::sync::Arc;

use serde::Serialize;

use crate::actors::audience::tell_what_is_here;
use crate::actors::buffers::BufferPool;
use crate::actors::circle::Circle;
use crate::actors::index::IndexRef;
use crate::actors::neighbours::NeighboursRef;
use crate::actors::reads::Reads;
use crate::actors::serve::{Answers, Stream};
use crate::actors::shelf::Shelf;
use crate::actors::throttle::Throttle;
use crate::actors::time_of_day;
use crate::actors::upload::{UnitWriter, UploadError, accepted_units};
use crate::actors::uploads::{Slot, UploadsRef};
use crate::io::link::Link;
use crate::io::source::Source;
use crate::model::{ContentId, NodeId, Query, UnitIndex};
use crate::wire::{
    Code, Fetch, HitPage, List, ListHead, Locate, Manifest, ManifestHead, Refusal, Request, Resolve, ResolveEvent,
    Search, Times, TimesHead, Watch, limits,
};

/// After how long a peer over its quota, or one that asks for what is being looked at again, may ask again.
const BUSY_RETRY_MS: u32 = 500;

/// The node role.
pub struct NodeAnswers {
    /// Whose offers they are.
    pub own: NodeId,
    /// What can be served.
    pub shelf: Shelf,
    /// Hashes an offer first when asked to.
    pub index: IndexRef,
    /// Whom it serves.
    pub circle: Circle,
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
}

impl Answers for NodeAnswers {
    async fn answer(&self, link: &Link, request: Request, stream: Stream) {
        // To be a neighbour is no service: what a neighbour asks is judged when it asks.
        if !matches!(request, Request::Join(_)) && !self.circle.serves(link.peer()) {
            return stream.refuse(Code::Forbidden).await;
        }
        match request {
            Request::Clock(_) => time_of_day::tell(stream).await,
            Request::Fetch(fetch) => self.fetch(link.peer(), fetch, stream).await,
            Request::FilesOf(files) if files.node.is_some_and(|node| node != self.own) => {
                stream.refuse(Code::NotFound).await;
            }
            Request::FilesOf(files) => {
                stream.finish_with(self.shelf.index().files_of(files.after.as_ref()), limits::PAGE).await;
            }
            Request::Join(join) => self.neighbours.join(link, join, stream).await,
            Request::List(list) => self.list(link.peer(), list, stream).await,
            Request::Locate(locate) => self.locate(&locate, stream).await,
            Request::Manifest(manifest) => self.manifest(&manifest, stream).await,
            Request::Resolve(resolve) => self.resolve(resolve, stream).await,
            Request::Search(search) => self.search(&search, stream).await,
            Request::Times(times) => self.times(&times, stream).await,
            Request::Watch(watch) => self.watch(link, watch, stream).await,
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
    async fn search(&self, search: &Search, stream: Stream) {
        let Ok(query) = Query::parse(&search.words) else { return stream.refuse(Code::BadRequest).await };
        let (limit, skip) = (search.limit.min(limits::HITS), search.skip);
        self.read(stream, move |shelf| shelf.index().search(&query, limit, skip)).await;
    }

    async fn locate(&self, locate: &Locate, stream: Stream) {
        let id = locate.id;
        self.read(stream, move |shelf| HitPage { hits: shelf.locate(id), more: 0 }).await;
    }

    async fn read(&self, stream: Stream, read: impl FnOnce(Shelf) -> HitPage + Send + 'static) {
        let shelf = self.shelf.clone();
        match self.reads.run(move || read(shelf)).await {
            Some(page) => stream.finish_with(page, limits::PAGE).await,
            None => stream.refuse(Code::Internal).await,
        }
    }

    async fn resolve(&self, resolve: Resolve, mut stream: Stream) {
        let mut events = self.index.resolve(resolve.name);
        if let Err(code) = stream.stay() {
            return stream.refuse(Refusal { code, retry_ms: BUSY_RETRY_MS }).await;
        }
        if stream.grant((), limits::CONTROL).await.is_err() {
            return;
        }
        while let Some(event) = events.recv().await {
            let last = !matches!(event, ResolveEvent::Hashing(..));
            if crate::io::frames::send(&mut stream.send, &event, limits::CONTROL).await.is_err() || last {
                break;
            }
        }
        stream.finish();
    }

    async fn manifest(&self, manifest: &Manifest, stream: Stream) {
        let shelf = self.shelf.clone();
        let id = manifest.id;
        let found = tokio::task::spawn_blocking(move || shelf.manifest(id)).await;
        match found.unwrap_or(Err(Code::Internal)) {
            Ok((bytes, left_out)) => {
                let head = ManifestHead { len: bytes.len() as u64, left_out };
                send_raw(stream, head, &bytes).await;
            }
            Err(code) => stream.refuse(code).await,
        }
    }

    async fn times(&self, times: &Times, stream: Stream) {
        let source = match self.shelf.source(times.id, times.size) {
            Ok(source) => source,
            Err(code) => return stream.refuse(code).await,
        };
        let Some(times) = source.times() else { return stream.refuse(Code::NotFound).await };
        let Ok(count) = u32::try_from(times.len()) else { return stream.refuse(Code::TooLarge).await };
        let bytes: Vec<u8> = times.iter().flat_map(|time| time.to_be_bytes()).collect();
        send_raw(stream, TimesHead { count }, &bytes).await;
    }

    async fn watch(&self, link: &Link, watch: Watch, mut stream: Stream) {
        let source = match self.shelf.source(watch.id, watch.size) {
            Ok(source) => source,
            Err(code) => return stream.refuse(code).await,
        };
        if let Err(code) = stream.stay() {
            return stream.refuse(Refusal { code, retry_ms: BUSY_RETRY_MS }).await;
        }
        let Some(seat) = self.uploads.join(watch.id, link.peer()).await else {
            return stream.refuse(Code::Closing).await;
        };
        self.shelf.participant(watch.id, link);
        if stream.grant((), limits::CONTROL).await.is_ok() {
            let changes = self.shelf.changes(watch.id, watch.size);
            tell_what_is_here(stream, source, changes, seat).await;
        }
    }

    async fn list(&self, peer: NodeId, list: List, mut stream: Stream) {
        stream.queue_behind_earlier();
        let (source, _slot) = match self.admit(peer, list.id, list.size).await {
            Ok(admitted) => admitted,
            Err(refusal) => return stream.refuse(refusal).await,
        };
        let (list, last) = match chunk_list(Arc::clone(&source), list.unit).await {
            Ok(found) => found,
            Err(Code::Busy) => return stream.refuse(busy()).await,
            Err(code) => return stream.refuse(code).await,
        };
        let head = ListHead { chunks: list.layout().chunks() };
        if stream.grant(head, limits::CONTROL).await.is_err() || stream.send.write_all(list.as_bytes()).await.is_err() {
            return;
        }
        let mut writer = self.writer(source, &mut stream.send);
        let sent = writer.bare(last).await;
        end(stream, sent).await;
    }

    async fn fetch(&self, peer: NodeId, fetch: Fetch, mut stream: Stream) {
        stream.queue_behind_earlier();
        let (source, _slot) = match self.admit(peer, fetch.id, fetch.size).await {
            Ok(admitted) => admitted,
            Err(refusal) => return stream.refuse(refusal).await,
        };
        let units = match accepted_units(&fetch, source.map().units()) {
            Ok(units) => units,
            Err(code) => return stream.refuse(code).await,
        };
        if stream.grant((), limits::CONTROL).await.is_err() {
            return;
        }
        let stopped = stream.send.stopped();
        let sent = tokio::select! {
            _ = stopped => Err(UploadError::Gone),
            sent = self.send_units(&fetch, units, source, &mut stream.send) => sent,
        };
        end(stream, sent).await;
    }

    /// Sends everything in order when everything may go, else what was sent least, one unit at a time.
    async fn send_units(
        &self,
        fetch: &Fetch,
        mut units: Vec<u32>,
        source: Arc<dyn Source>,
        send: &mut quinn::SendStream,
    ) -> Result<(), UploadError> {
        let mut writer = self.writer(Arc::clone(&source), send);
        if fetch.max as usize >= units.len() {
            for (first, count) in &fetch.units {
                self.uploads.sent(fetch.id, *first..first + count);
            }
            return writer.records(units).await;
        }
        units.retain(|unit| source.has(UnitIndex(*unit)));
        for _ in 0..fetch.max {
            let Some(unit) = self.uploads.choose(fetch.id, units.clone()).await else { break };
            units.retain(|other| *other != unit);
            writer.records([unit]).await?;
        }
        Ok(())
    }

    async fn admit(&self, peer: NodeId, id: ContentId, size: u64) -> Result<(Arc<dyn Source>, Slot), Refusal> {
        let source = self.shelf.source(id, size)?;
        let slot = self.uploads.admit(peer).await.ok_or_else(busy)?;
        Ok((source, slot))
    }

    fn writer<'a>(&'a self, source: Arc<dyn Source>, send: &'a mut quinn::SendStream) -> UnitWriter<'a> {
        let (buffers, throttle, index) = (&self.buffers, &self.throttle, &self.index);
        UnitWriter { source, send, buffers, throttle, index, begun: false }
    }
}

const fn busy() -> Refusal {
    Refusal { code: Code::Busy, retry_ms: BUSY_RETRY_MS }
}

/// The chunk list of the file that begins at `unit`, and the file's last unit.
///
/// # Errors
/// BadRequest when no file with a list begins there; NotFound when its last unit is not here, or its list is not known yet;
/// Busy when a shared file has just been hashed again, so that its list is to be had in a moment.
async fn chunk_list(source: Arc<dyn Source>, unit: u32) -> Result<(Arc<crate::model::ChunkList>, u32), Code> {
    let place = source.map().place(UnitIndex(unit)).filter(|place| place.chunk.0 == 0).ok_or(Code::BadRequest)?;
    let file = source.map().files()[place.file];
    if !file.layout.needs_list() {
        return Err(Code::BadRequest);
    }
    let last = file.units().end - 1;
    if !source.has(UnitIndex(last)) {
        return Err(Code::NotFound);
    }
    let absent = if source.growth().is_none() { Code::Busy } else { Code::NotFound };
    let list = tokio::task::spawn_blocking(move || source.list(place.file)).await.map_err(|_| Code::Internal)?;
    Ok((list.ok_or(absent)?, last))
}

async fn send_raw<T: Serialize>(mut stream: Stream, head: T, bytes: &[u8]) {
    if stream.grant(head, limits::CONTROL).await.is_ok() && stream.send.write_all(bytes).await.is_ok() {
        stream.finish();
    }
}

/// Ends the stream; returns when the peer has all of it, so that a slot is held until then.
async fn end(mut stream: Stream, sent: Result<(), UploadError>) {
    match sent {
        Ok(()) => {
            stream.finish();
            // An error says that the peer has gone.
            let _ = stream.send.stopped().await;
        }
        Err(UploadError::Gone) => stream.reset(Code::Cancelled),
        Err(UploadError::Reset(code)) => stream.reset(code),
    }
}
