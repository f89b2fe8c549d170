//! `Replace::Older`: what lies at the target is replaced where it is older than what is offered, by the word of a provider.
//! Nothing proves a time: it decides only what is left as it is.

use std::collections::HashSet;
use std::sync::Arc;

use crate::io::receive::dest::SafeDir;
use crate::model::{Provider, SafePath};
use crate::node::get::Get;
use crate::node::get::contents::{Contents, Present};
use crate::node::get::times::{TimesOf, time};
use crate::node::types::{GetNotice, Replace, Several};

impl Get {
    /// Paths of the tree, or the target of a file, at which something older lies; none where it is not asked for.
    pub(super) async fn older(
        &self,
        contents: &Contents,
        target: &SafePath,
        parent: &SafeDir,
        providers: &[Provider],
    ) -> Option<Arc<HashSet<SafePath>>> {
        if self.request.replace != Replace::Older || !matches!(parent.stat(target), Ok(Some(_))) {
            return None;
        }
        let times = self.offered_times(contents, target, providers).await;
        let (parent, target, tree) = (parent.clone(), target.clone(), contents.wanted.tree.is_some());
        let looked = tokio::task::spawn_blocking(move || {
            let dir = if tree { parent.dir(&target).ok()? } else { parent };
            Some(Arc::new(older_in(&dir, times)))
        });
        looked.await.ok().flatten()
    }

    /// Tells, before anything is fetched, what will be replaced and what will not.
    pub(super) fn tell_of_update(&self, present: &Present) {
        if self.request.replace != Replace::Older {
            return;
        }
        let mut replaced: Vec<_> = present.replace.iter().collect();
        replaced.sort();
        Several::of(replaced).into_iter().for_each(|paths| self.report.warn(GetNotice::Replaces(paths)));
        Several::of(present.newer.iter()).into_iter().for_each(|paths| self.report.warn(GetNotice::NotOlder(paths)));
    }
}

fn older_in(dir: &SafeDir, offered: TimesOf) -> HashSet<SafePath> {
    let modified = |path: &SafePath| time(dir.stat(path).ok()??.stamp?.mtime_ns);
    let older = offered.into_iter().filter(|(path, offered)| modified(path).is_some_and(|there| there < *offered));
    older.map(|(path, _)| path).collect()
}
