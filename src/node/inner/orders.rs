//! What commands want of the transfers that a node keeps for them, and the way it gets to whoever keeps them (`node/control/jobs.rs`).

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::io::receive::landing::Landing;
use crate::logic::limits::jobs::{JobId, JobOrder};
use crate::model::RateLimit;
use crate::node::error::{ControlError, Error};
use crate::node::types::{GetRequest, JobRow, Notice, Outcome, Places, Progress};

/// A transfer that a command wants: its output is a whole path, and it is the directory that the command sees there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobWish {
    /// What is wanted.
    pub request: GetRequest,
    /// Where to look.
    pub places: Places,
    /// Which directory it goes to.
    pub landing: Landing,
}

/// A job that a command follows. Dropped, it is left to the node.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) id: JobId,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) notices: watch::Receiver<Vec<Notice>>,
    pub(crate) end: oneshot::Receiver<Result<Outcome, Error>>,
}

/// What is wanted of whoever keeps the jobs.
#[derive(Debug)]
pub(crate) enum Order {
    Add(Box<JobWish>, oneshot::Sender<Result<Followed, Error>>),
    /// The command that followed it has left it; the job that goes on with it.
    Detach(JobId, oneshot::Sender<JobId>),
    Jobs(Option<JobId>, JobOrder, oneshot::Sender<Result<Vec<JobId>, Error>>),
    /// Keeps one that no command follows.
    Leave(Box<JobWish>, oneshot::Sender<Result<JobId, Error>>),
    Limit(Option<JobId>, RateLimit, oneshot::Sender<Result<Vec<JobId>, Error>>),
    Rows(Option<JobId>, oneshot::Sender<Vec<JobRow>>),
    Stop(oneshot::Sender<()>),
}

/// The way to whoever keeps the jobs.
#[derive(Debug, Clone)]
pub(crate) struct JobsRef(mpsc::Sender<Order>);

impl JobsRef {
    pub(crate) const fn new(to: mpsc::Sender<Order>) -> Self {
        Self(to)
    }

    /// Begins a transfer that a command follows.
    ///
    /// # Errors
    /// When too many are kept, or the node ends.
    pub(crate) async fn add(&self, wish: JobWish) -> Result<Followed, Error> {
        self.ask(|reply| Order::Add(Box::new(wish), reply)).await?
    }

    /// Begins a transfer that no command follows: it is kept, when this is done.
    ///
    /// # Errors
    /// When too many are kept, or the node ends.
    pub(crate) async fn leave(&self, wish: JobWish) -> Result<JobId, Error> {
        self.ask(|reply| Order::Leave(Box::new(wish), reply)).await?
    }

    /// The command that followed it has left it: it is kept, when this is done. The job that goes on with it, which may be one that
    /// was fetching the same to the same place.
    pub(crate) async fn detach(&self, id: JobId) -> JobId {
        // A node that ends keeps what it has.
        self.ask(|reply| Order::Detach(id, reply)).await.unwrap_or(id)
    }

    /// Carries out an order for one job, or for all that it fits; and says for which.
    ///
    /// # Errors
    /// When there is no such job, or the order does not fit it.
    pub(crate) async fn order(&self, id: Option<JobId>, order: JobOrder) -> Result<Vec<JobId>, Error> {
        self.ask(|reply| Order::Jobs(id, order, reply)).await?
    }

    /// Limits one job to another rate, or all that are not over; and says which.
    ///
    /// # Errors
    /// When there is no such job, or it is over.
    pub(crate) async fn limit(&self, id: Option<JobId>, limit: RateLimit) -> Result<Vec<JobId>, Error> {
        self.ask(|reply| Order::Limit(id, limit, reply)).await?
    }

    /// A page of jobs after this one, in their order.
    ///
    /// # Errors
    /// When the node ends.
    pub(crate) async fn rows(&self, after: Option<JobId>) -> Result<Vec<JobRow>, Error> {
        self.ask(|reply| Order::Rows(after, reply)).await
    }

    /// Ends all transfers with their progress kept.
    pub(crate) async fn stop(&self) {
        // Nobody is there any more when it was stopped before.
        let _ = self.ask(Order::Stop).await;
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Error> {
        let ended = || Error::Control(ControlError::Lost);
        let (reply, answer) = oneshot::channel();
        self.0.send(order(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())
    }
}
