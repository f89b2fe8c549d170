//! What is nearly spelled as something that nobody has.

use std::collections::BTreeSet;
use std::fmt;

use crate::cli::failure::Failure;
use crate::io::home::seen::is_prefix;
use crate::model::query::fold;
use crate::model::text::shell::quoted;
use crate::model::{Hit, SafePath, Shown};
use crate::node::{Error, Suggestion};

/// Commands in one sentence at most.
const SHOWN: usize = 3;

/// That nobody who was asked has it, and what they have instead.
pub(super) fn instead(what: &str, asked: impl fmt::Display, near: &[Suggestion]) -> String {
    let things = |hits| if hits == 1 { "thing" } else { "things" };
    let one = |one: &Suggestion| format!("`{}` ({} {})", Shown(&one.words), one.hits, things(one.hits));
    let near: Vec<String> = near.iter().map(one).collect();
    let spelled = if near.len() == 1 { "spelled nearly so is" } else { "spelled nearly so are" };
    format!(
        "nothing was found for `{}` at {asked}: {spelled} {}, so run it again with that",
        Shown(what),
        near.join(" and ")
    )
}

/// How to look for words that no path has together; none where there is only one.
pub(super) fn apart(what: &str) -> Option<String> {
    let words: Vec<&str> = what.split(' ').filter(|word| !word.is_empty()).collect();
    if words.len() < 2 {
        return None;
    }
    if let Some(id) = words.iter().find(|word| is_prefix(word)) {
        return Some(format!(
            "all words have to be in one path, and `{}` is looked for as the beginning of an id only beside nothing but ids: \
             get it by itself",
            Shown(id)
        ));
    }
    let each = words.iter().take(SHOWN).map(|word| format!("`qshare search {}`", Shown(&quoted(word))));
    Some(format!(
        "all words have to be in one path, so give fewer of them: {} show what each finds, and several things are got one \
         after the other or by their ids",
        each.collect::<Vec<_>>().join(" and ")
    ))
}

/// Directories that the words are the beginning of, as what else can be said: `papers/physics` for `papers/physic`.
pub(crate) fn directories(what: &str, hits: &[Hit]) -> String {
    let folded = fold(what);
    let dirs: BTreeSet<String> =
        hits.iter().flat_map(|hit| &hit.names).filter_map(|name| longer(name, &folded)).collect();
    let dirs: Vec<String> =
        dirs.iter().take(SHOWN).map(|dir| format!("`qshare get {}`", Shown(&quoted(dir)))).collect();
    if dirs.is_empty() { String::new() } else { format!("; {} takes a whole directory", dirs.join(" or ")) }
}

/// The directory of a name whose path begins so and goes on within its last part.
fn longer(name: &SafePath, folded: &str) -> Option<String> {
    let rest = fold(name.as_str()).strip_prefix(folded)?.to_owned();
    let (part, _) = rest.split_once('/').filter(|(part, _)| !part.is_empty() && folded.contains('/'))?;
    let depth = format!("{folded}{part}").split('/').count();
    Some(name.components().take(depth).collect::<Vec<_>>().join("/"))
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
