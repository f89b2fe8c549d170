//! What a shell tells of what the node sends by itself: who has it and who does not want it, each once.

use std::collections::BTreeSet;

use super::list;
use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::json::{Line, PutLine};
use crate::model::PutId;
use crate::node::{PutRow, Receiver, Receiving, Remote};

/// The ends that were told: of which, at the how manieth of its receivers.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    told: BTreeSet<(PutId, usize)>,
    begun: bool,
}

impl Sent {
    /// Looks once, and tells what has been decided or is there since the last time; at the first time it only looks.
    ///
    /// # Errors
    /// When the node has ended, or its owner reads no more.
    pub(crate) async fn look(&mut self, context: &Context, remote: &Remote) -> Result<()> {
        // In this order none is missed that ends between the two.
        let (rows, ended) = (remote.puts().await?, remote.ended_puts().await?);
        let all: BTreeSet<PutId> = rows.iter().chain(&ended).map(|row| row.wish.put).collect();
        self.told.retain(|(put, _)| all.contains(put));
        for row in rows.iter().chain(&ended) {
            for (at, receiver) in row.progress.receivers.iter().enumerate() {
                // That it is another now, or gone, the node's notice says.
                let is_told = matches!(receiver.state, Receiving::Changed | Receiving::Gone);
                let is_news = receiver.state.is_over() && !is_told && self.told.insert((row.wish.put, at));
                if is_news && self.begun {
                    tell(context, row, receiver)?;
                }
            }
        }
        self.begun = true;
        Ok(())
    }
}

fn tell(context: &Context, row: &PutRow, receiver: &Receiver) -> Result<()> {
    let why = list::why(context, receiver);
    context.output.emit(&Line::Put(PutLine::of(receiver, &row.progress, context.output.names(), why.clone())))?;
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let how = list::sentence(&list::name(context, receiver), receiver.state);
    context.output.remark(&format!("qshare: put {}: {}: {how}{why}", row.number, name(row)));
    Ok(())
}

fn name(row: &PutRow) -> String {
    match row.progress.items.as_slice() {
        [] => "(message)".to_owned(),
        [one] => one.name.to_string(),
        [first, more @ ..] => format!("{} and {} more", first.name, more.len()),
    }
}
