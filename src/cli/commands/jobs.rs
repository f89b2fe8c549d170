//! `qshare jobs`: what the running node of the home fetches by itself, and what its owner wants with that.

pub(crate) mod ends;
pub(crate) mod watch;

use std::time::Duration;

use crate::cli::args::{JobsArgs, JobsCommand, OneOrAll, Which};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::{counted, duration, percent, rate};
use crate::cli::render::json::{JobLine, Line};
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::model::Size;
use crate::node::{ControlError, Error, JobId, JobOrder, JobRow, JobState, Remote};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: JobsArgs) -> Result<Exit, Failure> {
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    let changed = match arguments.command {
        None if arguments.watch => return watch::run(context, &remote).await,
        None => return list(context, &all(&remote).await?),
        Some(JobsCommand::Limit { which: Which { id: OneOrAll(id) }, rate }) => remote.limit_jobs(id, rate).await?,
        Some(JobsCommand::Clear { id: OneOrAll(id) }) => return clear(context, &remote, id).await,
        Some(JobsCommand::Cancel(which)) => {
            let cancelled = ordered(&remote, which, JobOrder::Cancel).await?;
            if !cancelled.is_empty() {
                context.output.note(
                    "qshare: what has come is kept where it was to go, and the same command goes on with it; what came by the inbox waits there again",
                );
            }
            cancelled
        }
        Some(JobsCommand::Pause(which)) => ordered(&remote, which, JobOrder::Pause).await?,
        Some(JobsCommand::Resume(which)) => ordered(&remote, which, JobOrder::Resume).await?,
        Some(JobsCommand::Retry(which)) => ordered(&remote, which, JobOrder::Retry).await?,
    };
    let rows: Vec<_> = all(&remote).await?.into_iter().filter(|row| changed.contains(&row.id)).collect();
    if rows.is_empty() && !changed.is_empty() {
        context.output.note("qshare: the command that follows it is told so, and ends");
        return Ok(Exit::DONE);
    }
    list(context, &rows)
}

async fn ordered(remote: &Remote, which: Which, order: JobOrder) -> Result<Vec<JobId>, Error> {
    let OneOrAll(id) = which.id;
    remote.order_jobs(id, order).await
}

/// Forgets what is over, and shows what that was.
async fn clear(context: &Context, remote: &Remote, id: Option<JobId>) -> Result<Exit, Failure> {
    let rows = all(remote).await?;
    let cleared = remote.order_jobs(id, JobOrder::Clear).await?;
    let rows = rows.iter().filter(|row| cleared.contains(&row.id));
    rows.into_iter().try_for_each(|row| tell(context, row))?;
    context.output.note(&format!("qshare: {} taken off the list", counted(cleared.len() as u64, "job")));
    Ok(Exit::DONE)
}

/// All of them, page by page.
pub(super) async fn all(remote: &Remote) -> Result<Vec<JobRow>, Error> {
    let mut all: Vec<JobRow> = Vec::new();
    loop {
        let page = remote.jobs(all.last().map(|row| row.id)).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn list(context: &Context, rows: &[JobRow]) -> Result<Exit, Failure> {
    rows.iter().try_for_each(|row| tell(context, row))?;
    if rows.is_empty() {
        context.output.note("qshare: no jobs");
        return Ok(Exit::DONE);
    }
    context.output.table(&table(rows))?;
    let is_told = |row: &&JobRow| row.state == JobState::Failed || row.again.is_some();
    rows.iter().filter(is_told).for_each(|row| note_failed(context, row));
    Ok(Exit::DONE)
}

/// How it stands, as a JSON line.
pub(crate) fn tell(context: &Context, row: &JobRow) -> Result<(), Failure> {
    context.output.emit(&Line::Job(JobLine::of(row, why(context, row))))
}

fn note_failed(context: &Context, row: &JobRow) {
    let why = why(context, row).unwrap_or_default();
    let again = row.again.map_or_else(
        || format!("`qshare jobs retry {}` tries again", row.id),
        |again| format!("tried again in {}", duration(Duration::from_secs(again.as_secs()))),
    );
    context.output.note(&format!("qshare: job {}: {why}; {again}", row.id));
}

/// What went wrong last.
fn why(context: &Context, row: &JobRow) -> Option<String> {
    let error = row.error.as_ref()?;
    // What to do about a `get` is no help there.
    Some(if row.given {
        format!("{error}; `qshare inbox` shows from whom it is")
    } else {
        say::error(error, context.output.names())
    })
}

fn table(rows: &[JobRow]) -> Table {
    let columns = [
        ("ID", Align::Right),
        ("NAME", Align::Path),
        ("STATE", Align::Left),
        ("DONE", Align::Right),
        ("SIZE", Align::Right),
        ("RATE", Align::SpareRight),
        ("LIMIT", Align::SpareRight),
        ("FROM", Align::SpareRight),
        ("LEFT", Align::SpareRight),
    ];
    // Few ever have one.
    let limited = rows.iter().any(|row| row.limit.is_some());
    let mut table =
        Table::new(&columns.into_iter().filter(|(name, _)| limited || *name != "LIMIT").collect::<Vec<_>>());
    for row in rows {
        let name = row.name.as_ref().map_or_else(|| row.what.to_string(), ToString::to_string);
        let runs = row.state == JobState::Running;
        let of_running = |text: String| if runs { text } else { String::new() };
        let limit = limited.then(|| row.limit.map(|limit| rate(limit.get())).unwrap_or_default());
        let cells = [
            row.id.to_string(),
            name,
            row.state.word().to_owned(),
            proven(row),
            if row.total > 0 { Size(row.total).to_string() } else { String::new() },
            of_running(rate(row.rate)),
        ];
        let rest = [of_running(row.providers.to_string()), of_running(left(row))];
        table.row(cells.into_iter().chain(limit).chain(rest));
    }
    table
}

fn proven(row: &JobRow) -> String {
    match row.total {
        0 if row.state == JobState::Ended => "100 %".to_owned(),
        0 => String::new(),
        total => format!("{} %", percent(row.bytes, total)),
    }
}

/// How long it takes still, at the rate of now.
fn left(row: &JobRow) -> String {
    let seconds = row.total.saturating_sub(row.bytes).checked_div(row.rate);
    seconds.map_or_else(String::new, |seconds| duration(Duration::from_secs(seconds)))
}
