//! Why something could not be had: what became of each provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::actors::download::Trouble;
use crate::model::SafePath;

/// Why something could not be had from anybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lack {
    /// For how long nothing came; none when nobody was left who could give it.
    pub waited: Option<Duration>,
    /// What became of each provider that was known.
    pub providers: Vec<Trouble>,
    /// The first file of a tree that a provider has no longer as it was, and how many there are. The others came.
    pub files: Option<(SafePath, usize)>,
}
