//! Under which names what was chosen is fetched: one content may be several files where it comes from.

use crate::cli::args::GetArgs;
use crate::cli::context::Context;
use crate::logic::offers::choose::names_meant;
use crate::model::{ContentId, Hit, SafePath};
use crate::node::What;

/// Each id with the name that it was shown under; with `--all` with every name that the words match.
pub(super) fn of_chosen(
    context: &Context,
    arguments: &GetArgs,
    (what, hits): (&What, &[Hit]),
    chosen: Vec<ContentId>,
) -> Vec<(ContentId, Option<SafePath>)> {
    let mut named = Vec::new();
    for id in chosen {
        let Some(hit) = hits.iter().find(|hit| hit.id == Some(id)) else { continue };
        let mut names = match what {
            What::Words(query) if arguments.all => names_meant(query, hit),
            What::Words(_) | What::Id(_) => hit.names.iter().take(1).cloned().collect(),
        };
        if arguments.all && hit.names.len() >= Hit::MAX_NAMES {
            let text = format!("{id} has more names than are told with it: fetch the directory to have them all");
            context.output.warn(&text);
        }
        names.truncate(Hit::MAX_NAMES);
        named.extend(names.into_iter().map(|name| (id, Some(name.last()))));
    }
    named
}
