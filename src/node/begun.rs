//! What the person is told about transfers that were begun and never ended, and what the home keeps of them.

use crate::io::begun::BegunFile;
use crate::io::partial::Superseded;
use crate::model::{Shown, Size};
use crate::node::contents::Contents;
use crate::node::get::{Get, Place};

impl Get {
    /// One line for each unfinished transfer of other content to the same name, and a line in the home for this one.
    pub(super) fn tell_of_earlier(&self, contents: &Contents, place: &Place, superseded: &[Superseded]) {
        let Place::Disk { destination, parent } = place else { return };
        for earlier in superseded {
            self.report.warn(sentence(destination.name.as_str(), earlier, contents.unwanted.is_empty()));
        }
        // What is one unit is there or not; it leaves nothing to go on with.
        if contents.map.units() > 1 {
            let (file, id, dir) = (BegunFile::at(self.inner.home.root()), contents.part.id, parent.path().to_owned());
            // Beside the transfer: it is for `status` alone, and nothing waits for it.
            tokio::task::spawn_blocking(move || {
                if let Err(error) = file.remember(id, &dir) {
                    tracing::debug!(%error, "the transfer is not noted in the home");
                }
            });
        }
    }
}

fn sentence(name: &str, earlier: &Superseded, whole: bool) -> String {
    let end =
        if whole { "it is removed when this one is done" } else { "it stays, as not all of this one was asked for" };
    format!(
        "an unfinished transfer of other content to `{}` is here ({} of {}, {}): what is the same is taken from it, and {end}",
        Shown(name),
        Size(earlier.have),
        Size(earlier.size),
        earlier.id,
    )
}
