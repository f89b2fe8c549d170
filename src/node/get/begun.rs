//! What the person is told about transfers that were begun and never ended, and what the home keeps of them.

use crate::io::home::begun::BegunFile;
use crate::io::receive::partial::{Earlier, Superseded};
use crate::model::query::fold;
use crate::node::get::contents::Contents;
use crate::node::get::{Get, Sink};
use crate::node::types::{GetNotice, Kept, What};

/// Unfinished transfers that are told of where nothing was found.
const KEPT: usize = 3;

impl Get {
    /// One line for each unfinished transfer of other content to the same name, and a line in the home for this one.
    pub(super) fn tell_of_earlier(&self, contents: &Contents, place: &Sink, superseded: &[Superseded]) {
        let Sink::Disk { destination, parent } = place else { return };
        for earlier in superseded {
            let (name, earlier) = (destination.name.clone(), earlier.clone());
            self.report.warn(GetNotice::Superseded { name, earlier, whole: contents.unwanted.is_empty() });
        }
        // What is one unit is there or not; it leaves nothing to go on with.
        if contents.wanted.map.units() > 1 {
            let (file, id, dir) =
                (BegunFile::at(self.inner.home.root()), contents.wanted.content.id, parent.path().to_owned());
            // Beside the transfer: it is for `status` alone, and nothing waits for it.
            tokio::task::spawn_blocking(move || {
                if let Err(error) = file.remember(id, &dir) {
                    tracing::debug!(%error, "the transfer is not noted in the home");
                }
            });
        }
    }
}

impl Get {
    /// Where nobody was found: what of it earlier runs have left at the destination, so that nobody thinks it lost.
    pub(super) async fn tell_of_kept(&self) {
        let Some(dir) = self.parent(None) else { return };
        for kept in self.earlier().await.iter().take(KEPT) {
            self.report.warn(GetNotice::Kept { kept: kept.into(), dir: dir.clone() });
        }
    }

    /// Whether it is what is asked for, as far as that can be said.
    pub(super) fn may_be(&self, kept: &Earlier) -> bool {
        match &self.request.what {
            What::Id(id) => kept.id() == *id,
            What::Words(query) => kept.target().is_some_and(|target| {
                let target = fold(target.as_str());
                query.words().iter().all(|word| target.contains(word.as_str()))
            }),
        }
    }
}

impl From<&Earlier> for Kept {
    fn from(of: &Earlier) -> Self {
        Self { id: of.id(), name: of.target().cloned(), have: of.bytes(), size: of.size() }
    }
}
