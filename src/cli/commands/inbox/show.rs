//! Offers as people read them: a line each, or one whole.

use std::path::Path;
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::render::human::{counted, duration, percent};
use crate::cli::render::json::{InboxLine, Line};
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::io::clock::time_of_day;
use crate::model::{Shown, Size};
use crate::node::{Entry, Error, InboxRow, Standing};

/// Names of an offer that a line has.
const NAMED: usize = 3;
/// Characters of a message that a line has.
const BEGINNING: usize = 60;

/// All of them, a line each.
pub(super) fn rows(context: &Context, rows: &[InboxRow], none: &str) -> Result<(), Failure> {
    context.output.emit_all(rows.iter().map(|row| line(context, row)))?;
    if rows.is_empty() {
        context.output.note(&format!("qshare: {none}"));
        return Ok(());
    }
    context.output.table(&table(context, rows))?;
    for row in rows.iter().filter(|row| why(context, row).is_some()) {
        context.output.warn(&sentence(context, row));
    }
    if rows.iter().any(|row| row.entry.state == Standing::Waiting && !row.entry.put.text.is_empty()) {
        context.output.remark("qshare: `qshare inbox read NUMBER` shows a message whole");
    }
    Ok(())
}

pub(super) fn line<'a>(context: &'a Context, row: &'a InboxRow) -> Line<'a> {
    Line::Inbox(InboxLine::of(row, context.output.names(), why(context, row)))
}

fn why(context: &Context, row: &InboxRow) -> Option<String> {
    if row.away && row.loss().is_none() {
        return Some(away(context, row));
    }
    let error = row.loss().or_else(|| row.trouble.as_ref().map(|(_, error)| error.clone()));
    error.map(|error| match &error {
        // Nobody else has it, and what may be taken follows from what was told.
        Error::Impossible { .. } | Error::TooLarge { .. } | Error::TooManyFiles { .. } => {
            format!("{error}, which is not what its sender told")
        }
        _ => say::error(&error, context.output.names()),
    })
}

/// That nobody is there who gives it.
fn away(context: &Context, row: &InboxRow) -> String {
    format!("{} is away: it goes on when it is back", context.output.names().brief(row.entry.from))
}

/// Whether it is to be fetched and does not go on.
pub(super) fn is_stuck(row: &InboxRow) -> bool {
    row.trouble.is_some() || (row.entry.state == Standing::Accepted && row.loss().is_some())
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
        ("#", Align::Right),
        ("WHAT", Align::Path),
        ("FROM", Align::Left),
        ("FILES", Align::SpareRight),
        ("SIZE", Align::SpareRight),
        ("AGE", Align::SpareRight),
        ("STATE", Align::Left),
    ];
    let names = context.output.table_names();
    let cells = |row: &InboxRow| {
        let entry = &row.entry;
        let of_files = |text: String| if entry.is_message() { String::new() } else { text };
        [
            row.number.to_string(),
            of_line(entry),
            names.short(entry.from),
            of_files(entry.files().to_string()),
            of_files(Size(entry.bytes()).to_string()),
            duration(age(entry)),
            match row {
                row if is_stuck(row) => "stuck".to_owned(),
                row if row.away => "away".to_owned(),
                row => state(&row.entry),
            },
        ]
    };
    Table::of(&columns, rows.iter().map(cells)).narrow()
}

fn age(entry: &Entry) -> Duration {
    Duration::from_secs(time_of_day().saturating_sub(entry.since).as_secs())
}

fn state(entry: &Entry) -> String {
    let total = entry.bytes();
    match entry.state {
        Standing::Accepted if total > 0 => format!("{} %", percent(entry.have, total)),
        Standing::Done if entry.is_message() => "read".to_owned(),
        _ if is_unread(entry) => "unread".to_owned(),
        state => state.word().to_owned(),
    }
}

/// Whether it is a message that nobody has read.
pub(super) fn is_unread(entry: &Entry) -> bool {
    entry.is_message() && entry.state == Standing::Waiting
}

/// What is offered, as a line has it.
fn of_line(entry: &Entry) -> String {
    if !entry.is_message() {
        let more = if entry.put.text.is_empty() { "" } else { ", with a message" };
        return what(entry) + more;
    }
    let text = on_one_line(&entry.put.text);
    let beginning: String = text.chars().take(BEGINNING).collect();
    let more = if beginning.len() < text.len() { "…" } else { "" };
    format!("“{beginning}{more}”")
}

/// What is offered, by its names.
fn what(entry: &Entry) -> String {
    named(entry, |at| entry.put.items[at].name.to_string())
}

/// Where it lies.
fn places(entry: &Entry) -> String {
    named(entry, |at| {
        let output = entry.outputs.get(at).map(|path| path.display().to_string());
        output.unwrap_or_else(|| entry.put.items[at].name.to_string())
    })
}

/// The first of its things, and how many more there are.
fn named(entry: &Entry, name: impl Fn(usize) -> String) -> String {
    let items = &entry.put.items;
    let mut names: Vec<String> = (0..items.len().min(NAMED)).map(name).collect();
    if items.len() > NAMED {
        names.push(format!("and {} more", items.len() - NAMED));
    }
    if items.is_empty() {
        names.push("a message".to_owned());
    }
    names.join(", ")
}

/// A message on one line.
fn on_one_line(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| Shown(line).to_string()).collect();
    lines.join(" / ")
}

/// How it stands, in a sentence.
pub(super) fn sentence(context: &Context, row: &InboxRow) -> String {
    let InboxRow { number, entry, .. } = row;
    if is_stuck(row) {
        return stuck(context, row);
    }
    if row.away {
        return format!("number {number}: {}", away(context, row));
    }
    let (who, what, size) = (context.output.names().brief(entry.from), what(entry), size(entry));
    let text = on_one_line(&entry.put.text);
    if entry.is_message() && entry.state == Standing::Waiting {
        return format!("{who} says: {text}");
    }
    let says = if text.is_empty() { String::new() } else { format!("; message: {text}") };
    match entry.state {
        Standing::Waiting => {
            format!(
                "{who} offers {what} ({size}): `qshare inbox accept {number}` or `qshare inbox decline {number}`{says}"
            )
        }
        Standing::Accepted => format!("fetching {what} ({size}) from {who} into {}", dir(entry)),
        Standing::Done if entry.is_message() => format!("read: {what} from {who}"),
        Standing::Done => format!("there: {} from {who}", places(entry)),
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

/// One of them, whole: its message as it was written, but for what moves a terminal.
pub(super) fn whole(context: &Context, row: &InboxRow) -> Result<(), Failure> {
    context.output.emit(&line(context, row))?;
    let (entry, output) = (&row.entry, &context.output);
    let (who, age) = (output.names().brief(entry.from), duration(age(entry)));
    output.remark(&format!("qshare: number {} from {who}, {age} ago, {}", row.number, state(entry)));
    if !entry.is_message() {
        let columns = [("NAME", Align::Path), ("FILES", Align::SpareRight), ("SIZE", Align::Right)];
        let items = entry.put.items.iter();
        let cells = items.map(|item| [item.name.to_string(), item.files.to_string(), Size(item.size).to_string()]);
        output.table(&Table::of(&columns, cells))?;
        if !entry.outputs.is_empty() {
            output.remark(&format!("qshare: in {}", dir(entry)));
        }
    }
    let text: String = entry.put.text.lines().map(|line| format!("{:#}\n", Shown(line))).collect();
    output.print(&text)
}

/// How much is offered.
fn size(entry: &Entry) -> String {
    format!("{}, {}", counted(entry.files(), "file"), Size(entry.bytes()))
}
