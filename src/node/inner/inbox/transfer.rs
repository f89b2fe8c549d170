//! The transfer of one content that was accepted, and what keeps it from going on.

use std::path::Path;

use crate::io::receive::landing::Landing;
use crate::logic::limits::jobs::{JobId, JobState};
use crate::model::collection::manifest::MAX_FILES;
use crate::model::{Content, NodeId, Provider};
use crate::node::error::Error;
use crate::node::inner::orders::JobWish;
use crate::node::types::{GetRequest, Given, JobRow, Places, What};
use crate::wire::PutItem;

/// Why a transfer does not go on.
pub(super) fn trouble(job: &JobRow) -> Option<(JobId, Error)> {
    let is_stuck = matches!(job.state, JobState::Failed | JobState::Waiting);
    job.error.clone().filter(|_| is_stuck).map(|error| (job.id, error))
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
    let places = Places { max_files: MAX_FILES, ..Places::default() };
    JobWish { request, places, landing: Landing::of(output) }
}
