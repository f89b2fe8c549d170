//! Standard output of a file whose beginning an earlier try has written. Invariant: of the same bytes, written anew from their
//! beginning, each reaches it once, however often they are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// What passes on all but the first bytes that are written to it.
#[derive(Debug)]
pub(crate) struct Rest<W> {
    to: W,
    /// Bytes that are there already.
    there: u64,
}

impl<W> Rest<W> {
    /// All after the first `there` bytes.
    pub(crate) const fn after(there: u64, to: W) -> Self {
        Self { to, there }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Rest<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.there == 0 {
            return Pin::new(&mut self.to).poll_write(context, bytes);
        }
        let known = usize::try_from(self.there).unwrap_or(usize::MAX).min(bytes.len());
        self.there -= known as u64;
        Poll::Ready(Ok(known))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_there_is_not_written_again_wherever_the_pieces_end() {
        for there in 0..=6 {
            for piece in 1..=6 {
                let mut written = Vec::new();
                let mut rest = Rest::after(there, &mut written);
                for bytes in b"abcdef".chunks(piece) {
                    rest.write_all(bytes).await.expect("a vector");
                }
                assert_eq!(written, b"abcdef"[there as usize..]);
            }
        }
    }
}
