//! A command's side of a transfer that the running node carries out: it is followed and ended like one of its own.

use std::sync::Arc;

use quinn::{RecvStream, SendStream};
use tokio::sync::watch;

use super::Remote;
use super::request::{Request, Told, Word};
use crate::io::net::frames;
use crate::logic::limits::jobs::JobId;
use crate::node::error::{ControlError, Error};
use crate::node::get::{Ending, Transfer};
use crate::node::inner::orders::JobWish;
use crate::node::types::{Canceller, Notice, Progress};
use crate::wire::limits::PAGE;

impl Remote {
    /// Has the node fetch something, and follows that. It fails as left once it is left to the node.
    #[must_use]
    pub fn fetch(self: Arc<Self>, wish: JobWish) -> Transfer {
        let (progress, notices) = (watch::Sender::<Progress>::default(), watch::Sender::<Vec<Notice>>::default());
        let told = (progress.subscribe(), notices.subscribe());
        let ((canceller, cancelled), (leaver, left)) = (Canceller::new(), Canceller::new());
        let follower = Follower { remote: self, progress, notices, cancelled, left };
        Transfer::of(told, (canceller, leaver), tokio::spawn(follower.run(wish)))
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
    async fn run(self, wish: JobWish) -> Ending {
        let (to, mut from) = self.remote.begin(&Request::Fetch(Box::new(wish))).await?;
        let speak = speak(to, self.cancelled.clone(), self.left.clone());
        tokio::pin!(speak);
        tokio::select! {
            ending = self.hear(&mut from) => ending,
            never = &mut speak => never,
        }
    }

    async fn hear(&self, from: &mut RecvStream) -> Ending {
        let mut job = None;
        loop {
            match self.remote.next(from).await? {
                Told::Answer(len) => return self.remote.answer::<Ending>(from, len).await?,
                Told::Begun | Told::Event(_) | Told::Uploads(_) => {}
                Told::Job(id) => job = Some(id),
                Told::Left => return Err(left(job)),
                Told::Notice(notice) => self.notices.send_modify(|told| told.push(notice)),
                Told::Progress(progress) => drop(self.progress.send_replace(*progress)),
            }
        }
    }
}

fn left(job: Option<JobId>) -> Error {
    job.map_or(ControlError::Lost, |job| ControlError::Left { job }).into()
}

/// Says what the command wants, once: the stream stays open, for its end is a word, too.
async fn speak(mut to: SendStream, mut cancelled: watch::Receiver<bool>, mut left: watch::Receiver<bool>) -> Ending {
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
