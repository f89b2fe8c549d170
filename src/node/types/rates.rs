//! The rates to which a running node is limited, and their change.

use serde::{Deserialize, Serialize};

use crate::model::{Rate, RateLimit};

/// What all uploads, and all downloads, of a node take together at most, in bytes a second; none where there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Uploads.
    pub up: Option<Rate>,
    /// Downloads.
    pub down: Option<Rate>,
}

/// What is to change of them; what is none stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateChange {
    /// Of uploads.
    pub up: Option<RateLimit>,
    /// Of downloads.
    pub down: Option<RateLimit>,
}
