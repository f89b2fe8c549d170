//! What the person is told about transfers that were begun and never ended, so that nobody thinks what is left of them lost,
//! and what the home keeps of them.

use crate::io::home::begun::BegunFile;
use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::{Earlier, Superseded};
use crate::model::query::fold;
use crate::node::error::Error;
use crate::node::get::contents::Contents;
use crate::node::get::{Get, Sink};
use crate::node::types::{GetNotice, Kept, What};

/// Unfinished transfers that are told of where a `get` ends before it has gone on with one.
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

    /// Where nobody was found: what of it earlier runs have left at the destination, so that nobody thinks it lost.
    pub(super) async fn tell_of_kept(&self) {
        let Some(dir) = self.parent(None) else { return };
        for kept in self.earlier().await.iter().take(KEPT) {
            self.report.warn(GetNotice::Kept { kept: kept.into(), dir: dir.clone().into() });
        }
    }

    /// Where the words match several things: the command with the id goes on with what is kept, the same command does not.
    pub(super) async fn tell_how_to_go_on(&self) {
        for kept in self.earlier().await.iter().take(KEPT) {
            let (output, only) = (self.request.output.clone().map(Into::into), kept.only.to_vec());
            self.report.warn(GetNotice::GoOn { kept: kept.into(), output, only });
        }
    }

    /// Cancelled before what an earlier run left was opened: that is kept as it is.
    pub(super) async fn interrupted_early(&self) -> Error {
        let kept = self.earlier().await;
        match (self.interrupted(), kept.as_slice()) {
            (Error::Interrupted { .. }, [one]) => Error::Interrupted { have: one.bytes(), total: one.size() },
            (error, _) => error,
        }
    }

    /// What nobody goes on with now and may be what is asked for.
    async fn earlier(&self) -> Vec<Earlier> {
        let Some(dir) = self.parent(None) else { return Vec::new() };
        let read = move || {
            let dir = SafeDir::open(&dir).ok()?;
            let mut all = Earlier::all_in(&dir).ok()?;
            all.retain(|kept| kept.bytes() > 0 && !kept.is_in_use(&dir));
            Some(all)
        };
        let all = tokio::task::spawn_blocking(read).await.ok().flatten().unwrap_or_default();
        all.into_iter().filter(|kept| self.may_be(kept)).collect()
    }

    /// Whether it is what is asked for, as far as that can be said.
    fn may_be(&self, kept: &Earlier) -> bool {
        match &self.request.what {
            What::Id(id) => kept.id() == *id,
            What::Words(query) => {
                let is_named = kept.target().is_some_and(|target| query.matches(&fold(target.as_str())));
                is_named || query.means(Some(kept.id()))
            }
        }
    }
}

impl From<&Earlier> for Kept {
    fn from(of: &Earlier) -> Self {
        Self { id: of.id(), name: of.target().cloned(), have: of.bytes(), size: of.size() }
    }
}
