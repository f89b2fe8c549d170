//! A command's side of a transfer that the running node carries out: it is followed and ended like one of its own.
//! Invariant: of what goes to a stream nothing is written twice, whatever becomes of the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quinn::{RecvStream, SendStream};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use super::Remote;
use super::request::{Request, Told, Word};
use crate::io::net::frames;
use crate::logic::limits::jobs::JobId;
use crate::node::error::{ControlError, Error};
use crate::node::get::{Ending, Stream, Transfer};
use crate::node::inner::orders::JobWish;
use crate::node::types::{Canceller, Notice, Progress};
use crate::wire::limits::PAGE;

/// What is written at a time at most.
const PIECE: usize = 256 << 10;

impl Remote {
    /// Has the node fetch something, and follows that. It fails as left once it is left to the node.
    #[must_use]
    pub fn fetch(self: Arc<Self>, wish: JobWish) -> Transfer {
        let (leaver, left) = Canceller::new();
        self.follow_fetch(Request::Fetch(Box::new(wish)), (Some(leaver), left), None)
    }

    /// The same of a transfer that ends with this command: a dry run, or one whose result is served as long as the connection
    /// lasts.
    #[must_use]
    pub fn attend(self: Arc<Self>, wish: JobWish) -> Transfer {
        self.follow_fetch(Request::Attend(Box::new(wish), None), (None, Canceller::new().1), None)
    }

    /// The same of one file, whose proven bytes are written to a stream in order, and nowhere else.
    #[must_use]
    pub fn attend_to(self: Arc<Self>, wish: JobWish, to: impl AsyncWrite + Send + Sync + Unpin + 'static) -> Transfer {
        let number = self.next_stream();
        let (output, written) = (Box::new(to), AtomicU64::new(0));
        let request = Request::Attend(Box::new(wish), Some(number));
        self.follow_fetch(request, (None, Canceller::new().1), Some(Output { number, output, written }))
    }

    fn follow_fetch(
        self: Arc<Self>,
        request: Request,
        (leaver, left): (Option<Canceller>, watch::Receiver<bool>),
        output: Option<Output>,
    ) -> Transfer {
        let (progress, notices) = (watch::Sender::<Progress>::default(), watch::Sender::<Vec<Notice>>::default());
        let told = (progress.subscribe(), notices.subscribe());
        let (canceller, cancelled) = Canceller::new();
        let follower = Follower { remote: self, progress, notices, cancelled, left };
        Transfer::of(told, (canceller, leaver), tokio::spawn(follower.run(request, output)))
    }
}

struct Follower {
    remote: Arc<Remote>,
    progress: watch::Sender<Progress>,
    notices: watch::Sender<Vec<Notice>>,
    cancelled: watch::Receiver<bool>,
    left: watch::Receiver<bool>,
}

impl Follower {
    async fn run(self, request: Request, output: Option<Output>) -> Ending {
        let (to, mut from) = self.remote.begin(&request).await?;
        let speak = speak(to, self.cancelled.clone(), self.left.clone());
        let ending = async {
            match output {
                None => self.hear(&mut from).await,
                Some(output) => self.deliver(&mut from, output).await,
            }
        };
        tokio::select! {
            ending = ending => ending,
            never = speak => never,
        }
    }

    async fn hear(&self, from: &mut RecvStream) -> Ending {
        let (mut job, mut first) = (None, None);
        loop {
            let told = self.remote.next(from).await.map_err(|error| match error {
                Error::Control(ControlError::Stopped { .. }) => ControlError::Stopped { job }.into(),
                error => error,
            });
            match told? {
                Told::Answer(len) => return self.remote.answer::<Ending>(from, len).await?,
                Told::Begun | Told::Event(_) | Told::Put(_) | Told::PutLeft(_) | Told::Uploads(_) => {}
                Told::Job(id) => (job, first) = (Some(id), first.or(Some(id))),
                Told::Left => return Err(left(job, job != first)),
                Told::Notice(notice) => self.notices.send_modify(|told| told.push(notice)),
                Told::Progress(progress) => drop(self.progress.send_replace(*progress)),
            }
        }
    }

    /// The same while bytes come. An output that takes no more ends it: then this stream ends, and with it the transfer.
    async fn deliver(&self, from: &mut RecvStream, mut output: Output) -> Ending {
        let Output { number, output, written } = &mut output;
        let mut copy = std::pin::pin!(copy(&self.remote, *number, output, written));
        let mut hear = std::pin::pin!(self.hear(from));
        let ending = tokio::select! {
            copied = &mut copy => {
                copied?;
                hear.await
            }
            ending = &mut hear => match ending {
                Ok(outcome) => copy.await.map(|()| outcome),
                failed => failed,
            },
        };
        let written = written.load(Ordering::Relaxed);
        match ending {
            Err(Error::Control(ControlError::Lost)) if written > 0 => Err(ControlError::Cut { written }.into()),
            ending => ending,
        }
    }
}

/// Where the bytes of a file go.
struct Output {
    /// Tells its stream from others.
    number: u64,
    output: Stream,
    written: AtomicU64,
}

/// Writes all that comes on the stream of this number. A node that is gone is noticed by whoever hears it.
async fn copy(remote: &Remote, number: u64, output: &mut Stream, written: &AtomicU64) -> Result<(), Error> {
    let Some(mut from) = remote.accept(number).await else { return std::future::pending().await };
    let stdout = |error: std::io::Error| Error::Stdout(error.into());
    loop {
        let Ok(piece) = from.read_chunk(PIECE, true).await else { return std::future::pending().await };
        let Some(piece) = piece else { return output.flush().await.map_err(stdout) };
        output.write_all(&piece.bytes).await.map_err(stdout)?;
        written.fetch_add(piece.bytes.len() as u64, Ordering::Relaxed);
    }
}

fn left(job: Option<JobId>, same: bool) -> Error {
    let left = |job| if same { ControlError::Same { job } } else { ControlError::Left { job } };
    job.map_or(ControlError::Lost, left).into()
}

/// Says what the command wants, once: the stream stays open, for its end is a word, too.
pub(super) async fn speak<T>(
    mut to: SendStream,
    mut cancelled: watch::Receiver<bool>,
    mut left: watch::Receiver<bool>,
) -> Result<T, Error> {
    let wanted = async |wish: &mut watch::Receiver<bool>| wish.wait_for(|wanted| *wanted).await.is_ok();
    let word = tokio::select! {
        true = wanted(&mut cancelled) => Word::Cancel,
        true = wanted(&mut left) => Word::Leave,
        else => return std::future::pending().await,
    };
    // A node that is gone is noticed by whoever hears it.
    let _ = frames::send(&mut to, &word, PAGE).await;
    std::future::pending().await
}
