//! What the person who shares should know of what is shared.

use serde::{Deserialize, Serialize};

use crate::actors::index::collect::NoTree;
use crate::io::share::cache::CacheError;
use crate::io::share::scan::{Omission, Unseen};
use crate::io::share::watch::Unwatched;
use crate::model::{Cause, Kind, LocalPath, SafePath};

/// What the person who shares should know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IndexNotice {
    /// What goes on being served as one known content is that no longer.
    Broken {
        /// What the root is.
        kind: Kind,
        /// Where it is.
        root: LocalPath,
        /// The first file that is missing or another one.
        first: LocalPath,
        /// How many more there are.
        more: usize,
    },
    /// Hashes cannot be kept.
    Cache(CacheError),
    /// A shared path is not there.
    Gone(LocalPath),
    /// Files of a root cannot be read for something that passes.
    Lacking {
        /// The root.
        name: SafePath,
        /// What it is.
        kind: Kind,
        /// Why.
        cause: Cause,
    },
    /// A shared path leads to another place than before.
    LeadsTo {
        /// The path.
        path: LocalPath,
        /// Where it leads; the path itself where it is no link any more.
        real: LocalPath,
    },
    /// Something is not shared because another thing has its name.
    NameTaken(LocalPath),
    /// A directory is offered file by file only.
    NoTree {
        /// Its name.
        name: SafePath,
        /// Why.
        cause: NoTree,
    },
    /// Something is left out.
    Omitted(Omission),
    /// Something could not be looked at again: what was offered stays offered.
    StillOffered {
        /// The first of it.
        first: Unseen,
        /// How many more places.
        more: usize,
    },
    /// A file is left out until it can be read.
    Unreadable {
        /// Which.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// Files are being written all the time.
    Unsettled {
        /// The first of them.
        path: LocalPath,
        /// How many more.
        more: usize,
        /// The directory that is offered without them; none of a single file.
        root: Option<SafePath>,
    },
    /// Changes are noticed late.
    Unwatched(Unwatched),
}
