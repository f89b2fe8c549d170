//! What a person wants of the inbox, and the way it gets to whoever keeps it.

use std::path::PathBuf;
use std::sync::Mutex;

use tokio::sync::{mpsc, oneshot};

use super::transfer::end;
use crate::actors::serve::inbox::Arrival;
use crate::io::receive::landing::Landing;
use crate::logic::limits::inbox::{Entry, Standing};
use crate::node::error::{ControlError, Error};
use crate::node::inner::orders::JobsRef;
use crate::node::types::{InboxRow, InboxRules};

/// Orders that wait.
const ORDERS: usize = 64;

/// What a person wants of it.
#[derive(Debug)]
pub(super) enum Order {
    Accept(Option<u32>, Option<(PathBuf, Landing)>, oneshot::Sender<Result<Vec<InboxRow>, Error>>),
    Clear(Option<u32>, oneshot::Sender<Result<Vec<InboxRow>, Error>>),
    Decline(Option<u32>, oneshot::Sender<Result<Vec<InboxRow>, Error>>),
    Keep(oneshot::Sender<()>),
    Rows(oneshot::Sender<Vec<InboxRow>>),
}

/// What comes, and what is wanted of it.
type Begins = (mpsc::Receiver<Arrival>, mpsc::Receiver<Order>);

/// The way to whoever keeps it, once that has begun.
pub(crate) struct InboxHandle {
    to: mpsc::Sender<Order>,
    begins: Mutex<Option<Begins>>,
    rules: InboxRules,
}

impl InboxHandle {
    /// Of a node to which these come.
    pub(crate) fn new(arrivals: mpsc::Receiver<Arrival>, rules: InboxRules) -> Self {
        let (to, orders) = mpsc::channel(ORDERS);
        Self { to, begins: Mutex::new(Some((arrivals, orders))), rules }
    }

    /// What comes to whoever keeps it, the first time.
    pub(super) fn begin(&self) -> Option<Begins> {
        self.begins.lock().ok().and_then(|mut begins| begins.take())
    }

    /// What is taken without a person.
    pub(super) const fn rules(&self) -> &InboxRules {
        &self.rules
    }

    /// Everything, by its numbers.
    ///
    /// # Errors
    /// When nothing is taken here.
    pub(crate) async fn rows(&self) -> Result<Vec<InboxRow>, Error> {
        self.ask(Order::Rows).await
    }

    /// Fetches one that waits, or all, into this directory; which.
    ///
    /// # Errors
    /// When it does not wait, or cannot be put there.
    pub(crate) async fn accept(
        &self,
        number: Option<u32>,
        into: Option<(PathBuf, Landing)>,
    ) -> Result<Vec<InboxRow>, Error> {
        self.ask(|reply| Order::Accept(number, into, reply)).await?
    }

    /// Drops one that is over, or all that are; which.
    ///
    /// # Errors
    /// When it is not over.
    pub(crate) async fn clear(&self, number: Option<u32>) -> Result<Vec<InboxRow>, Error> {
        self.ask(|reply| Order::Clear(number, reply)).await?
    }

    /// Declines one that waits or is fetched, or all that wait; which. What had come of it is removed. One that is fetched ends before:
    /// what has got its name by then is there, and is not declined.
    ///
    /// # Errors
    /// When it neither waits nor is fetched.
    pub(crate) async fn decline(&self, number: Option<u32>, jobs: Option<&JobsRef>) -> Result<Vec<InboxRow>, Error> {
        if let (Some(number), Some(jobs)) = (number, jobs) {
            let is_it = |row: &InboxRow| row.number == number && row.entry.state == Standing::Accepted;
            let accepted = self.rows().await?.into_iter().find(is_it);
            end(jobs, &accepted.map(|row| row.entry.jobs).unwrap_or_default()).await;
        }
        self.ask(|reply| Order::Decline(number, reply)).await?
    }

    /// Writes down what is not yet: the node ends.
    pub(crate) async fn keep(&self) {
        // Nothing is taken by a node that lives for one command.
        let _ = self.ask(Order::Keep).await;
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.to.send(order(reply)).await.map_err(|_| Error::Control(ControlError::Brief))?;
        answer.await.map_err(|_| Error::Control(ControlError::Lost))
    }
}

/// That there is no such offer that this fits.
pub(super) fn no_offer(number: Option<u32>, state: Option<Standing>) -> Error {
    ControlError::NoOffer { number: number.unwrap_or_default(), state }.into()
}

/// How it stands, but for what its transfers say.
pub(super) fn row((number, entry): (u32, &Entry)) -> InboxRow {
    InboxRow { number, entry: entry.clone(), trouble: None, away: false }
}
