//! `qshare jobs`: what the running node of the home fetches by itself, and what its owner wants with that.

use std::time::Duration;

use crate::cli::args::{JobsArgs, JobsCommand, OneOrAll};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::{duration, percent, rate};
use crate::cli::render::json::{JobLine, Line};
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::model::Size;
use crate::node::{ControlError, Error, JobOrder, JobRow, JobState, Remote};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: JobsArgs) -> Result<Exit, Failure> {
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    let (order, which) = match arguments.command {
        None => return list(context, &all(&remote).await?),
        Some(JobsCommand::Cancel(which)) => (JobOrder::Cancel, which),
        Some(JobsCommand::Pause(which)) => (JobOrder::Pause, which),
        Some(JobsCommand::Resume(which)) => (JobOrder::Resume, which),
        Some(JobsCommand::Retry(which)) => (JobOrder::Retry, which),
    };
    let OneOrAll(id) = which.id;
    let changed = remote.order_jobs(id, order).await?;
    let rows = all(&remote).await?;
    list(context, &rows.into_iter().filter(|row| changed.contains(&row.id)).collect::<Vec<_>>())
}

/// All of them, page by page.
async fn all(remote: &Remote) -> Result<Vec<JobRow>, Error> {
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
    let names = context.output.names();
    let why = |row: &JobRow| row.error.as_ref().map(|error| say::error(error, names));
    context.output.emit_all(rows.iter().map(|row| Line::Job(JobLine::of(row, why(row)))))?;
    if rows.is_empty() {
        context.output.note("qshare: no jobs");
        return Ok(Exit::DONE);
    }
    context.output.table(&table(rows))?;
    for row in rows.iter().filter(|row| row.state == JobState::Failed) {
        let why = why(row).unwrap_or_default();
        let again = row.again.map_or_else(
            || format!("`qshare jobs retry {}` tries again", row.id),
            |again| format!("tried again in {}", duration(Duration::from_secs(again.as_secs()))),
        );
        context.output.note(&format!("qshare: job {}: {why}; {again}", row.id));
    }
    Ok(Exit::DONE)
}

fn table(rows: &[JobRow]) -> Table {
    let columns = [
        ("ID", Align::Right),
        ("NAME", Align::Path),
        ("STATE", Align::Left),
        ("DONE", Align::Right),
        ("SIZE", Align::Right),
        ("RATE", Align::SpareRight),
        ("FROM", Align::SpareRight),
        ("LEFT", Align::SpareRight),
    ];
    let mut table = Table::new(&columns);
    for row in rows {
        let name = row.name.as_ref().map_or_else(|| row.what.to_string(), ToString::to_string);
        let runs = row.state == JobState::Running;
        let of_running = |text: String| if runs { text } else { String::new() };
        table.row([
            row.id.to_string(),
            name,
            row.state.word().to_owned(),
            proven(row),
            if row.total > 0 { Size(row.total).to_string() } else { String::new() },
            of_running(rate(row.rate)),
            of_running(row.providers.to_string()),
            of_running(left(row)),
        ]);
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
