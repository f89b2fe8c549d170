//! `qshare inbox`: what other nodes offer to this one's person, and what that person wants with it.

pub(crate) mod news;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::interval;

use crate::cli::args::{InboxArgs, InboxCommand, OfferOrAll as OneOrAll};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::{counted, duration, percent};
use crate::cli::render::json::{InboxLine, Line};
use crate::cli::render::stdout;
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::io::clock::time_of_day;
use crate::io::receive::landing::Landing;
use crate::model::{Shown, Size};
use crate::node::{ControlError, Entry, Error, InboxRow, Remote, Standing};

/// How often is looked for what is new.
const LOOK: Duration = Duration::from_millis(500);
/// Names of an offer that a line has.
const NAMED: usize = 3;

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: InboxArgs) -> Result<Exit, Failure> {
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    match arguments.command {
        None | Some(InboxCommand::List) => list(context, &remote.inbox().await?, "nothing in the inbox"),
        Some(InboxCommand::Accept { which: OneOrAll(number), output }) => {
            let into = output.map(into).transpose()?;
            list(context, &remote.accept_offer(number, into).await?, "nothing waits")
        }
        Some(InboxCommand::Decline { which: OneOrAll(number) }) => {
            list(context, &remote.decline_offer(number).await?, "nothing waits")
        }
        Some(InboxCommand::Watch) => watch(context, &remote).await,
    }
}

/// The whole path of a directory, and which one that is.
fn into(output: PathBuf) -> Result<(PathBuf, Landing), Failure> {
    let failed = |error| anyhow::Error::new(error).context(format!("{} cannot be found", output.display()));
    let whole = std::path::absolute(&output).map_err(failed)?;
    Ok((whole.clone(), Landing::of(&whole)))
}

fn list(context: &Context, rows: &[InboxRow], none: &str) -> Result<Exit, Failure> {
    context.output.emit_all(rows.iter().map(|row| line(context, row)))?;
    if rows.is_empty() {
        context.output.note(&format!("qshare: {none}"));
        return Ok(Exit::DONE);
    }
    context.output.table(&table(context, rows))?;
    for row in rows.iter().filter(|row| why(context, row).is_some()) {
        context.output.warn(&sentence(context, row));
    }
    for row in rows.iter().filter(|row| !row.entry.put.text.is_empty()) {
        let (number, text) = (row.number, message(&row.entry.put.text));
        context.output.note(&format!("qshare: message {number}: {text}"));
    }
    Ok(Exit::DONE)
}

fn line<'a>(context: &'a Context, row: &'a InboxRow) -> Line<'a> {
    Line::Inbox(InboxLine::of(row, context.output.names(), why(context, row)))
}

fn why(context: &Context, row: &InboxRow) -> Option<String> {
    let error = row.loss().or_else(|| row.trouble.as_ref().map(|(_, error)| error.clone()));
    error.map(|error| say::error(&error, context.output.names()))
}

/// That a transfer does not go on.
fn stuck(context: &Context, row: &InboxRow) -> String {
    let (number, why) = (row.number, why(context, row).unwrap_or_default());
    if row.loss().is_some() {
        return format!("number {number} does not go on: {why}; `qshare inbox decline {number}` ends it");
    }
    let job = row.trouble.as_ref().map(|(job, _)| format!("`qshare jobs retry {job}` tries it again, "));
    format!(
        "number {number} does not go on: {why}; {}`qshare inbox accept {number} -o DIR` begins anew elsewhere",
        job.unwrap_or_default()
    )
}

fn table(context: &Context, rows: &[InboxRow]) -> Table {
    let columns = [
        ("NUMBER", Align::Right),
        ("FROM", Align::Left),
        ("STATE", Align::Left),
        ("WHAT", Align::Path),
        ("FILES", Align::SpareRight),
        ("SIZE", Align::Right),
        ("AGE", Align::SpareRight),
    ];
    let (mut table, now) = (Table::new(&columns), time_of_day());
    for row in rows {
        let entry = &row.entry;
        let age = Duration::from_secs(now.saturating_sub(entry.since).as_secs());
        table.row([
            row.number.to_string(),
            context.output.names().brief(entry.from),
            if row.trouble.is_some() { "stuck".to_owned() } else { state(entry) },
            what(entry),
            entry.files().to_string(),
            Size(entry.bytes()).to_string(),
            duration(age),
        ]);
    }
    table
}

fn state(entry: &Entry) -> String {
    let total = entry.bytes();
    match entry.state {
        Standing::Accepted if total > 0 => format!("{} %", percent(entry.have, total)),
        state => state.word().to_owned(),
    }
}

/// What is offered, by its names; where it lies, once it is there.
fn what(entry: &Entry) -> String {
    let items = &entry.put.items;
    let place = |at: usize| {
        let output = entry.outputs.get(at).filter(|_| entry.state == Standing::Done);
        output.map_or_else(|| items[at].name.to_string(), |path| path.display().to_string())
    };
    let mut names: Vec<String> = (0..items.len().min(NAMED)).map(place).collect();
    if items.len() > NAMED {
        names.push(format!("and {} more", items.len() - NAMED));
    }
    if items.is_empty() {
        names.push("(message)".to_owned());
    }
    names.join(", ")
}

/// A message on one line.
fn message(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| Shown(line).to_string()).collect();
    lines.join(" / ")
}

/// Tells what changes, until a signal comes, nobody reads, or the node ends.
async fn watch(context: &Context, remote: &Remote) -> Result<Exit, Failure> {
    let mut signals = context.signals()?;
    let (mut looks, mut before) = (interval(LOOK), Vec::<InboxRow>::new());
    let follow = async {
        loop {
            looks.tick().await;
            let now = remote.inbox().await?;
            for row in now.iter().filter(|row| !before.contains(row)) {
                tell(context, row)?;
            }
            before = now;
        }
    };
    tokio::select! {
        followed = follow => match followed {
            Err(Failure::Node(Error::Control(ControlError::Lost))) => {
                context.output.note("qshare: the node has ended");
                Ok(Exit::DONE)
            }
            followed => followed,
        },
        () = stdout::unread() => Err(Failure::Closed),
        stop = signals.next() => Err(Failure::Stopped(stop)),
    }
}

/// Tells that one stands otherwise than before.
pub(crate) fn tell(context: &Context, row: &InboxRow) -> Result<(), Failure> {
    context.output.emit(&line(context, row))?;
    context.output.remark(&format!("qshare: {}", sentence(context, row)));
    Ok(())
}

fn sentence(context: &Context, row: &InboxRow) -> String {
    let InboxRow { number, entry, trouble } = row;
    if trouble.is_some() {
        return stuck(context, row);
    }
    let (who, what) = (context.output.names().brief(entry.from), what(entry));
    let size = format!("{}, {}", counted(entry.files(), "file"), Size(entry.bytes()));
    let (text, is_new) = (message(&entry.put.text), matches!(entry.state, Standing::Done | Standing::Waiting));
    if entry.put.items.is_empty() && is_new {
        return format!("{who} says: {text}");
    }
    let says = if text.is_empty() { String::new() } else { format!("; message: {text}") };
    match entry.state {
        Standing::Waiting => {
            format!(
                "{who} offers {what} ({size}): `qshare inbox accept {number}` or `qshare inbox decline {number}`{says}"
            )
        }
        Standing::Accepted => format!("fetching {what} ({size}) from {who} into {}{says}", dir(entry)),
        Standing::Done if entry.there => format!("already here: {what} from {who}{says}"),
        Standing::Done => format!("there: {what} from {who}{says}"),
        Standing::Declined => format!("declined: {what} from {who}"),
        Standing::Withdrawn => {
            let why = why(context, row).map(|why| format!(": {why}")).unwrap_or_default();
            format!("{who} does not offer {what} any more{why}")
        }
    }
}

fn dir(entry: &Entry) -> String {
    let dir = entry.outputs.first().and_then(|path| path.parent());
    dir.map(Path::display).map(|dir| dir.to_string()).unwrap_or_default()
}
