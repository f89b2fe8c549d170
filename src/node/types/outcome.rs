//! How a transfer ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::actors::download::ProviderProgress;
use crate::logic::explain::Share;
use crate::model::{ContentId, Kind, LocalPath, Plane, SafePath};
use crate::node::types::Preview;

/// How a transfer ended well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was fetched.
    pub id: ContentId,
    /// File or collection.
    pub kind: Kind,
    /// Its name.
    pub name: SafePath,
    /// Whether only some of its files were asked for.
    pub part: bool,
    /// Where it lies, or would after a dry run; none for a stream.
    pub path: Option<LocalPath>,
    /// Its size in bytes (of the chosen files).
    pub bytes: u64,
    /// Bytes fetched in this run.
    pub fetched: u64,
    /// Bytes copied here from another transfer of the same content, for whose end this run has waited.
    pub copied: u64,
    /// Files of other content that were replaced.
    pub replaced: u64,
    /// Files of other content that stay, as they are not older.
    pub left: u64,
    /// How long this run took, without waiting for another transfer of the same content.
    pub elapsed: Duration,
    /// How long it waited for that one before.
    pub waited: Duration,
    /// Who gave.
    pub providers: Vec<ProviderProgress>,
    /// Where it was found first.
    pub plane: Option<Plane>,
    /// Of a dry run only: what would be done.
    pub preview: Option<Preview>,
    /// Where the time went, the largest share first; empty when nothing was fetched.
    pub shares: Vec<Share>,
    /// Whether it goes on being served.
    pub seeding: bool,
    /// Whether files that were asked for are left out where it is shared, and so are not in it.
    pub lacks: bool,
}
