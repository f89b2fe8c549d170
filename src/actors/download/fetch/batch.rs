//! Units that are proven and written together: one large unit, or many small ones that came in a row.
//! While one batch is hashed and written, the next is read: two buffers a stream, never more.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::{Ask, FetchContext, Stop};
use crate::actors::download::Message;
use crate::actors::download::clocks::Wait;
use crate::actors::limits::buffers::Buffer;
use crate::io::receive::partial::PartialError;
use crate::logic::transfer::{Fault, Input};

/// Bytes after which a batch goes to the disk: hashing and writing in smaller pieces costs more than it gives.
const FULL: usize = 256 << 10;
/// The same as a time, so that slow providers' units count soon.
const OLD: Duration = Duration::from_millis(300);

/// Collects a stream's units and writes them.
pub(super) struct Writer {
    context: Arc<FetchContext>,
    ask: Ask,
    batch: Option<Batch>,
    writing: Option<JoinHandle<Result<(), Stop>>>,
}

struct Batch {
    buffer: Buffer,
    filled: usize,
    units: Vec<(u32, Range<usize>)>,
    since: Instant,
}

impl Writer {
    pub(super) const fn new(context: Arc<FetchContext>, ask: Ask) -> Self {
        Self { context, ask, batch: None, writing: None }
    }

    /// The place for a unit's bytes.
    pub(super) async fn room(&mut self, unit: u32, len: usize) -> Result<&mut [u8], Stop> {
        let size = self.context.buffers.size();
        if self.batch.as_ref().is_some_and(|batch| batch.filled + len > size) {
            self.flush().await?;
        }
        let mut batch = match self.batch.take() {
            Some(batch) => batch,
            None => {
                let buffer = self.ask.clocks.over(Wait::Room, self.context.buffers.take()).await;
                Batch { buffer, filled: 0, units: Vec::new(), since: Instant::now() }
            }
        };
        let range = batch.filled..batch.filled + len;
        batch.units.push((unit, range.clone()));
        batch.filled = range.end;
        // Units are never longer than the pool's buffers: both come from the same map.
        self.batch.insert(batch).buffer.as_mut().get_mut(range).ok_or(Stop::Told)
    }

    /// The bytes of the last unit are there.
    pub(super) async fn filled(&mut self) -> Result<(), Stop> {
        match &self.batch {
            Some(batch) if batch.filled >= FULL || batch.since.elapsed() >= OLD => self.flush().await,
            _ => Ok(()),
        }
    }

    /// Sends the batch to the disk, after the one before it.
    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        self.settle().await?;
        let Some(batch) = self.batch.take() else { return Ok(()) };
        let writers = Arc::clone(&self.context.writers).acquire_owned();
        let permit = self.ask.clocks.over(Wait::Room, writers).await.map_err(|_| Stop::Told)?;
        let (context, ask) = (Arc::clone(&self.context), self.ask.clone());
        self.writing = Some(spawn_blocking(move || {
            let _permit = permit;
            context.keep(&ask, &batch)
        }));
        Ok(())
    }

    /// Waits for the write under way.
    pub(super) async fn settle(&mut self) -> Result<(), Stop> {
        match self.writing.take() {
            Some(writing) => self.ask.clocks.over(Wait::Room, writing).await.unwrap_or(Err(Stop::Told)),
            None => Ok(()),
        }
    }
}

impl FetchContext {
    /// Proves, writes, notes, tells. Blocks.
    fn keep(&self, ask: &Ask, batch: &Batch) -> Result<(), Stop> {
        let bytes = batch.buffer.as_ref();
        let proven = batch.units.iter().take_while(|(unit, range)| self.source.proves(*unit, &bytes[range.clone()]));
        let proven = proven.map(|(unit, range)| (*unit, &bytes[range.clone()]));
        let proven: Vec<_> = self.clocks.hashed.during(|| proven.collect());
        let lie = batch.units.get(proven.len()).map(|(unit, _)| *unit);
        let stored = self.clocks.written.during(|| self.source.store(proven));
        let stored = stored.map_err(|error| self.disk_failed(error))?;
        if !stored.is_empty() {
            // A transfer that has ended needs no news.
            let _ = self.actor.cast(Message::Proven { request: ask.request, node: ask.node, units: stored });
        }
        match lie {
            None => Ok(()),
            Some(unit) => {
                // Told from here: the task may have been aborted, and a lie must not go unnoticed.
                self.tell(Input::Fault { request: ask.request, unit: Some(unit), fault: Fault::Lie });
                Err(Stop::Told)
            }
        }
    }

    pub(super) fn disk_failed(&self, error: PartialError) -> Stop {
        let _ = self.actor.cast(Message::Failed(error));
        Stop::Told
    }
}
