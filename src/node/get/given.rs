//! What another node has offered to this one and some others alone. Invariant: nobody else is asked for it, told of it or served
//! with it, and nothing but what it was said to be is taken.

use std::collections::BTreeSet;

use crate::actors::index::Seed;
use crate::model::{Audience, Hit, NodeId, SafePath};
use crate::node::error::Error;
use crate::node::get::Get;
use crate::node::get::contents::Contents;
use crate::node::look::Meant;
use crate::node::types::Given;

/// What is fetched: nobody needs to be asked what it is.
pub(super) fn meant(given: &Given) -> Meant {
    let Given { content, name, files, executable, among } = given.clone();
    let hit = Hit {
        kind: content.kind,
        files,
        executable,
        names: vec![name],
        providers: among,
        ..Hit::file(Some(content.id), content.size)
    };
    Meant { hit, late: None, beneath: None }
}

/// Who may have it.
pub(super) fn audience(given: &Given) -> Audience {
    Audience::Nodes(nodes(given))
}

/// Those who may have it.
pub(super) fn nodes(given: &Given) -> BTreeSet<NodeId> {
    given.among.iter().map(|provider| provider.node).collect()
}

/// A name under which nobody finds it.
pub(super) fn hidden(seed: &Seed) -> SafePath {
    let dir = SafePath::parse(&format!("given/{}", seed.fixed.id));
    dir.and_then(|dir| dir.join(&seed.name)).unwrap_or_else(|_| seed.name.clone())
}

impl Get {
    /// Whether it is what it was said to be.
    ///
    /// # Errors
    /// When it has another kind or size, or more files.
    pub(super) fn is_as_given(&self, contents: &Contents) -> Result<(), Error> {
        let Some(given) = &self.request.given else { return Ok(()) };
        let is = contents.wanted.content;
        if is == given.content && contents.files().len() <= given.files as usize {
            return Ok(());
        }
        Err(Error::OtherThanGiven { name: given.name.to_string(), size: given.content.size, is: is.size })
    }
}
