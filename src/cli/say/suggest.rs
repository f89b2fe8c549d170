//! What is nearly spelled as something that nobody has.

use std::fmt;

use crate::cli::failure::Failure;
use crate::model::Shown;
use crate::node::{Error, Suggestion};

/// That nobody who was asked has it, and what they have instead.
pub(super) fn instead(what: &str, asked: impl fmt::Display, near: &[Suggestion]) -> String {
    let one = |one: &Suggestion| format!("`{}` ({})", Shown(&one.words), one.hits);
    let near: Vec<String> = near.iter().map(one).collect();
    format!("nothing was found for `{}` at {asked}: look for what is near it, {}", Shown(what), near.join(" or "))
}

/// What is near what was not found.
pub(crate) fn near(failure: &Failure) -> &[Suggestion] {
    match failure {
        Failure::Node(Error::NotFound { near, .. }) => near,
        _ => &[],
    }
}

/// Names that a suggestion is about.
pub(crate) fn names(suggestion: &Suggestion) -> String {
    let names: Vec<String> = suggestion.names.iter().map(|name| Shown(name.as_str()).to_string()).collect();
    let more = suggestion.hits.saturating_sub(names.len() as u64);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("  {}: {}{more}", Shown(&suggestion.words), names.join(", "))
}
