//! Brings a file's chunk list with its last chunk. The list counts when it merges to the file's id: for a claimed size
//! there is only one that does. That the size is the true one (the BLAKE3 root does not commit to it) shows when the
//! last chunk proves; a source whose last chunk does not prove lied.

use std::sync::Arc;

use bytes::Bytes;
use quinn::RecvStream;
use tokio::task::spawn_blocking;

use super::{Ask, FetchContext, Stop, stop_of};
use crate::actors::download::Message;
use crate::actors::download::clocks::Wait;
use crate::io::net::frames::{CallError, Pieces, receive_list};
use crate::logic::transfer::Fault;
use crate::model::units::UnitPlace;

/// Asks for a list and takes it in.
pub(crate) async fn fetch_list(context: Arc<FetchContext>, ask: Ask, file: usize) {
    let ended = run(&context, &ask, file).await;
    context.finish(ask.request, ended);
}

async fn run(context: &Arc<FetchContext>, ask: &Ask, index: usize) -> Result<(), Stop> {
    let map = &context.wanted.map;
    let Some(&file) = map.files().get(index) else { return Err(Stop::Told) };
    let Some(last) = map.place(file.units().end - 1) else { return Err(Stop::Told) };
    ask.link.widen();
    let _place = context.place(ask).await;
    let received = receive_list(&ask.link, context.wanted.content, file, &mut AtRate(context, ask)).await;
    let received = received.map_err(|error| stop_of(error, None))?;
    let Some((list, _to, mut from)) = received else { return Err(Stop::Fault(None, Fault::Lie)) };
    context.source.learn_list(index, list);
    // A transfer that has ended needs no news.
    let _ = context.actor.cast(Message::ListKnown { request: ask.request, file: index });
    let mut buffer = ask.clocks.over(Wait::Room, context.buffers.take()).await;
    let len = usize::try_from(last.len).unwrap_or(usize::MAX);
    let room = buffer.as_mut().get_mut(..len).ok_or(Stop::Told)?;
    context.read(&mut from, ask, room).await.map_err(|error| stop_of(error, None))?;
    let writers = Arc::clone(&context.writers).acquire_owned();
    let permit = ask.clocks.over(Wait::Room, writers).await.map_err(|_| Stop::Told)?;
    let (context, ask) = (Arc::clone(context), ask.clone());
    let kept = spawn_blocking(move || {
        let _permit = permit;
        context.keep_last(&ask, last, &buffer.as_ref()[..len])
    });
    kept.await.unwrap_or(Err(Stop::Told))
}

/// A list's values are waited for as all that a request brings.
struct AtRate<'a>(&'a FetchContext, &'a Ask);

impl Pieces for AtRate<'_> {
    async fn piece(&mut self, stream: &mut RecvStream, most: usize) -> Result<Bytes, CallError> {
        let Self(context, ask) = self;
        let reading = stream.read_chunk(most.min(context.step()), true);
        let piece = ask.clocks.over(Wait::Bytes, reading).await?.ok_or(CallError::Ended)?.bytes;
        context.came(ask, piece.len()).await;
        Ok(piece)
    }
}

impl FetchContext {
    /// Proves, writes, tells. Blocks.
    fn keep_last(&self, ask: &Ask, last: UnitPlace, bytes: &[u8]) -> Result<(), Stop> {
        if !self.source.proves(last, bytes) {
            return Err(self.lied(ask, last.unit));
        }
        self.source.store(&[(last, bytes)]).map_err(|error| self.disk_failed(error))?;
        // A transfer that has ended needs no news.
        let _ = self.actor.cast(Message::Proven { request: ask.request, node: ask.node, units: vec![last] });
        Ok(())
    }
}
