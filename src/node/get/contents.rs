//! From a hit to what exactly is fetched: its units, its tree, what of it is there already, what is left out.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::io::receive::accepts::accepts;
use crate::io::receive::bits::give_bits;
use crate::io::receive::dest::{DestError, SafeDir};
use crate::io::receive::existing::{Existing, compare_collection, compare_file};
use crate::io::receive::partial::{Partial, PartialSpec};
use crate::io::share::hash::Hashed;
use crate::model::collection::Entry;
use crate::model::{Collection, Content, ContentId, Hit, Kind, NodeId, Provider, SafePath, Wanted};
use crate::node::error::{Error, Result};
use crate::node::get::Get;
use crate::node::get::destination::TargetPath;
use crate::node::get::manifest::{self, Fetched, Listed, Proven};
use crate::node::get::selection::{self, Selection};
use crate::node::report::Report;
use crate::node::types::{GetRequest, Pattern, Phase, Replace, Without};
use crate::wire::LeftOut;

/// How often hashing of what is there tells how far it is.
const TELL: Duration = Duration::from_millis(200);

/// What is fetched.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    /// It, with its true size.
    pub(crate) wanted: Arc<Wanted>,
    /// Under which name it was found.
    pub(crate) name: SafePath,
    /// Paths of the tree that were not asked for.
    pub(crate) unwanted: HashSet<SafePath>,
    /// The patterns by which paths were asked for.
    pub(crate) only: Vec<String>,
    /// Paths at which something older lies than what is offered, where that was asked.
    pub(crate) older: Option<Arc<HashSet<SafePath>>>,
    /// Whether a single file may be executed.
    pub(crate) executable: bool,
    /// What the tree lacks of the provider's directory.
    pub(crate) left_out: LeftOut,
    /// Files of that which were asked for.
    pub(crate) without: Option<Without>,
}

/// What the target has already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Present {
    /// Paths with the right content.
    pub(crate) same: HashSet<SafePath>,
    /// Paths that may be replaced.
    pub(crate) replace: HashSet<SafePath>,
    /// Paths with other content that is not older, and stays.
    pub(crate) newer: Vec<SafePath>,
    /// Whether nothing is missing.
    pub(crate) complete: bool,
    /// What was read of it.
    pub(crate) proofs: Vec<(SafePath, Hashed)>,
}

impl Contents {
    /// Learns what a hit stands for; for a collection its list is taken from an earlier run or fetched, and those who
    /// sent a wrong one are added to `liars`; what proves to be a file in truth replaces the hit. `beneath`: only this directory of it, folded.
    ///
    /// # Errors
    /// When nobody can give the list, or it cannot be used.
    pub(crate) async fn of(
        get: &Get,
        hit: &mut Hit,
        beneath: Option<&str>,
        parent: Option<&Path>,
        liars: &mut Vec<NodeId>,
    ) -> Result<Self> {
        let Get { finder, request, report, .. } = get;
        let Some(id) = hit.id else { return Err(not_hashed(hit)) };
        let name = Self::called(hit, id);
        let kept = parent.and_then(|parent| SafeDir::open(parent).ok());
        let kept = kept.and_then(|parent| Partial::resume_manifest(&parent, id));
        let kept = kept.and_then(|bytes| Some((Collection::parse_within(&bytes, finder.max_files).ok()?, bytes)));
        // What an earlier run has begun of it is proven to be a collection, whatever is offered now.
        if hit.kind == Kind::File && kept.is_none() {
            return Self::of_file(hit, id, name, request);
        }
        let listed = Listed { finder, id, providers: &hit.providers, report };
        let proven = match kept {
            Some((collection, bytes)) => {
                Proven::Tree(Fetched { bytes, collection, left_out: listed.left_out().await, giver: None })
            }
            None => listed.fetch(request.wait, liars).await?,
        };
        let fetched = match proven {
            Proven::Tree(fetched) => {
                // It may be none of those that were heard of first.
                let known = |giver: &Provider| hit.providers.iter().any(|one| one.node == giver.node);
                let giver = fetched.giver.clone().filter(|giver| !known(giver));
                hit.providers.extend(giver);
                fetched
            }
            Proven::File(file) => {
                *hit = file;
                return Self::of_file(hit, id, Self::called(hit, id), request);
            }
        };
        let patterns = match beneath {
            None => request.only.clone(),
            Some(dir) => selection::beneath(&fetched.collection, dir, &request.only)
                .ok_or_else(|| Error::NoneMatch { name: name.to_string(), id })?,
        };
        Self::of_tree(fetched, id, name, &patterns)
    }

    /// Under which name a hit of this id is fetched.
    pub(super) fn called(hit: &Hit, id: ContentId) -> SafePath {
        let plain = hit.names.iter().map(SafePath::last).find(|name| !name.is_reserved());
        plain.unwrap_or_else(|| name_of(id))
    }

    fn of_file(hit: &Hit, id: ContentId, name: SafePath, request: &GetRequest) -> Result<Self> {
        let refused = if hit.is_possible() {
            Error::TooLarge { id, size: hit.size }
        } else {
            Error::Impossible { id, size: hit.size }
        };
        let wanted = Wanted::file(id, hit.size).ok_or(refused)?;
        let selection = Selection::of(&request.only);
        if !selection.takes(&name) && !hit.names.iter().any(|name| selection.takes(name)) {
            return Err(Error::DoesNotMatch { name: name.to_string() });
        }
        Ok(Self {
            wanted: Arc::new(wanted),
            name,
            unwanted: HashSet::new(),
            only: Vec::new(),
            older: None,
            executable: hit.executable,
            left_out: LeftOut::default(),
            without: None,
        })
    }

    fn of_tree(fetched: Fetched, id: ContentId, name: SafePath, patterns: &[Pattern]) -> Result<Self> {
        let Fetched { bytes, collection, left_out, .. } = fetched;
        let selection = Selection::of(patterns);
        let without = manifest::without(&name, &left_out, |path| selection.takes(path));
        let unwanted = selection.unwanted(&collection);
        let wanted_files = collection.entries().len() - unwanted.len();
        let too_large = Error::TooLarge { id, size: collection.bytes() };
        let wanted = Arc::new(Wanted::tree(id, collection, bytes).ok_or(too_large)?);
        if !patterns.is_empty() && wanted_files == 0 {
            let name = name.to_string();
            return Err(match without {
                Some(without) => Error::LeftOut { name, without },
                None => Error::NoneMatch { name, id },
            });
        }
        let only = patterns.iter().map(ToString::to_string).collect();
        Ok(Self { wanted, name, unwanted, only, older: None, executable: false, left_out, without })
    }

    /// The files that were asked for: name, size, id.
    pub(crate) fn files(&self) -> Vec<(SafePath, u64, ContentId)> {
        let Content { id, size, .. } = self.wanted.content;
        let Some(tree) = &self.wanted.tree else { return vec![(self.name.clone(), size, id)] };
        let files = tree.entries().iter().filter_map(|(path, entry)| match entry {
            Entry::File { size, id, .. } if !self.unwanted.contains(path) => Some((path.clone(), *size, *id)),
            _ => None,
        });
        files.collect()
    }

    /// Bytes of all that was asked for.
    pub(crate) fn bytes(&self) -> u64 {
        self.files().iter().map(|(_, size, _)| size).sum()
    }

    /// A path of the tree that a file of the unit map has; none for a single file.
    pub(crate) fn path_of(&self, file: usize) -> Option<SafePath> {
        let of = self.wanted.map.files().get(file)?;
        let is_it = |entry: &Entry| entry.content() == Some((of.id, of.layout.size()));
        self.wanted.tree.as_ref()?.entries().iter().find(|(_, entry)| is_it(entry)).map(|(path, _)| path.clone())
    }

    /// Compares with what is at the destination, telling how far that is.
    ///
    /// # Errors
    /// When something there stands in the way, or the file system cannot hold the names.
    pub(crate) async fn compare(
        &self,
        destination: &TargetPath,
        parent: &SafeDir,
        replace: Replace,
        report: &Report,
    ) -> Result<Present> {
        let (parent, target) = (parent.clone(), destination.name.clone());
        self.watched(report, move |this, hashed| this.compare_now(&parent, &target, replace, hashed)).await
    }

    /// What is at the destination, whatever it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn existing(
        &self,
        destination: &TargetPath,
        parent: &SafeDir,
        report: &Report,
    ) -> Result<Existing> {
        let (parent, target) = (parent.clone(), destination.name.clone());
        self.watched(report, move |this, hashed| this.existing_now(&parent, &target, hashed)).await
    }

    /// Hashes what is there, telling how far that is.
    async fn watched<T: Send + 'static>(
        &self,
        report: &Report,
        work: impl FnOnce(&Self, &AtomicU64) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        report.phase(Phase::Hashing);
        let hashed = Arc::new(AtomicU64::new(0));
        let (this, counted) = (self.clone(), Arc::clone(&hashed));
        let job = tokio::task::spawn_blocking(move || work(&this, &counted));
        let mut ticks = tokio::time::interval(TELL);
        tokio::pin!(job);
        loop {
            tokio::select! {
                done = &mut job => return done?,
                _ = ticks.tick() => report.hashing(hashed.load(Ordering::Relaxed), self.wanted.content.size, None),
            }
        }
    }

    fn existing_now(&self, parent: &SafeDir, target: &SafePath, hashed: &AtomicU64) -> Result<Existing> {
        let Some(collection) = &self.wanted.tree else {
            let Content { id, size, .. } = self.wanted.content;
            let existing = compare_file(parent, target, id, size, hashed)?;
            // The target may have another name than the content.
            let renamed = |paths: Vec<SafePath>| paths.into_iter().map(|_| self.name.clone()).collect();
            let Existing { same, different, missing, blocked, proofs } = existing;
            let (same, different, missing) = (renamed(same), renamed(different), renamed(missing));
            return Ok(Existing { same, different, missing, blocked: renamed(blocked), proofs });
        };
        let wanted = |path: &SafePath| !self.unwanted.contains(path);
        Ok(compare_collection(parent, target, collection, wanted, hashed)?)
    }

    /// Whether it can be written in order.
    ///
    /// # Errors
    /// When it is not one file.
    pub(crate) fn is_streamable(&self) -> Result<()> {
        match self.wanted.tree {
            Some(_) => Err(Error::NotAFile { name: self.name.to_string() }),
            None => Ok(()),
        }
    }

    fn compare_now(
        &self,
        parent: &SafeDir,
        target: &SafePath,
        replace: Replace,
        hashed: &AtomicU64,
    ) -> Result<Present> {
        let Some(collection) = &self.wanted.tree else {
            accepts(parent, [target])?;
            let Content { id, size, .. } = self.wanted.content;
            let existing = compare_file(parent, target, id, size, hashed)?;
            return self.present(existing, parent, replace);
        };
        let paths = collection.entries().iter().map(|(path, _)| path);
        accepts(parent, paths.filter(|path| !self.unwanted.contains(*path)))?;
        let wanted = |path: &SafePath| !self.unwanted.contains(path);
        let existing = compare_collection(parent, target, collection, wanted, hashed)?;
        // Errors name paths relative to the directory that exists, if it does.
        let base = parent.dir(target).unwrap_or_else(|_| parent.clone());
        let found = self.present(existing, &base, replace)?;
        // An empty collection misses nothing, and yet its directory has to be made.
        let complete = found.complete && parent.stat(target)?.is_some();
        Ok(Present { complete, ..found })
    }

    /// What may be done about what is there; `base` is what the paths are relative to.
    fn present(&self, mut existing: Existing, base: &SafeDir, replace: Replace) -> Result<Present> {
        let mut newer = Vec::new();
        let force = match replace {
            Replace::All => true,
            Replace::Nothing => false,
            Replace::Older => {
                let in_tree = self.wanted.tree.is_some();
                (existing.different, newer) =
                    existing.different.into_iter().partition(|path| self.is_older(in_tree.then_some(path)));
                true
            }
        };
        existing.permit(base, force)?;
        let complete = existing.is_complete();
        Ok(Present {
            same: existing.same.into_iter().collect(),
            replace: existing.different.into_iter().collect(),
            newer,
            complete,
            proofs: existing.proofs,
        })
    }

    /// Whether what lies at a path of the tree, or at the target of a file, is older than what is offered.
    pub(crate) fn is_older(&self, path: Option<&SafePath>) -> bool {
        self.older.as_ref().is_some_and(|older| path.map_or(!older.is_empty(), |path| older.contains(path)))
    }

    /// Gives what was there already its executable bits: those of a tree are part of its id, that of a file is told
    /// beside it. What is known of a file by its state goes with its old bit. Blocks.
    ///
    /// # Errors
    /// When one cannot be looked at or changed.
    pub(crate) fn give_bits(
        &self,
        parent: &SafeDir,
        target: &SafePath,
        present: &mut Present,
    ) -> Result<(), DestError> {
        let same = &present.same;
        let changed = match &self.wanted.tree {
            _ if same.is_empty() => return Ok(()),
            None if self.executable => give_bits(parent, same.iter().map(|path| (path, true)))?,
            None => return Ok(()),
            Some(collection) => {
                let entries = collection.entries().iter().filter(|(path, _)| same.contains(path));
                let files = entries.filter_map(|(path, entry)| match entry {
                    Entry::File { executable, .. } => Some((path, *executable)),
                    Entry::Directory => None,
                });
                give_bits(&parent.dir(target)?, files)?
            }
        };
        present.proofs.retain(|(path, _)| !changed.contains(path));
        Ok(())
    }

    /// What the partial file is opened for; `target` is the name that it gets at the end.
    pub(crate) fn spec(&self, present: &Present, target: Option<&SafePath>) -> PartialSpec {
        PartialSpec {
            wanted: Arc::clone(&self.wanted),
            present: present.same.clone(),
            unwanted: self.unwanted.clone(),
            target: target.cloned(),
            only: self.only.clone(),
            alone: false,
        }
    }
}

/// That nobody knows an id of it.
pub(crate) fn not_hashed(hit: &Hit) -> Error {
    let name = hit.names.first().map(ToString::to_string).unwrap_or_default();
    Error::NotHashed { name, lack: Box::default() }
}

/// A transfer that is known only by its id is named so.
pub(crate) fn name_of(id: ContentId) -> SafePath {
    SafePath::parse(&id.to_string()).expect("hexadecimal digits are a name")
}
