//! After a transfer: what is known of the files at their final places goes to the running node of the home, and with
//! `--seed` into this node's own index, where they are shared as what they are: announced, searched, watched as any
//! shared path, and not read again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::actors::index::Seed;
use crate::io::share::hash::{Hashed, let_settle};
use crate::io::share::scan::Fixed;
use crate::io::share::stamp::stamp_at;
use crate::model::collection::Entry;
use crate::model::{Audience, ChunkList, Content, ContentId, SafePath};
use crate::node::error::Result;
use crate::node::get::Get;
use crate::node::get::contents::Contents;
use crate::node::get::destination::TargetPath;
use crate::node::get::given;
use crate::node::types::{GetNotice, Phase, ShareBack};

/// What a transfer learned of its files.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// Chunk lists by index of file; all other wanted files were proven without one.
    pub(crate) lists: HashMap<usize, Arc<ChunkList>>,
    /// Those that were there before.
    pub(crate) compared: Vec<(SafePath, Hashed)>,
    /// Paths that were there before.
    pub(crate) same: std::collections::HashSet<SafePath>,
}

impl Get {
    /// Whether what is at the destination goes on being served.
    pub(super) async fn keep(&self, contents: &Contents, destination: &TargetPath, learned: Learned) -> Result<bool> {
        let given = self.request.given.as_ref();
        let seeds = self.request.share == ShareBack::Seed || given.is_some();
        if !seeds && !self.inner.has_running_node() {
            return Ok(false);
        }
        let (inner, all, path) = (Arc::clone(&self.inner), contents.clone(), destination.path());
        let known = tokio::task::spawn_blocking(move || {
            let path = path.canonicalize().ok()?;
            let files = places(&all, &path);
            let mut proofs = proofs(&all, &files, &learned);
            inner.hand_over(&path, &proofs);
            if seeds {
                settle(&files, &mut proofs);
            }
            Some((path, proofs))
        });
        let known = known.await?;
        if !seeds {
            return Ok(false);
        }
        let served = match known.filter(|_| contents.unwanted.is_empty()) {
            Some((path, proofs)) => {
                let limit = self.request.upload_limit;
                let mut seed = Seed { limit, ..seed(contents, destination, path, proofs) };
                if let Some(given) = given {
                    (seed.name, seed.audience) = (given::hidden(&seed), given::audience_of(given));
                }
                self.inner.index.seed(seed).await
            }
            None => false,
        };
        if given.is_some() {
            return Ok(false);
        }
        if served {
            self.report.phase(Phase::Seeding);
        } else if contents.unwanted.is_empty() {
            self.report.warn(GetNotice::NotServed(contents.name.clone()));
        }
        Ok(served)
    }

    /// Only what is whole is served as what it is, so where not all is asked for it is known at once.
    pub(super) fn tell_of_seeding(&self, contents: &Contents) {
        if self.request.share == ShareBack::Seed && !contents.unwanted.is_empty() {
            self.report.warn(GetNotice::PartNotServed(contents.name.clone()));
        }
    }
}

fn seed(contents: &Contents, destination: &TargetPath, path: PathBuf, proofs: Vec<Hashed>) -> Seed {
    let Content { id, size, .. } = contents.wanted.content;
    // What was known only by its id has the name that it was given here.
    let unnamed = contents.name.as_str() == id.to_string();
    let name = if unnamed { destination.name.clone() } else { contents.name.clone() };
    let (tree, left_out) = (contents.wanted.tree.clone(), contents.left_out.clone());
    let fixed = Arc::new(Fixed { id, size, tree, left_out });
    Seed { name, path, fixed, audience: Audience::Everybody, proofs, limit: None }
}

/// A wanted file at its final place.
struct Placed<'c> {
    below: Option<&'c SafePath>,
    path: PathBuf,
    id: ContentId,
    size: u64,
}

fn places<'c>(contents: &'c Contents, path: &Path) -> Vec<Placed<'c>> {
    let Some(collection) = &contents.wanted.tree else {
        let Content { id, size, .. } = contents.wanted.content;
        return vec![Placed { below: None, path: path.to_owned(), id, size }];
    };
    let entries = collection.entries().iter().filter(|(below, _)| !contents.unwanted.contains(below));
    let files = entries.filter_map(|(below, entry)| match entry {
        Entry::File { size, id, .. } => {
            Some(Placed { below: Some(below), path: path.join(below.as_str()), id: *id, size: *size })
        }
        Entry::Directory => None,
    });
    files.collect()
}

/// What is known of the files as they are now; nothing of those that are not as they were left, or whose list is not known.
fn proofs(contents: &Contents, files: &[Placed<'_>], learned: &Learned) -> Vec<Hashed> {
    let units = contents.wanted.map.by_content();
    let compared: HashMap<_, _> = learned.compared.iter().map(|(path, hashed)| (path, hashed)).collect();
    // A single file that was there is all that there is: nothing was fetched.
    let before = |file: &Placed<'_>| match file.below {
        Some(below) => (learned.same.contains(below), compared.get(below).copied()),
        None => (!learned.same.is_empty(), learned.compared.first().map(|(_, hashed)| hashed)),
    };
    let known = files.par_iter().filter_map(|file| {
        let stamp = stamp_at(&file.path).filter(|stamp| stamp.size == file.size)?;
        if let (true, proof) = before(file) {
            return proof.filter(|hashed| hashed.stamp == stamp).cloned();
        }
        let index = *units.get(&(file.id, file.size))?;
        let needed = contents.wanted.map.files()[index].layout.needs_list();
        let list = if needed { Some(learned.lists.get(&index)?.as_ref().clone()) } else { None };
        Some(Hashed { id: file.id, list, stamp, settled: false })
    });
    known.collect()
}

/// Waits until the files' states say that they are what they were when they got their names.
fn settle(files: &[Placed<'_>], proofs: &mut Vec<Hashed>) {
    proofs.iter().for_each(|hashed| let_settle(&hashed.stamp));
    let now: std::collections::HashSet<_> = files.par_iter().filter_map(|file| stamp_at(&file.path)).collect();
    proofs.retain(|hashed| now.contains(&hashed.stamp));
    proofs.iter_mut().for_each(|hashed| hashed.settled = true);
}
