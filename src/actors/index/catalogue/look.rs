//! What a look at a root has found, compared with what was known of it.
//! Invariant: only what may have other bytes loses its id; what was only touched up or moved keeps it while it is hashed
//! again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::state::{Unrest, Was, was};
use super::{Absence, Catalogue, Row, State};
use crate::actors::index::hashing::HashJob;
use crate::io::share::scan::{ScannedFile, ScannedRoot};
use crate::io::share::shared_source::HashedFile;
use crate::io::share::stamp::FileStamp;
use crate::io::share::watch::RootKey;
use crate::model::SafePath;

/// How a found file compares with its row.
enum RowChange {
    /// It has settled after it kept changing.
    Calm,
    /// It has the same stamp, but was hashed so soon after a write that this need not mean the same bytes.
    Doubtful,
    Known,
    New(Was),
}

/// What a look at a root has seen.
pub(super) struct Seen {
    pub(super) root: ScannedRoot,
    /// What could not be looked at: it stays as it was, with all beneath it.
    pub(super) unseen: HashSet<SafePath>,
    pub(super) gone: bool,
}

impl Seen {
    /// Whether what has this name could not be looked at.
    fn lacks(&self, name: &SafePath) -> bool {
        self.unseen.iter().any(|unseen| name == unseen || is_beneath(name, unseen))
    }
}

fn is_beneath(name: &SafePath, dir: &SafePath) -> bool {
    name.as_str().strip_prefix(dir.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// Files that are no longer where they were, by device and inode: they may have been renamed.
pub(super) type Moved = HashMap<(u64, u64), Arc<HashedFile>>;

impl Catalogue {
    /// Takes what was found in place of what is known; what has to be hashed, and whether anything that others see of it
    /// has changed.
    pub(super) fn replace(&mut self, key: RootKey, mut seen: Seen, now: Instant) -> (Vec<HashJob>, bool) {
        if seen.lacks(&seen.root.name) {
            return (Vec::new(), false);
        }
        let absent = self.absent(key, &seen);
        self.keep_unseen(key, &mut seen);
        let Seen { root: scanned, gone, .. } = seen;
        let unread_before = std::mem::replace(&mut self.roots[key].unread, scanned.unread);
        let mut changed = !absent.is_empty() || *self.roots[key].empty_dirs != scanned.empty_dirs[..];
        let moved = self.remove(absent);
        let (mut jobs, mut rows, mut news) = (Vec::new(), Vec::new(), false);
        for file in scanned.files {
            match self.compare(key, &file, &moved, now) {
                RowChange::Calm => {
                    changed = true;
                    self.calm(&file.name);
                }
                RowChange::Doubtful => jobs.push(job(key, file)),
                RowChange::Known => {}
                RowChange::New(was) => {
                    let was_left_out = self.rows.get(&file.name).is_some_and(|row| row.unrest.left_out);
                    let is_news = !self.is_touched_up(&file.name, &was);
                    let unrest = self.unrest(&file.name, &was, now);
                    news |= is_news;
                    // What a tree leaves out does not change it.
                    changed |= is_news && !(was_left_out && unrest.left_out);
                    let job = job(key, file);
                    let (path, stamp, state) = (job.path.clone(), job.stamp, State::Pending(was));
                    rows.push((job.name.clone(), Row { root: key, path, stamp, state, unrest }));
                    jobs.push(job);
                }
            }
        }
        // Who fetches the tree is told what it lacks.
        let unread_changed = self.roots[key].unread != unread_before;
        news |= unread_changed;
        let recount = !rows.is_empty() || unread_changed;
        for (name, row) in rows {
            self.touched.insert(name.clone(), key);
            self.rows.insert(name, row);
        }
        changed |= self.roots[key].gone != gone;
        if changed || self.roots[key].generation == 0 {
            let root = &mut self.roots[key];
            (root.empty_dirs, root.gone) = (scanned.empty_dirs.into(), gone);
            self.renew(key, now);
        } else if recount {
            self.recount(key);
        }
        (jobs, changed || news)
    }

    /// What is neither found nor unseen is there no more.
    fn absent(&self, key: RootKey, seen: &Seen) -> Vec<SafePath> {
        let rows = self.rows_of(key).map(|(name, _)| name);
        let absent = rows.filter(|name| seen.root.files.binary_search_by(|f| f.name.cmp(name)).is_err());
        absent.filter(|name| !seen.lacks(name)).cloned().collect()
    }

    /// Directories that were empty and could not be looked at; and what could not be read beneath one of which the rest
    /// stays: it is as absent from that as before.
    fn keep_unseen(&self, key: RootKey, seen: &mut Seen) {
        let stays = |name: &SafePath, dir: &SafePath| is_beneath(name, dir) && self.has_below(dir);
        let unread = self.roots[key].unread.iter();
        let unread = unread.filter(|name| seen.unseen.iter().any(|dir| stays(name, dir))).cloned();
        seen.root.unread.extend(unread);
        seen.root.unread.sort_unstable();
        seen.root.unread.dedup();
        let kept = |dir: &&SafePath| seen.lacks(dir) && seen.root.empty_dirs.binary_search(dir).is_err();
        let kept: Vec<SafePath> = self.roots[key].empty_dirs.iter().filter(kept).cloned().collect();
        seen.root.empty_dirs.extend(kept);
        seen.root.empty_dirs.sort_unstable();
    }

    pub(super) fn remove(&mut self, names: Vec<SafePath>) -> Moved {
        let mut moved = Moved::new();
        for name in names {
            let Some(row) = self.rows.remove(&name) else { continue };
            if let Some(file) = row.offered().or_else(|| row.former()) {
                let root = &self.roots[row.root];
                let absence = if root.unread.binary_search(&name).is_ok() { Absence::Denied } else { Absence::Changed };
                self.former.lose(file.id, &root.audience, absence);
                if FileStamp::identifies() {
                    moved.insert((file.stamp.dev, file.stamp.ino), Arc::clone(file));
                }
            }
            self.touched.insert(name, row.root);
        }
        moved
    }

    fn compare(&self, key: RootKey, file: &ScannedFile, moved: &Moved, now: Instant) -> RowChange {
        match self.rows.get(&file.name) {
            // A name that another root has stays with it.
            Some(row) if row.root != key => RowChange::Known,
            Some(row) if row.stamp == file.stamp && *row.path == *file.path => match &row.state {
                State::Hashed(_) if row.unrest.is_over(now, self.patience) => RowChange::Calm,
                State::Hashed(hashed) if !hashed.settled => RowChange::Doubtful,
                State::Stale(was) => RowChange::New(was.clone()),
                _ => RowChange::Known,
            },
            Some(row) => RowChange::New(row.was(&file.path, &file.stamp)),
            None => {
                let known = moved.get(&(file.stamp.dev, file.stamp.ino));
                RowChange::New(known.map_or(Was::New, |known| was(known, &file.path, &file.stamp)))
            }
        }
    }

    /// Whether nothing that others see of a known file has changed.
    fn is_touched_up(&self, name: &SafePath, was: &Was) -> bool {
        let before = self.rows.get(name).and_then(Row::offered);
        match (before, was) {
            (Some(before), Was::Same(now)) => {
                before.path == now.path && before.stamp.executable == now.stamp.executable
            }
            _ => false,
        }
    }

    /// How restless a file is that was found to be `was`; takes note of an id that is gone for good.
    fn unrest(&mut self, name: &SafePath, was: &Was, now: Instant) -> Unrest {
        let Some(row) = self.rows.get(name) else { return Unrest::default() };
        let mut unrest = row.unrest;
        if let (Was::New, Some(before)) = (was, row.offered().or_else(|| row.former())) {
            self.former.lose(before.id, &self.roots[row.root].audience, Absence::Changed);
        }
        // A file that is queued once more is no other than it was.
        let is_change = !matches!((was, &row.state), (Was::Same(_), _) | (_, State::Stale(_)));
        if is_change && unrest.change(now, self.patience) {
            self.unsettled.push(name.clone());
        }
        unrest
    }

    fn calm(&mut self, name: &SafePath) {
        if let Some(row) = self.rows.get_mut(name) {
            row.unrest = Unrest::default();
        }
    }
}

fn job(root: RootKey, file: ScannedFile) -> HashJob {
    HashJob { name: file.name, path: file.path.into(), stamp: file.stamp, root }
}
