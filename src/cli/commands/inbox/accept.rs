//! `qshare inbox accept` to its end: shows how what was accepted gets on, as `jobs --watch` does. A signal ends it as it ends a `get`:
//! what has come is kept. Not responsible for what is accepted.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::news;
use super::show::{is_stuck, line, sentence, whole};
use crate::cli::commands::jobs::{self, watch};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::signals::Stop;
use crate::model::{Shown, Size};
use crate::node::{ErrorCode, InboxRow, JobId, JobOrder, JobRow, JobState, Remote, Standing};

/// How often is seen whether what is ended has, and for how long at most.
const LOOK: Duration = Duration::from_millis(50);
const ENDS: Duration = Duration::from_secs(10);

/// Waits until all of it is there, or does not go on.
///
/// # Errors
/// When some of it is not there, a signal comes, or the node ends.
pub(super) async fn follow(context: &Context, remote: &Remote, accepted: Vec<InboxRow>) -> Result<Exit, Failure> {
    let mut signals = context.signals()?;
    context.output.emit_all(accepted.iter().map(|row| line(context, row)))?;
    let numbers: Vec<u32> = accepted.iter().map(|row| row.number).collect();
    let ended = tokio::select! {
        ended = to_its_end(context, remote, &numbers) => ended?,
        // The node goes on with it.
        stop = signals.next() => {
            if stop != Stop::Hangup {
                cancel(context, remote, &accepted).await;
            }
            return Err(Failure::Stopped(stop));
        }
    };
    ended.iter().try_for_each(|row| tell(context, row))?;
    let there = ended.iter().filter(|row| row.entry.state == Standing::Done).count();
    match numbers.len() - there {
        0 => Ok(Exit::DONE),
        failed => Err(Failure::Some { failed, total: numbers.len(), code: ErrorCode::Failed }),
    }
}

async fn to_its_end(context: &Context, remote: &Remote, numbers: &[u32]) -> Result<Vec<InboxRow>, Failure> {
    let (mut shown, mut samples) = (watch::Shown::new(context), watch::samples());
    let mut away = BTreeSet::new();
    loop {
        samples.tick().await;
        let mut rows = remote.inbox().await?;
        rows.retain(|row| numbers.contains(&row.number));
        let is_own = |job: &JobRow| rows.iter().any(|row| row.entry.jobs.contains(&job.id));
        let mut all = jobs::all(remote).await?;
        all.retain(is_own);
        shown.show(context, &all)?;
        for row in rows.iter().filter(|row| row.away && !is_stuck(row)) {
            if away.insert(row.number) {
                news::tell(context, row)?;
            }
        }
        away.retain(|number| rows.iter().any(|row| row.number == *number && row.away));
        if !rows.iter().any(|row| row.entry.state == Standing::Accepted && !is_stuck(row)) {
            return Ok(rows);
        }
    }
}

async fn cancel(context: &Context, remote: &Remote, accepted: &[InboxRow]) {
    let ids: Vec<_> = accepted.iter().flat_map(|row| &row.entry.jobs).copied().collect();
    for id in &ids {
        // It may be over.
        let _ = remote.order_jobs(Some(*id), JobOrder::Cancel).await;
    }
    let ended = async {
        loop {
            let rows = jobs::all(remote).await.unwrap_or_default();
            if !rows.iter().any(|row| ids.contains(&row.id) && row.halting) {
                return rows;
            }
            sleep(LOOK).await;
        }
    };
    let rows = timeout(ENDS, ended).await.unwrap_or_default();
    // What was about to get its name may have got it.
    let is_there = |id: &JobId| rows.iter().any(|row| row.id == *id && row.state == JobState::Ended);
    for row in accepted.iter().filter(|row| !row.entry.is_message()) {
        let number = row.number;
        if row.entry.jobs.iter().all(is_there) {
            context.output.note(&format!("qshare: number {number} is there already: `qshare inbox` shows it"));
            continue;
        }
        context.output.note(&format!(
            "qshare: number {number} waits again, and what has come of it is kept: `qshare inbox accept {number}` goes on, \
             `qshare inbox decline {number}` removes it"
        ));
    }
}

fn tell(context: &Context, row: &InboxRow) -> Result<(), Failure> {
    if row.entry.is_message() {
        return whole(context, row);
    }
    context.output.emit(&line(context, row))?;
    if row.entry.state != Standing::Done {
        context.output.warn(&sentence(context, row));
        return Ok(());
    }
    let who = context.output.names().brief(row.entry.from);
    for (item, path) in row.entry.put.items.iter().zip(&row.entry.outputs) {
        let path = path.to_string_lossy();
        context.output.print(&format!("{}: {} from {who}, all proven\n", Shown(&path), Size(item.size)))?;
    }
    Ok(())
}
