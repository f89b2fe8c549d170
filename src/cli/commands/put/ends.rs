//! What a shell, `share` and `node` tell of what the node sends by itself: who has it and who does not want it, each once.

use std::collections::BTreeSet;

use super::list;
use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::model::PutId;
use crate::node::{PutProgress, Receiver, Receiving, Remote};

/// The ends that were told: of which, at whom.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    told: BTreeSet<(PutId, String)>,
    begun: bool,
}

impl Sent {
    /// Looks once, and tells what has been decided or is there since the last time; at the first time it only looks.
    ///
    /// # Errors
    /// When the node has ended, or its owner reads no more.
    pub(crate) async fn look(&mut self, context: &Context, remote: &Remote) -> Result<()> {
        let rows = remote.puts().await?;
        let all: BTreeSet<PutId> = rows.iter().map(|row| row.wish.put).collect();
        self.told.retain(|(put, _)| all.contains(put));
        for row in &rows {
            for receiver in row.progress.receivers.iter().filter(|receiver| receiver.state.is_over()) {
                if self.told.insert((row.wish.put, receiver.peer.to_string())) && self.begun {
                    context.output.emit(&list::line(context, receiver, &row.progress))?;
                    tell(context, receiver, &row.progress);
                }
            }
        }
        self.begun = true;
        Ok(())
    }
}

/// Tells of an event: every state to programs, the ends to people.
pub(crate) fn told(context: &Context, one: &PutProgress) -> Result<()> {
    for receiver in &one.receivers {
        context.output.emit(&list::line(context, receiver, one))?;
        if receiver.state.is_over() {
            tell(context, receiver, one);
        }
    }
    Ok(())
}

fn tell(context: &Context, receiver: &Receiver, of: &PutProgress) {
    // Why these have ended the node's notice says; and who has ended it knows.
    if matches!(receiver.state, Receiving::Cancelled | Receiving::Changed | Receiving::Failed | Receiving::Gone) {
        return;
    }
    let why = list::why(context, receiver).map(|why| format!(" ({why})")).unwrap_or_default();
    let how = list::sentence(&list::name(context, receiver), receiver.state);
    context.output.remark(&format!("qshare: put {}: {}: {how}{why}", of.number.unwrap_or_default(), name(of)));
}

fn name(of: &PutProgress) -> String {
    match of.items.as_slice() {
        [] => "(message)".to_owned(),
        [one] => one.name.to_string(),
        [first, more @ ..] => format!("{} and {} more", first.name, more.len()),
    }
}
