//! What is told of what comes into the inbox, each once: by `inbox watch`, and by a shell.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::interval;

use super::show::{is_unread, line, sentence};
use crate::cli::commands::events::until_stopped;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::render::human::counted;
use crate::node::{InboxRow, Remote, Standing};

/// How often is looked for what is new.
const LOOK: Duration = Duration::from_millis(500);

/// How one stands, and whether its transfer does not go on.
type Stand = (Standing, bool);

/// What was seen there.
#[derive(Debug, Default)]
pub(crate) struct News {
    seen: BTreeMap<u32, Stand>,
    begun: bool,
}

/// Tells what waits, and then what changes, until a signal comes, nobody reads, or the node ends.
pub(super) async fn watch(context: &Context, remote: &Remote) -> Result<Exit> {
    let mut signals = context.signals()?;
    let (mut looks, mut news) = (interval(LOOK), News::default());
    let told_beside = context.within.as_ref().is_some_and(|shell| shell.tells);
    let follow = async {
        loop {
            looks.tick().await;
            let is_first = !news.begun;
            for (row, before) in news.changed(&remote.inbox().await?) {
                let is_told = if is_first {
                    row.entry.state == Standing::Waiting && before.is_none()
                } else {
                    !told_beside || !is_news(row.entry.state, before.map(|(before, _)| before))
                };
                if is_told {
                    tell(context, row)?;
                }
            }
        }
    };
    until_stopped(context, &mut signals, follow).await
}

impl News {
    /// Looks once, and tells what is new since the last time; at the first time, how much waits.
    ///
    /// # Errors
    /// When the node has ended, or its owner reads no more.
    pub(crate) async fn look(&mut self, context: &Context, remote: &Remote) -> Result<()> {
        let rows = remote.inbox().await?;
        let is_first = !self.begun;
        let changed = self.changed(&rows);
        if is_first {
            if let Some(waiting) = waiting(&rows) {
                context.output.remark(&format!("qshare: {waiting}: `inbox` shows what"));
            }
            return Ok(());
        }
        let is_told =
            |(row, before): &(&InboxRow, Option<Stand>)| is_news(row.entry.state, before.map(|(before, _)| before));
        changed.into_iter().filter(is_told).try_for_each(|(row, _)| tell(context, row))
    }

    /// Those that stand otherwise than at the last time, with how they stood.
    fn changed<'r>(&mut self, rows: &'r [InboxRow]) -> Vec<(&'r InboxRow, Option<Stand>)> {
        let stand = |row: &InboxRow| (row.entry.state, row.trouble.is_some());
        let seen = std::mem::replace(&mut self.seen, rows.iter().map(|row| (row.number, stand(row))).collect());
        self.begun = true;
        let before = |row: &InboxRow| seen.get(&row.number).copied();
        rows.iter().filter(|row| before(row) != Some(stand(row))).map(|row| (row, before(row))).collect()
    }
}

/// How much waits for a person; none where nothing does.
fn waiting(rows: &[InboxRow]) -> Option<String> {
    let waits = rows.iter().filter(|row| row.entry.state == Standing::Waiting);
    let (messages, offers): (Vec<_>, Vec<_>) = waits.partition(|row| is_unread(&row.entry));
    let some = |count: usize, what| (count > 0).then(|| counted(count as u64, what));
    let parts: Vec<String> =
        [some(offers.len(), "offer"), some(messages.len(), "unread message")].into_iter().flatten().collect();
    let verb = if messages.len() + offers.len() == 1 { "waits" } else { "wait" };
    (!parts.is_empty()).then(|| format!("{} {verb} in the inbox", parts.join(" and ")))
}

/// What is decided here is known, and the ends of its transfers are told as those of others.
const fn is_news(now: Standing, before: Option<Standing>) -> bool {
    match (now, before) {
        (Standing::Waiting, before) => !matches!(before, Some(Standing::Waiting)),
        (Standing::Accepted | Standing::Done, before) => before.is_none(),
        (Standing::Withdrawn, before) => matches!(before, Some(Standing::Waiting)),
        (Standing::Declined, _) => false,
    }
}

/// Tells that one stands otherwise than before.
pub(crate) fn tell(context: &Context, row: &InboxRow) -> Result<()> {
    context.output.emit(&line(context, row))?;
    context.output.remark(&format!("qshare: {}", sentence(context, row)));
    Ok(())
}
