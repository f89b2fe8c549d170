//! What is sent by the running node, a line for each of those to whom it goes, and how a command that sends something ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::{duration, percent};
use crate::cli::render::json::{Line, PutLine};
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::io::clock::time_of_day;
use crate::model::{SafePath, Shown, Size};
use crate::node::{ControlError, Error, PutProgress, PutRow, PutWish, Receiver, Receiving};
use crate::wire::Code;

/// What answers so is a command, a tracker or an older version.
const NO_INBOX: &str =
    "no node runs there that takes things, or an older version: `qshare node`, `share` or `shell` starts one";

/// A line for each of those to whom it goes.
pub(super) fn lines<'a>(context: &'a Context, row: &'a PutRow) -> impl Iterator<Item = Line<'a>> {
    row.progress.receivers.iter().map(|receiver| line(context, receiver, &row.progress))
}

pub(super) fn line<'a>(context: &'a Context, receiver: &'a Receiver, of: &PutProgress) -> Line<'a> {
    Line::Put(PutLine::of(receiver, of, context.output.names(), why(context, receiver)))
}

/// What went wrong last.
pub(super) fn why(context: &Context, receiver: &Receiver) -> Option<String> {
    let why = receiver.error.as_ref().map(|error| match error {
        Error::Refused { code: Code::Unsupported, .. } => NO_INBOX.to_owned(),
        error => say::error(error, context.output.names()),
    })?;
    let seen = receiver.seen.filter(|_| receiver.state == Receiving::Away);
    let ago = seen.map(|seen| Duration::from_secs(time_of_day().saturating_sub(seen).as_secs()));
    Some(ago.map_or_else(|| why.clone(), |ago| format!("last seen {} ago; {why}", duration(ago))))
}

/// Whom people know it as.
pub(super) fn name(context: &Context, receiver: &Receiver) -> String {
    match receiver.node {
        Some(node) => context.output.names().brief(node),
        None => Shown(&receiver.peer.to_string()).to_string(),
    }
}

/// How it stands at somebody of this name.
pub(super) fn sentence(who: &str, state: Receiving) -> String {
    match state {
        Receiving::Away => format!("{who} is away or takes nothing now, and is asked again"),
        Receiving::Declined => format!("{who} has declined"),
        Receiving::Done => format!("{who} has all of it"),
        Receiving::Fetching => format!("{who} has accepted"),
        Receiving::Looking => format!("{who} is looked for"),
        Receiving::Refused => format!("{who} does not take it"),
        Receiving::Waiting => format!("waits for {who} to accept"),
        Receiving::Expired => format!("nothing has moved for as long as was waited: it is sent to {who} no longer"),
        Receiving::Cancelled | Receiving::Changed | Receiving::Failed | Receiving::Gone => {
            format!("it is sent to {who} no longer")
        }
    }
}

/// How the command ends.
pub(super) fn outcome(context: &Context, wish: &PutWish, progress: &PutProgress) -> Result<Exit, Failure> {
    let of = |is: fn(Receiving) -> bool, how: &dyn Fn(&Receiver) -> String| -> Vec<String> {
        progress.receivers.iter().filter(|receiver| is(receiver.state)).map(how).collect()
    };
    if let Some(error) = progress.spoilt() {
        return Err(error.clone().into());
    }
    let declined =
        of(|state| matches!(state, Receiving::Declined | Receiving::Refused), &|receiver| name(context, receiver));
    if !declined.is_empty() {
        return Err(Error::from(ControlError::Declined { by: declined }).into());
    }
    let how = |receiver: &Receiver| format!("{} ({})", name(context, receiver), lack(receiver, progress.total));
    let lacking = of(|state| state != Receiving::Done, &how);
    if !lacking.is_empty() {
        return Err(Error::from(ControlError::Undecided { by: lacking, waited: wish.wait }).into());
    }
    Ok(Exit::DONE)
}

/// Why it is not there when nobody waits any more.
fn lack(receiver: &Receiver, total: u64) -> String {
    match receiver.state {
        Receiving::Away => "is away".to_owned(),
        Receiving::Fetching => format!("has {} % of it", percent(receiver.bytes, total)),
        Receiving::Looking => "is not found yet".to_owned(),
        Receiving::Waiting => "has not accepted".to_owned(),
        state => state.word().to_owned(),
    }
}

pub(super) fn list(context: &Context, rows: &[PutRow], none: &str) -> Result<Exit, Failure> {
    let columns = [
        ("#", Align::Right),
        ("WHAT", Align::Path),
        ("TO", Align::Left),
        ("SIZE", Align::SpareRight),
        ("STATE", Align::Left),
    ];
    let names = context.output.table_names();
    let (mut table, mut notes) = (Table::new(&columns).narrow(), Vec::new());
    for row in rows {
        for receiver in &row.progress.receivers {
            let why = why(context, receiver);
            let who = name(context, receiver);
            notes
                .extend(why.iter().map(|why| format!("put {}: {}: {why}", row.number, sentence(&who, receiver.state))));
            context.output.emit(&line(context, receiver, &row.progress))?;
            let total = row.progress.total;
            let state = match receiver.state {
                Receiving::Fetching if total > 0 => format!("{} %", percent(receiver.bytes, total)),
                state => state.word().to_owned(),
            };
            table.row([
                row.number.to_string(),
                what(&row.wish),
                receiver.node.map_or(who, |node| names.short(node)),
                Size(total).to_string(),
                state,
            ]);
        }
    }
    if rows.is_empty() {
        context.output.note(&format!("qshare: {none}"));
        return Ok(Exit::DONE);
    }
    context.output.table(&table)?;
    notes.iter().for_each(|note| context.output.remark(&format!("qshare: {note}")));
    Ok(Exit::DONE)
}

fn what(wish: &PutWish) -> String {
    let named = wish.options.named.iter().map(|(name, _): &(SafePath, PathBuf)| name.to_string());
    let last = |path: &Path| {
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    };
    let paths = wish.paths.iter().map(|path| last(path));
    let all: Vec<String> = paths.chain(named).collect();
    if all.is_empty() { "(message)".to_owned() } else { all.join(", ") }
}
