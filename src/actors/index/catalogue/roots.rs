//! The roots as whoever shares them sees them: what there is, for whom it is, and how it ends.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Catalogue, RootRow, Row};
use crate::actors::limits::throttle::Throttle;
use crate::io::share::watch::RootKey;
use crate::logic::offers::reserved::Reserved;
use crate::model::{Audience, ContentId, Kind, Rate, SafePath};

/// Something that is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedRoot {
    /// What it is offered under.
    pub name: SafePath,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// File or collection.
    pub kind: Kind,
    /// What it is; none until all of it is hashed.
    pub id: Option<ContentId>,
    /// How many files.
    pub files: u64,
    /// How many bytes they have together,
    pub bytes: u64,
    /// and how many of these are not hashed yet.
    pub missing_bytes: u64,
    /// What of it is left out: patterns in gitignore syntax,
    pub exclude: Vec<String>,
    /// what git's own ignore files say;
    pub gitignore: bool,
    /// but not what looks like a secret.
    pub include_secrets: bool,
    /// For whom it is.
    pub audience: Audience,
    /// The most bytes a second that are sent of it, with what was offered together with it.
    pub limit: Option<Rate>,
    /// Since when, from 1970 on.
    pub since: Duration,
    /// There is nothing at its path now.
    pub gone: bool,
}

impl Catalogue {
    /// The roots that are shared.
    pub(in crate::actors::index) fn live(&self) -> impl Iterator<Item = &RootRow> {
        self.roots.iter().filter(|row| !row.withdrawn)
    }

    /// The root that is offered as a collection of this name.
    pub(in crate::actors::index) fn tree_named(&self, name: &SafePath) -> Option<RootKey> {
        let is_it = |row: &RootRow| !row.withdrawn && row.root.kind == Kind::Collection && row.root.name == *name;
        self.roots.iter().position(is_it)
    }

    /// What is shared.
    pub(in crate::actors::index) fn shared(&self) -> Vec<SharedRoot> {
        let shared = |row: &RootRow| {
            let of_file = || self.rows.get(&row.root.name).and_then(Row::offered).map(|file| file.id);
            SharedRoot {
                name: row.root.name.clone(),
                path: row.root.path.clone(),
                kind: row.root.kind,
                id: row.collection.as_ref().map(|tree| tree.id()).or_else(of_file),
                files: row.count.files.into(),
                bytes: row.count.bytes,
                missing_bytes: row.count.missing_bytes,
                exclude: row.rules.exclude.clone(),
                gitignore: row.rules.gitignore,
                include_secrets: row.rules.include_secrets,
                audience: row.audience.clone(),
                limit: row.throttle.as_ref().and_then(Throttle::own_rate),
                since: row.since,
                gone: row.gone,
            }
        };
        self.live().map(shared).collect()
    }

    /// Takes the root of this name out of everything; its key, if there was one.
    pub(in crate::actors::index) fn withdraw(&mut self, name: &SafePath, now: Instant) -> Option<RootKey> {
        let key = self.roots.iter().position(|row| !row.withdrawn && row.root.name == *name)?;
        // A tree that nobody is to have is no former one.
        let tree = self.roots[key].collection.take().map(|tree| tree.id());
        let files = self.rows_of(key).flat_map(|(_, row)| row.offered().into_iter().chain(row.former()));
        let ids: Vec<ContentId> = files.map(|file| file.id).chain(tree).collect();
        let rows: Vec<SafePath> = self.rows_of(key).map(|(name, _)| name.clone()).collect();
        drop(self.remove(rows));
        self.former.withdraw((key, &self.roots[key].audience), ids);
        self.renew(key, now);
        let row = &mut self.roots[key];
        (row.withdrawn, row.gone) = (true, true);
        (row.unread, row.empty_dirs, row.left_out) = Default::default();
        Some(key)
    }

    /// What is not for everybody, after what was.
    pub(in crate::actors::index) fn reserved(&self, before: &Reserved) -> Reserved {
        let named = |is: fn(&Audience) -> bool| -> BTreeSet<SafePath> {
            self.live().filter(|row| is(&row.audience)).map(|row| row.root.name.clone()).collect()
        };
        let (friends, hidden) = (named(Audience::is_friends), named(Audience::is_hidden));
        // What is given to single nodes says nothing of whom the node serves.
        let nothing_else = self.live().all(|row| row.audience != Audience::Everybody);
        let all = nothing_else && (!friends.is_empty() || before.all);
        let mut reserved = Reserved { friends, hidden, all, ..Reserved::default() };
        if reserved.has_names() || !before.ids.is_empty() {
            self.reserve_ids(&mut reserved, before);
        }
        self.open_ids(&mut reserved);
        reserved
    }

    /// Notes whose the contents are.
    fn reserve_ids(&self, reserved: &mut Reserved, before: &Reserved) {
        let held = self.held(|root| root.audience != Audience::Everybody).map(|(root, id)| (&root.audience, id));
        // What was changes hands for a while yet.
        let former = self.former.trees().map(|of| (&of.audience, of.tree.id()));
        for (audience, id) in held.chain(former).filter(|(audience, _)| **audience != Audience::Everybody) {
            reserved.add(id, audience);
        }
        for (id, holders) in before.ids.iter().filter(|(id, _)| self.former.gone.has(**id)) {
            reserved.ids.entry(*id).or_default().friends |= holders.friends;
        }
    }

    /// What anybody may have is nobody's alone.
    fn open_ids(&self, reserved: &mut Reserved) {
        if reserved.ids.is_empty() {
            return;
        }
        let is_open = |row: &RootRow| row.audience == Audience::Everybody;
        self.offered(is_open).for_each(|id| _ = reserved.ids.remove(&id));
    }

    /// Where what is sent of the contents waits that no root offers without a limit; of several limits the highest counts.
    pub(in crate::actors::index) fn limits(&self) -> HashMap<ContentId, Throttle> {
        let limited = |row: &RootRow| row.throttle.is_some();
        let mut limits = HashMap::<ContentId, Throttle>::new();
        if !self.live().any(limited) {
            return limits;
        }
        let former = self.former.trees().map(|of| (&self.roots[of.root], of.tree.id()));
        for (root, id) in self.held(limited).chain(former) {
            let Some(throttle) = &root.throttle else { continue };
            let known = limits.entry(id).or_insert_with(|| throttle.clone());
            if throttle.own_rate() > known.own_rate() {
                *known = throttle.clone();
            }
        }
        self.offered(|root| !limited(root)).for_each(|id| _ = limits.remove(&id));
        limits
    }

    /// What some of the roots have, also of what was there.
    fn held(&self, is: impl Fn(&RootRow) -> bool + Copy) -> impl Iterator<Item = (&RootRow, ContentId)> {
        let rows = self.rows.values().map(|row| (&self.roots[row.root], row)).filter(move |(root, _)| is(root));
        let files =
            rows.flat_map(|(root, row)| row.offered().into_iter().chain(row.former()).map(move |of| (root, of.id)));
        let trees = self.live().filter(move |root| is(root));
        files.chain(trees.filter_map(|root| Some((root, root.collection.as_ref()?.id()))))
    }

    /// What some of the roots offer now.
    fn offered(&self, is: impl Fn(&RootRow) -> bool + Copy) -> impl Iterator<Item = ContentId> {
        let rows = self.rows.values().filter(move |row| is(&self.roots[row.root]));
        let trees = self.live().filter(move |root| is(root)).filter_map(|root| root.collection.as_ref());
        rows.filter_map(Row::offered).map(|file| file.id).chain(trees.map(|tree| tree.id()))
    }
}
