//! What a node offers by request of its owner's commands: more while it runs, less again, and what it goes on offering at its
//! next start. Invariant: what is kept is on the disk before whoever wants that is told so.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::actors::announcer::{AnnouncerRef, Announcing, Further};
use crate::actors::index::{IndexRef, SharedRoot};
use crate::actors::neighbours::{Keeping, NeighboursRef};
use crate::io::home::kept::KeptFile;
use crate::io::receive::landing::Landing;
use crate::io::share::scan::{Omission, RootSummary, SharePlan, SurveyError, SurveyOptions, Unportable, survey};
use crate::model::id::IdPrefix;
use crate::model::{Cause, PeerTarget, Rate, SafePath};
use crate::node::error::{ControlError, Error};

/// What a command wants to offer; every path of it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShareWish {
    /// Under their own names.
    pub paths: Vec<PathBuf>,
    /// Under given names, and how all of it is looked at.
    pub options: SurveyOptions,
    /// Also at the next start of the home's node, until it is unshared.
    pub keep: bool,
    /// Which directories the command sees there.
    pub seen: Vec<Landing>,
    /// The most bytes a second that are sent of all of it together.
    #[serde(default)]
    pub limit: Option<Rate>,
    /// Trackers that are told of it, beside those that the node tells of everything.
    #[serde(default)]
    pub trackers: Vec<PeerTarget>,
    /// Nodes that are kept as neighbours meanwhile, beside those of the node.
    #[serde(default)]
    pub peers: Vec<PeerTarget>,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Offered {
    /// What is offered from now on.
    pub roots: Vec<RootSummary>,
    /// What was offered before by these names.
    pub before: Vec<SafePath>,
    /// What lies within, or around, and is offered to others: some of it is so to both.
    pub crossing: Vec<SafePath>,
    /// What is left out.
    pub skipped: Vec<Omission>,
    /// Names that cannot exist everywhere.
    pub unportable: Option<Unportable>,
}

/// What is to be offered no longer, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwanted {
    /// The name, an id or its first characters, or the path as it was given.
    pub text: String,
    /// The whole path that this would be.
    pub path: PathBuf,
}

/// Something that is offered, or kept for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferRow {
    /// What; of what is kept and cannot be offered now, only its path.
    pub root: Result<SharedRoot, PathBuf>,
    /// It is offered at the next start, too.
    pub kept: bool,
}

/// One path of a wish that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept(ShareWish);

impl Kept {
    fn path(&self) -> Option<&Path> {
        let named = self.0.options.named.first().map(|(_, path)| path);
        self.0.paths.first().or(named).map(PathBuf::as_path)
    }

    /// Whether it would be offered under this name.
    fn is_named(&self, name: &str) -> bool {
        match self.0.options.named.first() {
            Some((own, _)) => own.as_str() == name,
            None => self.path().and_then(Path::file_name).is_some_and(|own| own == name),
        }
    }
}

/// What is done for an offer until this is dropped.
pub(crate) struct Terms {
    _announcing: Option<Announcing>,
    _keeping: Option<Keeping>,
}

/// What carries it out.
type Parts = (IndexRef, AnnouncerRef, NeighboursRef);

/// What a node offers by request.
pub(crate) struct Shares {
    index: IndexRef,
    announcer: AnnouncerRef,
    neighbours: NeighboursRef,
    /// What is done for what is kept, by its name.
    terms: std::sync::Mutex<HashMap<SafePath, Terms>>,
    file: KeptFile,
    /// Held while the file is changed.
    kept: Mutex<Vec<Kept>>,
}

impl Shares {
    /// Those of a home, with what it has kept; and why that cannot be read, if it cannot.
    pub(crate) fn new((index, announcer, neighbours): Parts, node: &Path) -> (Self, Option<Cause>) {
        let file = KeptFile::at(node);
        let (kept, cause) = match file.read().and_then(|bytes| parsed(&bytes)) {
            Ok(kept) => (kept, None),
            Err(error) => (Vec::new(), Some(error.into())),
        };
        (Self { index, announcer, neighbours, terms: std::sync::Mutex::default(), file, kept: Mutex::new(kept) }, cause)
    }

    /// Where it keeps that.
    pub(crate) fn file(&self) -> &Path {
        self.file.path()
    }

    /// Offers more.
    ///
    /// # Errors
    /// When a path cannot be shared or is another here, a name is taken, or it cannot be kept: then nothing of it is offered.
    pub(crate) async fn offer(&self, wish: ShareWish) -> Result<Offered, Error> {
        let looked = wish.clone();
        let plan = SharePlan { limit: wish.limit, ..spawn_blocking(move || look(&looked)).await?? };
        let (plan, before) = self.without_known(plan).await?;
        let SharePlan { roots, skipped, unportable, .. } = &plan;
        let crossing = self.crossing(&plan).await;
        let mut offered = Offered {
            roots: roots.clone(),
            before,
            crossing,
            skipped: skipped.clone(),
            unportable: unportable.clone(),
        };
        // A node that ends has nothing.
        let names = self.index.share(plan).await.unwrap_or_default();
        // One whose name somebody was quicker to take is told of by a notice.
        offered.roots.retain(|root| names.contains(&root.name));
        if let Err(error) = self.keep(&wish).await {
            self.index.unshare(names).await;
            return Err(error);
        }
        Ok(offered)
    }

    /// Does for what was offered by a wish what belongs to that, until what is returned is dropped; for good where it is kept.
    pub(crate) fn terms(&self, wish: &ShareWish, offered: &Offered) -> Option<Terms> {
        let names: Vec<_> = offered.roots.iter().map(|root| &root.name).chain(&offered.before).cloned().collect();
        let of = |roots| Terms {
            _announcing: (!wish.trackers.is_empty())
                .then(|| self.announcer.announce_at(Further { trackers: wish.trackers.clone(), roots })),
            _keeping: (!wish.peers.is_empty()).then(|| self.neighbours.keep(wish.peers.clone())),
        };
        if !wish.keep {
            return Some(of(names));
        }
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        terms.extend(names.into_iter().map(|name| (name.clone(), of(vec![name]))));
        None
    }

    /// Offers again what is kept; what cannot be is told with its path, and stays kept.
    pub(crate) async fn offer_kept(&self) -> Vec<(PathBuf, Result<Offered, Error>)> {
        let wishes: Vec<Kept> = self.kept.lock().await.clone();
        let mut all = Vec::new();
        for kept in wishes {
            let path = kept.path().map(Path::to_owned).unwrap_or_default();
            // What was offered by the command that runs the node has that one's rate.
            let roots = self.index.roots().await;
            let limit = roots.iter().find(|root| root.path == path).map_or(kept.0.limit, |root| root.limit);
            let offered = self.offer(ShareWish { keep: false, seen: Vec::new(), limit, ..kept.0.clone() }).await;
            // It is kept, so nothing comes back that ends it.
            drop(offered.as_ref().ok().and_then(|offered| self.terms(&kept.0, offered)));
            all.push((path, offered));
        }
        all
    }

    /// Everything that is offered, and what is kept for that.
    pub(crate) async fn all(&self) -> Vec<OfferRow> {
        let kept = self.kept.lock().await;
        let roots = self.roots().await;
        let is_live = |kept: &Kept| roots.iter().any(|root| kept.path() == Some(&root.path));
        let missing = kept.iter().filter(|kept| !is_live(kept)).filter_map(Kept::path);
        let missing: Vec<_> = missing.map(|path| OfferRow { root: Err(path.to_owned()), kept: true }).collect();
        let is_kept = |root: &SharedRoot| kept.iter().any(|kept| kept.path() == Some(&root.path));
        let live = roots.iter().map(|root| OfferRow { kept: is_kept(root), root: Ok(root.clone()) });
        live.chain(missing).collect()
    }

    /// Offers something no longer, nor at the next start. What it was: names, or the path of what could not be offered.
    ///
    /// # Errors
    /// When nothing is offered so, or the disk does not take it.
    pub(crate) async fn unshare(&self, what: &Unwanted) -> Result<Vec<String>, Error> {
        let roots = self.roots().await;
        let found = named(&roots, what);
        let mut kept = self.kept.lock().await;
        let is_meant = |kept: &Kept| {
            let is_found = |path: &Path| found.iter().any(|root| root.path == path) || is_same(path, &what.path);
            kept.path().is_some_and(is_found) || (found.is_empty() && kept.is_named(&what.text))
        };
        let (gone, left): (Vec<Kept>, Vec<Kept>) = kept.iter().cloned().partition(is_meant);
        if found.is_empty() && gone.is_empty() {
            return Err(ControlError::NotOffered { what: what.text.clone() }.into());
        }
        if !gone.is_empty() {
            let cause = |cause| ControlError::StillKept { path: self.file().into(), cause };
            self.write(left.clone()).await?.map_err(cause)?;
            *kept = left;
        }
        let names = self.index.unshare(found.iter().map(|root| root.name.clone()).collect()).await;
        self.terms.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| !names.contains(name));
        let paths = gone.iter().filter_map(Kept::path).map(|path| path.display().to_string());
        if names.is_empty() { Ok(paths.collect()) } else { Ok(names.iter().map(ToString::to_string).collect()) }
    }

    /// The end of what a command has offered, but for what is kept by now.
    pub(crate) async fn withdraw(&self, names: Vec<SafePath>) {
        let kept = self.kept.lock().await;
        let roots = self.roots().await;
        let is_kept = |path: &Path| kept.iter().any(|kept| kept.path() == Some(path));
        let gone = roots.into_iter().filter(|root| names.contains(&root.name) && !is_kept(&root.path));
        self.index.unshare(gone.map(|root| root.name).collect()).await;
    }

    /// Keeps a wish, if that is wanted: each of its paths by itself.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn keep(&self, wish: &ShareWish) -> Result<(), Error> {
        if !wish.keep {
            return Ok(());
        }
        let mut kept = self.kept.lock().await;
        let alone = |paths, named| {
            let options = SurveyOptions { named, list: None, may_be_empty: true, ..wish.options.clone() };
            Kept(ShareWish { paths, options, seen: Vec::new(), ..wish.clone() })
        };
        let plain = wish.paths.iter().map(|path| alone(vec![path.clone()], Vec::new()));
        let named = wish.options.named.iter().map(|named| alone(Vec::new(), vec![named.clone()]));
        let new: Vec<Kept> = plain.chain(named).collect();
        let is_new = |old: &Kept| new.iter().any(|new| new.path() == old.path());
        let all: Vec<Kept> = kept.iter().filter(|old| !is_new(old)).chain(&new).cloned().collect();
        let cause = |cause| ControlError::NotKept { path: self.file().into(), cause };
        self.write(all.clone()).await?.map_err(cause)?;
        *kept = all;
        Ok(())
    }

    /// What is offered to others than this plan and shares files with it.
    async fn crossing(&self, plan: &SharePlan) -> Vec<SafePath> {
        let roots = self.roots().await.into_iter().filter(|old| old.audience != plan.audience);
        let is_within = |old: &SharedRoot, new: &RootSummary| {
            let (old, new) = (canonical(&old.path), canonical(&new.path));
            old.starts_with(&new) || new.starts_with(&old)
        };
        roots.filter(|old| plan.roots.iter().any(|new| is_within(old, new))).map(|old| old.name).collect()
    }

    /// The plan without what is offered already, and the names of that.
    async fn without_known(&self, mut plan: SharePlan) -> Result<(SharePlan, Vec<SafePath>), Error> {
        let roots = self.roots().await;
        let mut before = Vec::new();
        for new in &plan.roots {
            let Some(old) = roots.iter().find(|old| old.name == new.name) else { continue };
            let (is, wanted) = (LeftOut::of_root(old), LeftOut::of_plan(&plan));
            let differs = is != wanted || old.audience != plan.audience || old.limit != plan.limit;
            if is_same(&old.path, &new.path) && differs {
                return Err(ControlError::Otherwise { name: old.name.clone() }.into());
            }
            if !is_same(&old.path, &new.path) {
                let (first, second) = (old.path.clone().into(), new.path.clone().into());
                return Err(SurveyError::Duplicate { name: new.name.clone(), first, second }.into());
            }
            before.push(new.name.clone());
        }
        plan.roots.retain(|root| !before.contains(&root.name));
        plan.scanned.retain(|root| !before.contains(&root.name));
        Ok((plan, before))
    }

    /// What is offered by name.
    async fn roots(&self) -> Vec<SharedRoot> {
        let mut roots = self.index.roots().await;
        roots.retain(|root| !root.audience.is_hidden());
        roots
    }

    /// Writes it down, or says why not.
    async fn write(&self, all: Vec<Kept>) -> Result<Result<(), Cause>, Error> {
        let file = self.file.clone();
        let written = spawn_blocking(move || {
            // Nothing is kept as nothing.
            let bytes = if all.is_empty() { Ok(Vec::new()) } else { rmp_serde::to_vec_named(&all) };
            file.write(&bytes.map_err(|error| io::Error::other(error.to_string()))?)
        });
        Ok(written.await?.map_err(Cause::from))
    }
}

/// What of a root is left out.
#[derive(PartialEq, Eq)]
struct LeftOut<'r>(&'r [String], bool, bool);

impl<'r> LeftOut<'r> {
    fn of_root(root: &'r SharedRoot) -> Self {
        Self(&root.exclude, root.gitignore, root.include_secrets)
    }

    fn of_plan(plan: &'r SharePlan) -> Self {
        Self(&plan.rules.exclude, plan.rules.gitignore, plan.rules.include_secrets)
    }
}

/// Looks at what is to be offered. Blocks.
fn look(wish: &ShareWish) -> Result<SharePlan, Error> {
    if let Some(other) = wish.seen.iter().find(|landing| !landing.is_here()) {
        return Err(ControlError::OtherDirectory { path: other.dir.as_path().into() }.into());
    }
    Ok(survey(&wish.paths, &wish.options)?)
}

/// Which roots a person means: by path before by name before by id.
fn named<'r>(roots: &'r [SharedRoot], what: &Unwanted) -> Vec<&'r SharedRoot> {
    let by = |is: &dyn Fn(&SharedRoot) -> bool| roots.iter().filter(|root| is(root)).collect::<Vec<_>>();
    let beginning = what.text.parse::<IdPrefix>().ok();
    let has_id = |root: &SharedRoot| beginning.zip(root.id).is_some_and(|(beginning, id)| beginning.is_of(id));
    let found = [
        by(&|root| is_same(&root.path, &what.path)),
        by(&|root| root.name.as_str() == what.text.trim_end_matches('/')),
        by(&has_id),
    ];
    found.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || canonical(one) == canonical(other)
}

/// Without links where it is there, else as it is.
fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn parsed(bytes: &[u8]) -> io::Result<Vec<Kept>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    rmp_serde::from_slice(bytes).map_err(|error| io::Error::other(error.to_string()))
}
