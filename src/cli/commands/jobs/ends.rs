//! What a shell tells of transfers that the running node goes on with by itself: their ends, each once.

use std::collections::BTreeMap;

use super::{all, note_failed};
use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::render::progress::jobs::name;
use crate::model::{Shown, Size};
use crate::node::{JobId, JobRow, JobState, Remote};

/// The ends that were told.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    told: BTreeMap<JobId, JobState>,
    begun: bool,
}

impl Ends {
    /// Looks once, and tells what has ended or failed since the last time; at the first time it only looks. How many run, or wait for
    /// their turn.
    ///
    /// # Errors
    /// When the node has ended, or its owner reads no more.
    pub(crate) async fn look(&mut self, context: &Context, remote: &Remote) -> Result<usize> {
        let rows = all(remote).await?;
        self.told.retain(|id, _| rows.iter().any(|row| row.id == *id));
        for row in &rows {
            if self.is_news(row) && self.begun {
                tell(context, row)?;
            }
        }
        self.begun = true;
        Ok(rows.iter().filter(|row| matches!(row.state, JobState::Running | JobState::Waiting)).count())
    }

    /// What fails again and again is told once, until its owner wants it again.
    fn is_news(&mut self, row: &JobRow) -> bool {
        match row.state {
            JobState::Ended | JobState::Failed => self.told.insert(row.id, row.state) != Some(row.state),
            JobState::Cancelled | JobState::Paused => {
                self.told.remove(&row.id);
                false
            }
            JobState::Running | JobState::Waiting => false,
        }
    }
}

fn tell(context: &Context, row: &JobRow) -> Result<()> {
    super::tell(context, row)?;
    if row.state == JobState::Failed {
        note_failed(context, row);
        return Ok(());
    }
    let into =
        row.output.as_deref().map_or_else(String::new, |path| format!(", in {}", Shown(&path.to_string_lossy())));
    context.output.note(&format!("qshare: job {}: {} is here, {}{into}", row.id, name(row), Size(row.total)));
    Ok(())
}
