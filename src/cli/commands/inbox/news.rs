//! What a shell tells of what comes into the inbox, each once.

use std::collections::BTreeMap;

use super::tell;
use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::human::counted;
use crate::node::{InboxRow, Remote, Standing};

/// What was seen there.
#[derive(Debug, Default)]
pub(crate) struct News {
    seen: BTreeMap<u32, Standing>,
    begun: bool,
}

impl News {
    /// Looks once, and tells what is new since the last time; at the first time, how much waits.
    ///
    /// # Errors
    /// When the node has ended, or its owner reads no more.
    pub(crate) async fn look(&mut self, context: &Context, remote: &Remote) -> Result<()> {
        let rows = remote.inbox().await?;
        let now = rows.iter().map(|row| (row.number, row.entry.state)).collect();
        let seen = std::mem::replace(&mut self.seen, now);
        if !std::mem::replace(&mut self.begun, true) {
            let waits = rows.iter().filter(|row| row.entry.state == Standing::Waiting).count() as u64;
            if waits > 0 {
                let verb = if waits == 1 { "waits" } else { "wait" };
                let offers = counted(waits, "offer");
                context.output.remark(&format!("qshare: {offers} {verb} in the inbox: `inbox` shows what"));
            }
            return Ok(());
        }
        let before = |row: &InboxRow| seen.get(&row.number).copied();
        rows.iter().filter(|row| is_news(row.entry.state, before(row))).try_for_each(|row| tell(context, row))
    }
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
