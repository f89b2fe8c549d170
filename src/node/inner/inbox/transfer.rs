//! The transfer of one content that was accepted, and what keeps it from going on.

use std::path::Path;
use std::sync::Weak;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::actors::download::Trouble;
use crate::io::receive::landing::Landing;
use crate::logic::limits::inbox::{Entry, Loss};
use crate::logic::limits::jobs::{JobId, JobOrder, JobState};
use crate::logic::transfer::Why;
use crate::model::collection::manifest::MAX_FILES;
use crate::model::{Content, NodeId, Provider};
use crate::node::error::{Error, Lack};
use crate::node::inner::Inner;
use crate::node::inner::orders::{JobWish, JobsRef};
use crate::node::types::{GetRequest, Given, InboxRow, JobRow, Places, What};
use crate::wire::{Code, PutItem};

/// Directories that a tree may have beyond the number of its files, which is what was told of it.
const DIRECTORIES: usize = 1000;

/// How often is seen whether a transfer has ended, and for how long at most: they sync what they have.
const ENDS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));

/// Sees why one that was accepted does not come, from its jobs among these.
pub(super) fn look_at(row: &mut InboxRow, jobs: &[JobRow], is_linked: bool) {
    let own: Vec<&JobRow> = jobs.iter().filter(|job| row.entry.jobs.contains(&job.id)).collect();
    if own.iter().any(|job| is_denied(job, &row.entry)) {
        row.entry.loss = row.entry.loss.or(Some(Loss::Ended));
    }
    row.away = !is_linked && own.iter().all(|job| is_left_alone(job));
    row.trouble = own.iter().find_map(|job| trouble(job)).filter(|_| !row.away);
}

/// How all transfers stand.
pub(super) async fn all_jobs(jobs: &JobsRef) -> Vec<JobRow> {
    let mut rows: Vec<JobRow> = Vec::new();
    while let Ok(page) = jobs.rows(rows.last().map(|row| row.id)).await {
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    rows
}

/// Ends transfers, and waits until they have.
pub(super) async fn end(jobs: &JobsRef, ids: &[JobId]) {
    for id in ids {
        // It may be over.
        let _ = jobs.order(Some(*id), JobOrder::Cancel).await;
    }
    let ended = async {
        while all_jobs(jobs).await.iter().any(|row| ids.contains(&row.id) && row.halting) {
            sleep(ENDS.0).await;
        }
    };
    // One that a disk holds up is not waited for without end.
    let _ = timeout(ENDS.1, ended).await;
}

/// Whether there is a connection to this one.
pub(super) async fn is_linked(own: &Weak<Inner>, peer: NodeId) -> bool {
    match own.upgrade() {
        Some(own) => own.connections.existing(peer).await.is_some(),
        None => false,
    }
}

/// Why a transfer does not go on.
fn trouble(job: &JobRow) -> Option<(JobId, Error)> {
    let is_stuck = matches!(job.state, JobState::Failed | JobState::Waiting);
    job.error.clone().filter(|_| is_stuck).map(|error| (job.id, error))
}

/// What became of those who could give it, where it is they who keep it from going on.
fn lack(error: &Error) -> Option<&Lack> {
    match error {
        Error::Halted { error, .. } => lack(error),
        Error::Incomplete { lack, .. } => Some(lack),
        _ => None,
    }
}

/// Whether nothing comes, and no other reason is known than that nobody can be reached.
fn is_left_alone(job: &JobRow) -> bool {
    let is_unreached = |one: &Trouble| matches!(one.why, Why::Lost | Why::Silent | Why::Unreachable);
    let is_by_lack = |error: &Error| lack(error).is_some_and(|lack| lack.providers.iter().all(is_unreached));
    match job.state {
        JobState::Running => job.providers == 0,
        JobState::Failed | JobState::Waiting => job.error.as_ref().is_none_or(is_by_lack),
        _ => false,
    }
}

/// Whether whoever offers it is there, and gives it to this node no longer; and nobody else may.
pub(super) fn is_denied(job: &JobRow, entry: &Entry) -> bool {
    let denies = |one: &Trouble| {
        one.node == entry.from && matches!(one.why, Why::Gone | Why::Refused(Code::NotFound | Code::Forbidden))
    };
    let is_alone = entry.put.receivers.len() < 2;
    // What waits for its turn is tried anew.
    let has_failed = job.state == JobState::Failed || job.again.is_some();
    is_alone
        && has_failed
        && trouble(job).is_some_and(|(_, error)| lack(&error).is_some_and(|lack| lack.providers.iter().any(denies)))
}

/// The transfer of one content.
pub(super) fn wish(item: &PutItem, among: &[Provider], output: &Path, own: NodeId) -> JobWish {
    let PutItem { name, id, kind, size, files, executable } = item.clone();
    let content = Content { id, kind, size };
    let among = among.iter().filter(|provider| provider.node != own).cloned().collect();
    let request = GetRequest::new(What::Id(id)).output(output.to_owned()).given(Given {
        content,
        name,
        files,
        executable,
        among,
    });
    let max_files = MAX_FILES.min(2 * files as usize + DIRECTORIES);
    let places = Places { max_files, ..Places::default() };
    JobWish { request, places, landing: Landing::of(output) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContentId, Kind, SafePath};

    #[test]
    fn a_tree_may_have_no_more_directories_than_its_files_let_expect() {
        let name = SafePath::parse("d").expect("a name");
        let of = |files| {
            let (name, id) = (name.clone(), ContentId::of(b"d"));
            let item = PutItem { name, id, kind: Kind::Collection, size: 0, files, executable: false };
            wish(&item, &[], Path::new("/in/d"), NodeId::from_bytes([1; 32])).places.max_files
        };
        assert_eq!((of(0), of(5), of(200_000)), (DIRECTORIES, DIRECTORIES + 10, MAX_FILES));
    }
}
