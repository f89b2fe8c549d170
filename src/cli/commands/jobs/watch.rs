//! `qshare jobs --watch`: asks the node again and again how its transfers get on, until none is left that goes on by itself.
//! Nothing that happens here changes a job.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{all, list, why};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::json::{JobLine, Line};
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
    let (mut view, begun) = (JobsView::new(&context.output), Instant::now());
    let mut samples = interval(SAMPLE);
    samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = BTreeMap::new();
    let mut watched: BTreeMap<JobId, JobRow> = BTreeMap::new();
    loop {
        samples.tick().await;
        let rows = all(remote).await?;
        tell(context, &rows, &mut told)?;
        view.show(&rows, begun.elapsed());
        let active = rows.iter().any(goes_on);
        watched
            .extend(rows.into_iter().filter(|row| goes_on(row) || told.contains_key(&row.id)).map(|row| (row.id, row)));
        if !active {
            return Ok(watched.into_values().collect());
        }
    }
}

/// A line for each that is not as it was told last.
fn tell(context: &Context, rows: &[JobRow], told: &mut BTreeMap<JobId, JobRow>) -> Result<(), Failure> {
    // How long it is until the next try changes all the time, and follows from what was told.
    let steady = |row: &JobRow| JobRow { again: row.again.map(|_| Duration::ZERO), ..row.clone() };
    let news = rows.iter().filter(|row| told.get(&row.id) != Some(&steady(row))).collect::<Vec<_>>();
    context.output.emit_all(news.iter().map(|row| Line::Job(JobLine::of(row, why(context, row)))))?;
    told.extend(news.into_iter().map(|row| (row.id, steady(row))));
    Ok(())
}
