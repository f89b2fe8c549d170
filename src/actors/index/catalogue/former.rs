//! What was offered and is no longer: trees that have changed, and ids that are gone.
//! Invariant: bounded in number and bytes; a tree is kept while somebody asks for it, and for some minutes after.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::io::share::shared_source::SharedCollection;
use crate::io::share::watch::RootKey;
use crate::model::{Asker, Audience, ContentId};
use crate::wire::LeftOut;

/// So long after it was last asked for a former tree is kept: whoever fetches it asks many times a minute, and one that
/// was stopped for a moment finds it again.
pub(in crate::actors::index) const KEEP: Duration = Duration::from_secs(300);
/// The most former trees,
const TREES: usize = 32;
/// and the most bytes of their lists, but that the last one is always kept. A tree in memory takes some three times its
/// list: together less than 200 MB.
const BYTES: usize = 64 << 20;
/// Ids that are remembered as gone: 32 bytes each, twice.
const GONE: usize = 4096;

/// A tree that was offered.
#[derive(Debug)]
pub(in crate::actors::index) struct FormerTree {
    /// Of which root it was the tree.
    pub(in crate::actors::index) root: RootKey,
    /// For whom it was.
    pub(in crate::actors::index) audience: Audience,
    pub(in crate::actors::index) tree: Arc<SharedCollection>,
    /// What it left out of its directory, as long as it was what is there.
    pub(in crate::actors::index) left_out: Arc<LeftOut>,
    /// Somebody has asked for it since this was last looked at.
    asked: AtomicBool,
}

impl FormerTree {
    /// Somebody asks for it.
    pub(in crate::actors::index) fn ask(&self) -> &Arc<SharedCollection> {
        self.asked.store(true, Ordering::Relaxed);
        &self.tree
    }
}

/// What was offered.
#[derive(Debug, Default)]
pub(in crate::actors::index) struct Former {
    trees: Vec<(Arc<FormerTree>, Instant)>,
    pub(super) gone: Arc<Gone>,
}

/// Why an id is no longer offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Its file has changed or gone.
    Changed,
    /// Its file may not be read any more.
    Denied,
    /// Nobody is to have it any more.
    Withdrawn,
}

/// Ids that were offered, the last of them. For whom an id was not offered, it was not lost either: what becomes of what is
/// for others is told to none but them.
#[derive(Debug, Clone, Default)]
pub(in crate::actors::index) struct Gone {
    order: VecDeque<ContentId>,
    /// Why it is gone for strangers, friends and receivers.
    ids: HashMap<ContentId, [Option<Absence>; 3]>,
}

impl Gone {
    /// Whether this id was offered to anybody and had gone.
    pub(in crate::actors::index) fn has(&self, id: ContentId) -> bool {
        self.ids.contains_key(&id)
    }

    /// Why it is gone for one who asks so; `None` where it was never offered.
    pub(in crate::actors::index) fn absence(&self, id: ContentId, asker: Asker) -> Option<Absence> {
        self.ids.get(&id)?[asker as usize]
    }

    fn add(&mut self, id: ContentId, audience: &Audience, absence: Absence) {
        let known = self.ids.entry(id).or_insert_with(|| {
            self.order.push_back(id);
            [None; 3]
        });
        for asker in [Asker::Stranger, Asker::Friend, Asker::Receiver] {
            if audience.includes(asker) {
                known[asker as usize] = Some(absence);
            }
        }
        if self.order.len() > GONE
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

impl Former {
    /// A tree is no longer what is there.
    pub(super) fn keep(
        &mut self,
        (root, audience): (RootKey, Audience),
        tree: Arc<SharedCollection>,
        left_out: Arc<LeftOut>,
        now: Instant,
    ) {
        self.lose(tree.id(), &audience, Absence::Changed);
        self.trees.retain(|(kept, _)| kept.tree.id() != tree.id() || kept.audience != audience);
        self.sweep(now);
        let kept = FormerTree { root, audience, tree, left_out, asked: AtomicBool::new(false) };
        self.trees.push((Arc::new(kept), now + KEEP));
        while self.trees.len() > TREES || (self.bytes() > BYTES && self.trees.len() > 1) {
            let others = self.trees[..self.trees.len() - 1].iter().enumerate();
            let Some(least) = others.min_by_key(|(_, (_, until))| *until).map(|(place, _)| place) else { break };
            self.trees.remove(least);
        }
    }

    /// The tree of this id is what is there for these.
    pub(super) fn forget(&mut self, id: ContentId, audience: &Audience) {
        self.trees.retain(|(kept, _)| kept.tree.id() != id || kept.audience != *audience);
    }

    /// Nobody is to have anything of a root any more: its former trees, and these ids.
    pub(super) fn withdraw(
        &mut self,
        (root, audience): (RootKey, &Audience),
        ids: impl IntoIterator<Item = ContentId>,
    ) {
        let trees = self.trees.extract_if(.., |(kept, _)| kept.root == root);
        let ids: Vec<_> = trees.map(|(kept, _)| kept.tree.id()).chain(ids).collect();
        ids.into_iter().for_each(|id| self.lose(id, audience, Absence::Withdrawn));
    }

    /// An id is no longer offered to these.
    pub(super) fn lose(&mut self, id: ContentId, audience: &Audience, absence: Absence) {
        Arc::make_mut(&mut self.gone).add(id, audience, absence);
    }

    /// Lets go what nobody has asked for lately; whether there was any.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        let before = self.trees.len();
        for (kept, until) in &mut self.trees {
            if kept.asked.swap(false, Ordering::Relaxed) {
                *until = now + KEEP;
            }
        }
        self.trees.retain(|(_, until)| *until > now);
        self.trees.len() != before
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    pub(super) fn trees(&self) -> impl Iterator<Item = &Arc<FormerTree>> {
        self.trees.iter().map(|(kept, _)| kept)
    }

    fn bytes(&self) -> usize {
        self.trees.iter().map(|(kept, _)| kept.tree.manifest_len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::collection::Entry;
    use crate::model::{Collection, SafePath};

    fn tree(n: u64) -> Arc<SharedCollection> {
        let entries = vec![(SafePath::parse(&format!("d{n}")).expect("valid"), Entry::Directory)];
        let collection = Collection::new(entries).expect("sound");
        Arc::new(SharedCollection::new(&collection, &[]).expect("complete"))
    }

    #[test]
    fn what_somebody_asks_for_is_kept_and_the_rest_goes_in_time() {
        let begin = Instant::now();
        let mut former = Former::default();
        (0..2).for_each(|n| former.keep((0, Audience::Everybody), tree(n), Arc::default(), begin));
        former.trees().next().expect("kept").ask();
        assert!(!former.sweep(begin + KEEP / 2));
        assert!(former.sweep(begin + KEEP));
        assert_eq!(former.trees().map(|kept| kept.tree.id()).collect::<Vec<_>>(), [tree(0).id()]);
        assert!(former.sweep(begin + KEEP * 2) && former.is_empty() && former.gone.has(tree(1).id()));
    }

    #[test]
    fn there_are_never_more_than_the_bound_and_those_asked_for_stay() {
        let begin = Instant::now();
        let mut former = Former::default();
        former.keep((0, Audience::Everybody), tree(0), Arc::default(), begin);
        for n in 1..100 {
            former.trees().next().expect("kept").ask();
            former.keep((0, Audience::Everybody), tree(n), Arc::default(), begin + Duration::from_secs(n));
        }
        assert_eq!(former.trees().count(), TREES);
        assert!(former.trees().any(|kept| kept.tree.id() == tree(0).id()));
        assert!(former.trees().any(|kept| kept.tree.id() == tree(99).id()));
    }

    #[test]
    fn the_last_ids_that_went_are_remembered() {
        let mut gone = Gone::default();
        let id = |n: usize| ContentId::of(&n.to_le_bytes());
        (0..=GONE).for_each(|n| gone.add(id(n), &Audience::Everybody, Absence::Changed));
        assert!(!gone.has(id(0)) && gone.has(id(1)) && gone.has(id(GONE)));
        assert_eq!((gone.order.len(), gone.ids.len()), (GONE, GONE));
    }
}
