//! Parts of sentences.

use std::io;
use std::path::Path;

use crate::logic::offers::tally::Beyond;
use crate::model::obstacle::{advice, cause as words};
use crate::model::{Hit, Shown};
use crate::wire::Role;

/// How many things match, as far as is known.
pub(super) fn things(hits: &[Hit], beyond: Beyond) -> String {
    // Beyond these some may be the same under other names or sizes.
    if beyond == Beyond::default() { hits.len().to_string() } else { format!("at least {}", hits.len()) }
}

/// Why a result on standard output is not whole.
pub(super) fn untaken(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return "standard output was closed before all of it was written: let what reads it read to its end, or give a \
                file with -o FILE"
            .to_owned();
    }
    format!("standard output cannot be written ({}): {}, and run the same command again", words(error), advice(error))
}

pub(super) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Bench => "bench",
        Role::Node => "peer",
        Role::Tracker => "tracker",
    }
}

pub(super) const fn role_option(role: Role) -> &'static str {
    match role {
        Role::Bench => "qshare bench",
        Role::Node => "--peer",
        Role::Tracker => "--tracker",
    }
}

pub(super) fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}
