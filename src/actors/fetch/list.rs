//! Brings a file's chunk list with its last chunk. The list counts only when it merges to the file's id and its own
//! source's last chunk is proven by it (the BLAKE3 root does not commit to the length); else its source lied.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{Ask, Lane, Stop, stop_of};
use crate::actors::buffers::Buffer;
use crate::actors::download::Message;
use crate::io::frames::{self, CallError};
use crate::logic::transfer::Fault;
use crate::model::chunk_list::CV_LEN;
use crate::model::units::UnitFile;
use crate::model::{ChunkIndex, ChunkList};
use crate::wire::{Code, List, ListHead, Request, limits};

/// The list grows by at most so much at a time: only what has arrived is allocated.
const STEP: usize = 256 << 10;

/// Asks for a list and takes it in.
pub(crate) async fn fetch_list(lane: Arc<Lane>, ask: Ask, file: usize) {
    let ended = run(&lane, &ask, file).await;
    lane.finish(ask.request, ended);
}

async fn run(lane: &Arc<Lane>, ask: &Ask, index: usize) -> Result<(), Stop> {
    let Some(&file) = lane.map.files().get(index) else { return Err(Stop::Told) };
    let request = Request::List(List { id: lane.id, size: lane.size, unit: file.first });
    let stop = |error| match error {
        CallError::Reset(Code::Changed) => Stop::Fault(None, Fault::Changed),
        other => stop_of(other),
    };
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
        lane.read(&mut from, ask, &mut values[had..]).await.map_err(stop)?;
    }
    let last = ChunkIndex(file.layout.chunks() - 1);
    let mut buffer = lane.buffers.take().await;
    let len = usize::try_from(file.layout.len(last)).unwrap_or(usize::MAX);
    let room = buffer.as_mut().get_mut(..len).ok_or(Stop::Told)?;
    lane.read(&mut from, ask, room).await.map_err(stop)?;
    let permit = Arc::clone(&lane.writers).acquire_owned().await.map_err(|_| Stop::Told)?;
    let (lane, ask) = (Arc::clone(lane), ask.clone());
    let kept = spawn_blocking(move || {
        let _permit = permit;
        lane.keep_list(&ask, (index, file), &values, &buffer, len)
    });
    kept.await.unwrap_or(Err(Stop::Told))
}

impl Lane {
    /// Proves, notes, writes, tells. Blocks.
    fn keep_list(
        &self,
        ask: &Ask,
        (index, file): (usize, UnitFile),
        values: &[u8],
        last: &Buffer,
        len: usize,
    ) -> Result<(), Stop> {
        let lie = |_| Stop::Fault(None, Fault::Lie);
        let list = ChunkList::from_bytes(file.id, file.layout, values).map_err(lie)?;
        let bytes = &last.as_ref()[..len];
        if !list.proves(ChunkIndex(file.layout.chunks() - 1), bytes) {
            return Err(Stop::Fault(None, Fault::Lie));
        }
        self.source.store_list(index, list).map_err(|error| self.disk_failed(error))?;
        let unit = file.units().end - 1;
        self.source.store([(unit, bytes)]).map_err(|error| self.disk_failed(error))?;
        // A transfer that has ended needs no news.
        let _ = self.actor.cast(Message::ListProven { request: ask.request, node: ask.node, file: index });
        Ok(())
    }
}
