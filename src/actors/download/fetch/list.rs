//! Brings a file's chunk list with its last chunk. The list counts when it merges to the file's id: for a claimed size
//! there is only one that does. That the size is the true one (the BLAKE3 root does not commit to it) shows when the
//! last chunk proves; a source whose last chunk does not prove lied.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{Ask, FetchContext, Stop, stop_of};
use crate::actors::download::Message;
use crate::actors::download::clocks::Wait;
use crate::io::net::frames::{self, CallError};
use crate::logic::transfer::{Fault, Input};
use crate::model::units::UnitFile;
use crate::model::units::chunk_list::CV_LEN;
use crate::model::{ChunkIndex, ChunkList};
use crate::wire::{Code, List, ListHead, Request, limits};

/// The list grows by at most so much at a time: only what has arrived is allocated.
const STEP: usize = 256 << 10;

/// Asks for a list and takes it in.
pub(crate) async fn fetch_list(context: Arc<FetchContext>, ask: Ask, file: usize) {
    let ended = run(&context, &ask, file).await;
    context.finish(ask.request, ended);
}

async fn run(context: &Arc<FetchContext>, ask: &Ask, index: usize) -> Result<(), Stop> {
    let Some(&file) = context.map.files().get(index) else { return Err(Stop::Told) };
    let request = Request::List(List { id: context.id, size: context.size, unit: file.first });
    let stop = |error| match error {
        CallError::Reset(Code::Changed) => Stop::Fault(None, Fault::Changed),
        other => stop_of(other),
    };
    ask.link.widen();
    let answered = frames::call::<ListHead>(&ask.link, &request, limits::CONTROL).await;
    let (head, _to, mut from) = answered.map_err(stop)?;
    if head.chunks != file.layout.chunks() {
        return Err(Stop::Fault(None, Fault::Lie));
    }
    let total = file.layout.chunks() as usize * CV_LEN;
    let mut values = Vec::new();
    while values.len() < total {
        let had = values.len();
        values.resize((had + STEP).min(total), 0);
        context.read(&mut from, ask, &mut values[had..]).await.map_err(stop)?;
    }
    let (of_lane, of_ask) = (Arc::clone(context), ask.clone());
    let learnt = spawn_blocking(move || of_lane.learn_list(&of_ask, (index, file), &values));
    learnt.await.unwrap_or(Err(Stop::Told))?;
    let mut buffer = ask.clocks.over(Wait::Room, context.buffers.take()).await;
    let len = usize::try_from(file.layout.len(last_of(file))).unwrap_or(usize::MAX);
    let room = buffer.as_mut().get_mut(..len).ok_or(Stop::Told)?;
    context.read(&mut from, ask, room).await.map_err(stop)?;
    let writers = Arc::clone(&context.writers).acquire_owned();
    let permit = ask.clocks.over(Wait::Room, writers).await.map_err(|_| Stop::Told)?;
    let (context, ask) = (Arc::clone(context), ask.clone());
    let kept = spawn_blocking(move || {
        let _permit = permit;
        context.keep_last(&ask, file, &buffer.as_ref()[..len])
    });
    kept.await.unwrap_or(Err(Stop::Told))
}

fn last_of(file: UnitFile) -> ChunkIndex {
    ChunkIndex(file.layout.chunks() - 1)
}

impl FetchContext {
    /// Checks, tells. Hashes.
    fn learn_list(&self, ask: &Ask, (index, file): (usize, UnitFile), values: &[u8]) -> Result<(), Stop> {
        let lie = |_| Stop::Fault(None, Fault::Lie);
        let list = ChunkList::from_bytes(file.id, file.layout, values).map_err(lie)?;
        self.source.learn_list(index, list);
        // A transfer that has ended needs no news.
        let _ = self.actor.cast(Message::ListKnown { request: ask.request, file: index });
        Ok(())
    }

    /// Proves, writes, tells. Blocks.
    fn keep_last(&self, ask: &Ask, file: UnitFile, bytes: &[u8]) -> Result<(), Stop> {
        let unit = file.units().end - 1;
        if !self.source.proves(unit, bytes) {
            // Told from here: the task may have been aborted, and a lie must not go unnoticed.
            self.tell(Input::Fault { request: ask.request, unit: Some(unit), fault: Fault::Lie });
            return Err(Stop::Told);
        }
        let units = self.source.store([(unit, bytes)]).map_err(|error| self.disk_failed(error))?;
        // A transfer that has ended needs no news.
        let _ = self.actor.cast(Message::Proven { request: ask.request, node: ask.node, units });
        Ok(())
    }
}
