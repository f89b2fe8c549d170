//! A tracker: the directory that others ask, and whom it serves.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::actors::directory::{Census, DirectoryRef, Refusals};
use crate::actors::serve::dial_back::probe_through;
use crate::actors::serve::tracker::TrackerAnswers;
use crate::actors::serve::{Places, serve_links};
use crate::logic::directory::Quotas;
use crate::node::allowed::Allowed;
use crate::node::error::Error;
use crate::node::host::{Host, Started};
use crate::node::types::{Event, Notice, Options};
use crate::wire::Role;

/// After the directory was said to be full, that is not said again for this long.
const FULL_AGAIN: Duration = Duration::from_secs(300);

/// Between two counts of what the directory holds.
const COUNT: Duration = Duration::from_secs(1);

/// What a tracker has beside what every host has.
#[derive(Debug, Clone, Default)]
pub struct TrackerOptions {
    /// It serves only the nodes of this file, a node id a line, as it changes; everyone when none.
    pub allow: Option<PathBuf>,
    /// How much its directory takes.
    pub quotas: Quotas,
}

/// A running tracker. Dropping it ends it at once; [`Host::stop`] ends it cleanly.
pub struct Tracker {
    host: Host,
    directory: DirectoryRef,
    census: watch::Receiver<Census>,
}

impl Tracker {
    /// Starts a tracker and gives what it reports. Of the options those count that concern every host: home, lifetime,
    /// where it listens.
    ///
    /// # Errors
    /// When the list of whom it serves cannot be read, the home is locked or cannot be used, or the port cannot be had.
    pub async fn start(options: &Options, of: TrackerOptions) -> Result<(Self, mpsc::Receiver<Event>), Error> {
        let allowed = Allowed::read(of.allow.as_deref()).await?;
        let Started { host, links, events } = Host::start(options, Role::Tracker, allowed.access()).await?;
        let directory = DirectoryRef::start(of.quotas, Some(host.cell())).await?;
        let probe = probe_through(host.connections.clone());
        let answers = TrackerAnswers::new(directory.clone(), allowed.access(), probe);
        host.run(tell_refusals(directory.refusals(), host.events.clone()));
        let (counts, census) = watch::channel(Census::default());
        host.run(count(directory.clone(), counts));
        allowed.follow(&host, directory.clone());
        host.run(serve_links(links, Arc::new(answers), Places::default()));
        Ok((Self { host, directory, census }, events))
    }

    /// What its directory holds at this moment.
    #[must_use]
    pub fn count(&self) -> Census {
        self.directory.census()
    }

    /// What its directory holds, counted each second.
    #[must_use]
    pub fn census(&self) -> watch::Receiver<Census> {
        self.census.clone()
    }
}

impl Deref for Tracker {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

/// Counts what the directory holds, as long as the tracker runs.
async fn count(directory: DirectoryRef, counts: watch::Sender<Census>) {
    loop {
        counts.send_replace(directory.census());
        sleep(COUNT).await;
    }
}

/// Says that the directory is full, once a while.
async fn tell_refusals(mut refusals: watch::Receiver<Option<Refusals>>, events: mpsc::Sender<Event>) {
    while refusals.changed().await.is_ok() {
        let last = *refusals.borrow_and_update();
        let Some(refusals) = last else { continue };
        if events.send(Event::Notice(Notice::DirectoryFull(refusals))).await.is_err() {
            return;
        }
        sleep(FULL_AGAIN).await;
    }
}
