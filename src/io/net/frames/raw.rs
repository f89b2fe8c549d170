//! Raw bytes that follow an answer: nothing is allocated beyond what has arrived, for their length is a claim.
//! And the one exchange of them that is made for more than one purpose: a file's chunk list.

use std::future::Future;

use bytes::Bytes;
use quinn::{RecvStream, SendStream};

use super::{CallError, Pace, call};
use crate::io::net::link::Link;
use crate::model::units::UnitFile;
use crate::model::units::chunk_list::CV_LEN;
use crate::model::{ChunkList, Content};
use crate::wire::limits::CONTROL;
use crate::wire::{List, ListHead, Request};

/// How raw bytes are received: for how long they are waited for, and at which rate they are taken.
pub trait Pieces: Send {
    /// Receives the next bytes as they come, at most so many.
    ///
    /// # Errors
    /// When the stream ends or breaks before them, or they come too slowly.
    fn piece(&mut self, stream: &mut RecvStream, most: usize) -> impl Future<Output = Result<Bytes, CallError>> + Send;
}

impl Pieces for Pace {
    async fn piece(&mut self, stream: &mut RecvStream, most: usize) -> Result<Bytes, CallError> {
        let piece = self.step(stream.read_chunk(most, true)).await?.ok_or(CallError::Ended)?.bytes;
        self.add(piece.len());
        Ok(piece)
    }
}

/// Receives so many raw bytes.
///
/// # Errors
/// As [`Pieces::piece`].
pub async fn receive_raw(stream: &mut RecvStream, len: usize, pieces: &mut impl Pieces) -> Result<Vec<u8>, CallError> {
    let mut bytes = Vec::new();
    fill(&mut bytes, len, stream, pieces).await?;
    Ok(bytes)
}

/// Receives what is missing until there are so many.
pub(super) async fn fill(
    bytes: &mut Vec<u8>,
    len: usize,
    stream: &mut RecvStream,
    pieces: &mut impl Pieces,
) -> Result<(), CallError> {
    while bytes.len() < len {
        bytes.extend_from_slice(&pieces.piece(stream, len - bytes.len()).await?);
    }
    Ok(())
}

/// Asks for the chunk list of a file of a content. `None` when what came is not the list of that file's id and size; else
/// its last chunk comes next.
///
/// # Errors
/// As [`call`] and [`Pieces::piece`].
pub async fn receive_list(
    link: &Link,
    content: Content,
    file: UnitFile,
    pieces: &mut impl Pieces,
) -> Result<Option<(ChunkList, SendStream, RecvStream)>, CallError> {
    let request = Request::List(List { id: content.id, size: content.size, unit: file.first });
    let (head, to, mut from) = call::<ListHead>(link, &request, CONTROL).await?;
    if head.chunks != file.layout.chunks() {
        return Ok(None);
    }
    let values = receive_raw(&mut from, head.chunks as usize * CV_LEN, pieces).await?;
    let list = tokio::task::spawn_blocking(move || ChunkList::from_bytes(file.id, file.layout, &values).ok());
    // Not joined only where the process ends.
    let list = list.await.map_err(|_| CallError::Ended)?;
    Ok(list.map(|list| (list, to, from)))
}
