//! `qshare jobs --watch`: asks the node again and again how its transfers get on, until none is left that goes on by itself.
//! Nothing that happens here changes a job.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{all, list};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::progress::jobs::{JobsView, goes_on};
use crate::cli::render::stdout;
use crate::node::{JobId, JobRow, Remote};

/// How often the node is asked: bars look alive.
const SAMPLE: Duration = Duration::from_millis(250);

/// Runs the command, until a signal comes, nobody reads, or nothing is left to watch.
pub(super) async fn run(context: &Context, remote: &Remote) -> Result<Exit, Failure> {
    let mut signals = context.signals()?;
    let watched = tokio::select! {
        watched = watch(context, remote) => watched?,
        () = stdout::unread() => return Err(Failure::Closed),
        _ = signals.next() => return Ok(Exit::DONE),
    };
    if context.output.json {
        return Ok(Exit::DONE);
    }
    list(context, &watched)
}

/// Shows them, and gives at last those that were worth watching.
async fn watch(context: &Context, remote: &Remote) -> Result<Vec<JobRow>, Failure> {
    let (mut shown, mut samples) = (Shown::new(context), samples());
    let mut watched: BTreeMap<JobId, JobRow> = BTreeMap::new();
    loop {
        samples.tick().await;
        let rows = all(remote).await?;
        shown.show(context, &rows)?;
        let active = rows.iter().any(goes_on);
        // One that a command followed is off the list when that has told its end.
        watched.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let is_worth_it = |row: &JobRow| goes_on(row) || watched.contains_key(&row.id);
        let news: Vec<_> = rows.into_iter().filter(is_worth_it).collect();
        watched.extend(news.into_iter().map(|row| (row.id, row)));
        if !active {
            return Ok(watched.into_values().collect());
        }
    }
}

/// When the node is asked.
pub(crate) fn samples() -> Interval {
    let mut samples = interval(SAMPLE);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    samples
}

/// What is shown of transfers, and was told of them.
pub(crate) struct Shown {
    view: JobsView,
    begun: Instant,
    told: BTreeMap<JobId, JobRow>,
}

impl Shown {
    /// Nothing yet.
    pub(crate) fn new(context: &Context) -> Self {
        Self { view: JobsView::new(&context.output), begun: Instant::now(), told: BTreeMap::new() }
    }

    /// Shows how they stand; programs have a line for each that is not as it was told last.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written.
    pub(crate) fn show(&mut self, context: &Context, rows: &[JobRow]) -> Result<(), Failure> {
        // How long it is until the next try changes all the time, and follows from what was told.
        let steady = |row: &JobRow| JobRow { again: row.again.map(|_| Duration::ZERO), ..row.clone() };
        let news = rows.iter().filter(|row| self.told.get(&row.id) != Some(&steady(row))).collect::<Vec<_>>();
        news.iter().try_for_each(|row| super::tell(context, row))?;
        self.told.extend(news.into_iter().map(|row| (row.id, steady(row))));
        self.view.show(rows, self.begun.elapsed());
        Ok(())
    }
}
