//! A command's side of the control socket: the running node of its home. Invariant: what is asked of it has an end: a node that
//! is gone is noticed by its lock, and one that hangs by its silence.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::request::{ANSWER, Ask, Request, Told};
use super::shares::SharedRow;
use crate::io::home::Home;
use crate::io::home::control::{ControlFile, Whereabouts};
use crate::io::home::identity::Identity;
use crate::io::net::endpoint::{Endpoint, OwnerError, OwnerLink};
use crate::io::net::frames::{self, CallError, Pace};
use crate::io::receive::landing::Landing;
use crate::logic::limits::jobs::{JobId, JobOrder};
use crate::model::RateLimit;
use crate::node::error::{ControlError, Error};
use crate::node::inner::shares::Unwanted;
use crate::node::types::{Event, InboxRow, JobRow, Notice, Places, PutRow, RateChange, Rates};
use crate::wire::control::{AskStatus, Control, ControlStatus, Hello, Running, Stop, Stopping};
use crate::wire::limits::{CONTROL_VERSION, PAGE};
use crate::wire::{Answer, Role};

/// A node that has not answered for so long hangs.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at the home.
const LOOK: Duration = Duration::from_millis(20);
/// The same while an answer is waited for.
const WATCH: Duration = Duration::from_millis(200);
/// How long a node may take to end: a second for its trackers, and as long again for what is slow here.
const END: Duration = Duration::from_secs(10);

/// The running node of a home.
#[derive(Debug)]
pub struct Remote {
    home: Home,
    link: OwnerLink,
    running: Running,
    /// The number of the last stream that was asked for.
    streams: AtomicU64,
    /// Held by whoever waits for one.
    accepting: Mutex<()>,
}

impl Remote {
    /// The node that has this home now; none where nobody has it. Takes 2 s at most.
    ///
    /// # Errors
    /// When a process has the home and does not answer, or another key does.
    pub async fn find(home: &Home) -> Result<Option<Self>, Error> {
        let deadline = Instant::now() + PATIENCE;
        let dir = home.role_dir(Role::Node);
        let (Ok(Some(identity)), file) = (Identity::load(&dir), ControlFile::at(&dir)) else { return Ok(None) };
        let identity = Arc::new(identity);
        loop {
            let Some(pid) = home.held(Role::Node) else { return Ok(None) };
            // What an earlier node left has another process.
            let at = file.read().filter(|at| pid.is_none_or(|pid| pid == at.pid));
            if let Some(at) = &at {
                // One that is about to end answers nobody, and holds the home for a moment yet.
                let moved = async {
                    while home.held(Role::Node) == Some(pid) {
                        sleep(LOOK).await;
                    }
                };
                let greeted = tokio::select! {
                    greeted = timeout_at(deadline, greet(&identity, at)) => greeted,
                    () = moved => continue,
                };
                match greeted {
                    Ok(Ok((link, running))) => return Ok(Some(Self::of(home, link, running))),
                    Ok(Err(Greeting::OtherKey)) => return Err(ControlError::OtherKey { pid }.into()),
                    Ok(Err(Greeting::Wrong(cause))) => return Err(ControlError::Protocol(cause.to_string()).into()),
                    Ok(Err(Greeting::Silent)) | Err(_) => {}
                }
            }
            if Instant::now() >= deadline {
                let elsewhere = at.is_some_and(|at| at.is_elsewhere());
                return Err(ControlError::Silent { pid, elsewhere }.into());
            }
            sleep(LOOK).await;
        }
    }

    fn of(home: &Home, link: OwnerLink, running: Running) -> Self {
        Self { home: home.clone(), link, running, streams: AtomicU64::new(0), accepting: Mutex::default() }
    }

    /// The number of a stream that is asked for next.
    pub(super) fn next_stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    /// The stream of a number; those that nobody waits for any more are let go. None when the node is gone.
    pub(super) async fn accept(&self, number: u64) -> Option<RecvStream> {
        let _alone = self.accepting.lock().await;
        loop {
            let (_, mut from) = self.link.connection.accept_bi().await.ok()?;
            let mut told = [0; size_of::<u64>()];
            if from.read_exact(&mut told).await.is_ok() && u64::from_be_bytes(told) == number {
                return Some(from);
            }
        }
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        let pid = Some(self.running.pid);
        while self.home.held(Role::Node).is_some_and(|held| held.is_none() || held == pid) {
            sleep(WATCH).await;
        }
    }

    /// Who it is.
    #[must_use]
    pub const fn running(&self) -> &Running {
        &self.running
    }

    /// Whether it understands all that this version asks.
    #[must_use]
    pub fn is_same_version(&self) -> bool {
        self.running.version == env!("CARGO_PKG_VERSION") && self.running.control == CONTROL_VERSION
    }

    /// That it does not.
    #[must_use]
    pub fn other_version(&self) -> ControlError {
        let Running { pid, version, control, .. } = self.running.clone();
        ControlError::OtherVersion { pid, version, control }
    }

    /// A page of the transfers that it keeps for commands, those after this one.
    ///
    /// # Errors
    /// When it keeps none, or has ended.
    pub async fn jobs(&self, after: Option<JobId>) -> Result<Vec<JobRow>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::Jobs(after), drop).await?
    }

    /// Carries out an order for one of them, or for all that it fits; and says for which.
    ///
    /// # Errors
    /// When there is no such job, the order does not fit it, or the node has ended.
    pub async fn order_jobs(&self, id: Option<JobId>, order: JobOrder) -> Result<Vec<JobId>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::OrderJobs(id, order), drop).await?
    }

    /// Limits one of them to another rate, or all that are not over; and says which.
    ///
    /// # Errors
    /// When there is no such job, it is over, or the node has ended.
    pub async fn limit_jobs(&self, id: Option<JobId>, limit: RateLimit) -> Result<Vec<JobId>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::LimitJobs(id, limit), drop).await?
    }

    /// Changes the rates to which all its uploads and downloads are limited, and says what they are then.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn limit(&self, change: RateChange) -> Result<Rates, Error> {
        self.ask(&Places::default(), Ask::Limit(change), drop).await
    }

    /// What other nodes offer to its person, by their numbers.
    ///
    /// # Errors
    /// When it takes nothing, or has ended.
    pub async fn inbox(&self) -> Result<Vec<InboxRow>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::Inbox, drop).await?
    }

    /// Has it fetch one of them that waits, or all, into a directory; which.
    ///
    /// # Errors
    /// When it does not wait, or cannot be put there, or the node has ended.
    pub async fn accept_offer(
        &self,
        number: Option<u32>,
        into: Option<(PathBuf, Landing)>,
    ) -> Result<Vec<InboxRow>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::Accept(number, into), drop).await?
    }

    /// Has it drop one of them that is over, or all that are; which.
    ///
    /// # Errors
    /// When it is not over, or the node has ended.
    pub async fn clear_offers(&self, number: Option<u32>) -> Result<Vec<InboxRow>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::ClearInbox(number), drop).await?
    }

    /// Has it decline one of them that waits or is fetched, or all that wait; which.
    ///
    /// # Errors
    /// When it does not wait, or the node has ended.
    pub async fn decline_offer(&self, number: Option<u32>) -> Result<Vec<InboxRow>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::Decline(number), drop).await?
    }

    /// What it sends for commands that have left it, and what became of what is over.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn puts(&self) -> Result<Vec<PutRow>, Error> {
        self.ask(&Places::default(), Ask::Puts, drop).await
    }

    /// Ends one of these, or all; which.
    ///
    /// # Errors
    /// When there is none of this number, it is over, or the node has ended.
    pub async fn cancel_put(&self, number: Option<u32>) -> Result<Vec<PutRow>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::CancelPut(number), drop).await?
    }

    /// Takes one that is over off the list, or all that are; which.
    ///
    /// # Errors
    /// When there is none of this number, it is not over, or the node has ended.
    pub async fn clear_puts(&self, number: Option<u32>) -> Result<Vec<PutRow>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::ClearPuts(number), drop).await?
    }

    /// What it offers, and keeps for that.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn shared(&self) -> Result<Vec<SharedRow>, Error> {
        self.ask(&Places::default(), Ask::Shared, drop).await
    }

    /// Has it offer something no longer; what that was.
    ///
    /// # Errors
    /// When it offers nothing of that name, or has ended.
    pub async fn unshare(&self, what: Unwanted) -> Result<Vec<String>, Error> {
        self.ask::<Result<_, Error>>(&Places::default(), Ask::Unshare(what), drop).await?
    }

    /// How it is.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<ControlStatus, Error> {
        self.fixed(Control::Status(AskStatus {})).await
    }

    /// Ends it, and waits for its end.
    ///
    /// # Errors
    /// When it does not answer, or goes on.
    pub async fn stop(&self) -> Result<(), Error> {
        let Stopping {} = self.fixed(Control::Stop(Stop {})).await?;
        self.gone().await
    }

    /// Takes its home over, if it lives for one command only, which goes on through the next node. Whether the home is free.
    ///
    /// # Errors
    /// When it does not answer, or goes on.
    pub async fn take_over(&self) -> Result<bool, Error> {
        match self.ask(&Places::default(), Ask::Yield, drop).await {
            // One that ends at once may not have said so any more.
            Ok(true) | Err(Error::Control(ControlError::Lost | ControlError::Stopped { .. })) => {
                self.gone().await.map(|()| true)
            }
            other => other,
        }
    }

    /// Waits for its end.
    async fn gone(&self) -> Result<(), Error> {
        let deadline = Instant::now() + END;
        let pid = Some(self.running.pid);
        // Another process may have the home next.
        while self.home.held(Role::Node).is_some_and(|held| held.is_none() || held == pid) {
            if Instant::now() >= deadline {
                return Err(ControlError::Stays { pid }.into());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Follows what it reports from now on.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn follow(&self) -> Result<Followed<'_>, Error> {
        let (to, from) = self.begin(&Request::Events).await?;
        let mut followed = Followed { remote: self, from, _to: to };
        match self.next(&mut followed.from).await? {
            Told::Begun => Ok(followed),
            other => Err(wrong(&format!("{other:?}"))),
        }
    }

    /// Asks for something, and passes on what is told on the way.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        places: &Places,
        ask: Ask,
        mut tell: impl FnMut(Notice),
    ) -> Result<T, Error> {
        let (_to, mut from) = self.begin(&Request::Ask(places.clone(), Box::new(ask))).await?;
        loop {
            match self.next(&mut from).await? {
                Told::Answer(len) => return self.answer(&mut from, len).await,
                Told::Notice(notice) => tell(notice),
                Told::Begun
                | Told::Event(_)
                | Told::Job(_)
                | Told::Left
                | Told::Progress(_)
                | Told::Put(_)
                | Told::PutLeft(_)
                | Told::Uploads(_) => {}
            }
        }
    }

    pub(super) async fn answer<T: DeserializeOwned>(&self, from: &mut RecvStream, len: u64) -> Result<T, Error> {
        let len = usize::try_from(len).ok().filter(|len| *len <= ANSWER);
        let len = len.ok_or_else(|| wrong(&"an answer that is too long"))?;
        let mut pace = Pace::begin();
        let bytes = self.unless_gone(frames::receive_raw(from, len, &mut pace)).await?;
        rmp_serde::from_slice(&bytes).map_err(|error| wrong(&error))
    }

    pub(super) async fn begin(&self, request: &impl Serialize) -> Result<(SendStream, RecvStream), Error> {
        let exchange = async {
            let (mut to, from) = self.link.connection.open_bi().await?;
            frames::send(&mut to, request, PAGE).await?;
            Ok((to, from))
        };
        self.unless_gone(exchange).await
    }

    /// The next frame of an answer; they may be long in coming, but not from a node that is gone.
    pub(super) async fn next(&self, from: &mut RecvStream) -> Result<Told, Error> {
        let frame = async { frames::receive(from, PAGE).await?.ok_or(CallError::Ended) };
        self.unless_gone(frame).await
    }

    async fn fixed<T: DeserializeOwned>(&self, control: Control) -> Result<T, Error> {
        let silent = || ControlError::Silent { pid: Some(self.running.pid), elsewhere: false };
        timeout(PATIENCE, exchange(&self.link, control)).await.map_err(|_| silent())?.map_err(failed)
    }

    pub(super) async fn unless_gone<T>(&self, work: impl Future<Output = Result<T, CallError>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done.map_err(|error| self.failed(error)),
            () = self.ended() => Err(ControlError::Lost.into()),
        }
    }

    fn failed(&self, error: CallError) -> Error {
        match failed(error) {
            Error::Control(ControlError::Lost) if self.link.is_stopped() => ControlError::Stopped { job: None }.into(),
            error => error,
        }
    }
}

/// What a node reports.
#[derive(Debug)]
pub struct Followed<'r> {
    remote: &'r Remote,
    from: RecvStream,
    /// Closed, nobody follows.
    _to: SendStream,
}

impl Followed<'_> {
    /// The next event.
    ///
    /// # Errors
    /// When the node has ended.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Told::Event(event) = self.remote.next(&mut self.from).await? {
                return Ok(event);
            }
        }
    }
}

/// Why nobody is greeted.
enum Greeting {
    OtherKey,
    Silent,
    Wrong(CallError),
}

async fn greet(identity: &Arc<Identity>, at: &Whereabouts) -> Result<(OwnerLink, Running), Greeting> {
    let link = Endpoint::dial_owner(Arc::clone(identity), at.addr).await.map_err(|error| match error {
        OwnerError::OtherKey => Greeting::OtherKey,
        OwnerError::Silent(_) => Greeting::Silent,
    })?;
    match exchange(&link, Control::Hello(Hello {})).await {
        Ok(running) => Ok((link, running)),
        Err(CallError::Lost(_) | CallError::TimedOut | CallError::Refused(_)) => Err(Greeting::Silent),
        Err(error) => Err(Greeting::Wrong(error)),
    }
}

async fn exchange<T: DeserializeOwned>(link: &OwnerLink, control: Control) -> Result<T, CallError> {
    let (mut to, mut from) = link.connection.open_bi().await?;
    frames::send(&mut to, &control, PAGE).await?;
    frames::receive::<Answer<T>>(&mut from, PAGE).await?.ok_or(CallError::Ended)?.map_err(CallError::Refused)
}

fn wrong(cause: &dyn std::fmt::Display) -> Error {
    ControlError::Protocol(cause.to_string()).into()
}

fn failed(error: CallError) -> Error {
    match error {
        CallError::Ended | CallError::Lost(_) | CallError::Reset(_) | CallError::TimedOut => ControlError::Lost.into(),
        CallError::Frame(_) | CallError::Refused(_) => wrong(&error),
    }
}
