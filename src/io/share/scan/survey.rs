//! The look at everything that is about to be shared, before anything is published.

mod portable;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::portable::unportable;
use crate::io::share::scan::ignores::excludes;
use crate::io::share::scan::roots::{Roots, canonical, read_list};
use crate::io::share::scan::skip::Omission;
use crate::io::share::scan::{GlobError, Root, Rules, Scan, ScannedRoot, Whole, scan_root};
use crate::model::safe_path::{PathError, RESERVED};
use crate::model::text::path::shown;
use crate::model::{Audience, Cause, Kind, LocalPath, NodeId, Obstacle, Rate, SafePath};

pub use self::portable::Unportable;

/// What to leave out and what to allow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SurveyOptions {
    /// Paths that are offered under a given name (the configuration's `[[share]]`).
    pub named: Vec<(SafePath, PathBuf)>,
    /// `--exclude` patterns, gitignore syntax.
    pub exclude: Vec<String>,
    /// `--gitignore`: leave out what git's own ignore files say, too.
    pub gitignore: bool,
    /// `--list`: a file of `name<TAB>path` lines; relative paths are relative to the working directory.
    pub list: Option<PathBuf>,
    /// `--include-secrets`.
    pub include_secrets: bool,
    /// `--all`: allow the file system's root and home directories.
    pub all: bool,
    /// Directories that are never shared: qshare's own home.
    pub avoid: Vec<PathBuf>,
    /// Nothing may be shared at all.
    pub may_be_empty: bool,
    /// It is for friends alone.
    pub friends_only: bool,
    /// It is for these nodes alone, by its id, where there are any.
    #[serde(default)]
    pub nodes: BTreeSet<NodeId>,
}

/// Why nothing is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SurveyError {
    /// Two things under one name.
    #[error("both {} and {} would be offered as {name}", shown(first), shown(second))]
    Duplicate {
        /// The name.
        name: SafePath,
        /// One path.
        first: LocalPath,
        /// The other.
        second: LocalPath,
    },
    /// A pattern that is none.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// A line of a list that is none.
    #[error("line {line} of the list {} cannot be used because {cause}", shown(list))]
    List {
        /// Which list.
        list: LocalPath,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        cause: BadName,
    },
    /// A path that is not there or not to be reached.
    #[error("{} cannot be shared ({cause})", shown(path))]
    Missing {
        /// Which path.
        path: LocalPath,
        /// Why.
        cause: Cause,
    },
    /// A name that cannot be offered.
    #[error("{} cannot be shared under its name because {cause}", shown(path))]
    Name {
        /// Which path.
        path: LocalPath,
        /// What is wrong with its name.
        cause: BadName,
    },
    /// Everything was left out; the first of it.
    #[error("there is nothing to share")]
    Nothing(Option<Omission>),
    /// `/` or a home directory.
    #[error("{} holds more than is meant to be shared", shown(path))]
    Whole {
        /// Which directory.
        path: LocalPath,
    },
}

/// Why nothing can be offered under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BadName {
    /// It is none.
    #[error(transparent)]
    Invalid(#[from] PathError),
    /// In a list, nothing stands behind it.
    #[error("it has no tab and path after the name")]
    NoPath,
    /// It is no text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It is of the kind that unfinished transfers have.
    #[error("names that begin with {RESERVED} are those of unfinished transfers")]
    Reserved,
}

impl SurveyError {
    /// Whether the command itself is wrong, and not what it names.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Duplicate { .. } | Self::Glob(_) | Self::List { .. } | Self::Whole { .. })
    }
}

/// One root of a plan, for showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootSummary {
    /// What it is offered under.
    pub name: SafePath,
    /// Where it is.
    pub path: PathBuf,
    /// File or collection.
    pub kind: Kind,
    /// How many files.
    pub files: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

/// What is about to be shared.
#[derive(Debug, Clone)]
pub struct SharePlan {
    /// The roots in name order.
    pub roots: Vec<RootSummary>,
    /// What is left out.
    pub skipped: Vec<Omission>,
    /// Names that are shared and cannot exist everywhere.
    pub unportable: Option<Unportable>,
    /// The files.
    pub scanned: Vec<ScannedRoot>,
    /// The roots of which something could not be looked at yet.
    pub unseen: BTreeSet<SafePath>,
    /// What later looks leave out.
    pub rules: Rules,
    /// For whom it is.
    pub audience: Audience,
    /// The most bytes a second that are sent of all of it together.
    pub limit: Option<Rate>,
}

/// Looks at everything that is to be shared. Blocks on the file system.
///
/// # Errors
/// When a path is missing, names collide, or something takes `--all`.
pub fn survey(paths: &[PathBuf], options: &SurveyOptions) -> Result<SharePlan, SurveyError> {
    excludes(Path::new("/"), &options.exclude)?;
    let rules = Rules {
        exclude: options.exclude.clone(),
        gitignore: options.gitignore,
        include_secrets: options.include_secrets,
        avoid: options.avoid.iter().map(|a| canonical(a)).collect(),
        all: options.all,
        whole: Whole::here(),
    };
    let mut roots = Roots::default();
    for path in paths {
        roots.add(path, None, &rules)?;
    }
    let listed = options.list.as_deref().map_or_else(|| Ok(Vec::new()), read_list)?;
    for (name, path) in options.named.iter().cloned().chain(listed) {
        roots.add(&path, Some(name), &rules)?;
    }
    let Roots { by_name, skipped } = roots;
    let mut skipped: Vec<Omission> = skipped.into_iter().map(Omission::Skipped).collect();
    let roots: Vec<Root> = by_name.into_values().collect();
    let scans: Vec<Scan> = roots.iter().map(|root| scan_root(root, &rules)).collect();
    check_seen(&scans)?;
    check_names(&scans)?;
    skipped.extend(scans.iter().flat_map(|s| s.unseen.iter().cloned().map(Omission::Unseen)));
    skipped.extend(scans.iter().flat_map(|s| s.skipped.iter().cloned().map(Omission::Skipped)));
    let links = scans.iter().map(|s| s.root.links).sum();
    skipped.extend((links > 0).then_some(Omission::Links(links)));
    let ignored = scans.iter().map(|s| s.ignored).sum();
    skipped.extend((ignored > 0).then_some(Omission::Ignored(ignored)));
    let unseen = scans.iter().filter(|s| !s.unseen.is_empty()).map(|s| s.root.name.clone()).collect();
    let shared = |s: &Scan| (s.root.kind == Kind::Collection && !s.gone) || !s.root.files.is_empty();
    let scanned: Vec<ScannedRoot> = scans.into_iter().filter(shared).map(|s| s.root).collect();
    if scanned.is_empty() && !options.may_be_empty {
        return Err(SurveyError::Nothing(skipped.into_iter().next()));
    }
    let unportable = unportable(&scanned);
    let audience = match options.nodes.is_empty() {
        false => Audience::Nodes(options.nodes.clone()),
        true if options.friends_only => Audience::Friends,
        true => Audience::Everybody,
    };
    let roots = scanned.iter().map(summary).collect();
    Ok(SharePlan { roots, skipped, unportable, scanned, unseen, rules, audience, limit: None })
}

/// A root of which nothing can be seen would be offered as if it were empty.
fn check_seen(scans: &[Scan]) -> Result<(), SurveyError> {
    for scan in scans {
        let path = || scan.root.path.clone().into();
        if let Some(unseen) = scan.unseen.iter().find(|unseen| unseen.name == scan.root.name) {
            return Err(SurveyError::Missing { path: path(), cause: unseen.cause.clone() });
        }
        // Of what is there and not to be shared it was said why.
        if scan.gone && scan.skipped.is_empty() {
            let cause = Cause { kind: Obstacle::NotFound, text: "it has just gone".to_owned() };
            return Err(SurveyError::Missing { path: path(), cause });
        }
    }
    Ok(())
}

fn summary(root: &ScannedRoot) -> RootSummary {
    RootSummary {
        name: root.name.clone(),
        path: root.path.clone(),
        kind: root.kind,
        files: root.files.len() as u64,
        bytes: root.files.iter().map(|f| f.stamp.size).sum(),
    }
}

/// Root names differ; only a root named within another's tree can still offer a name twice.
fn check_names(scans: &[Scan]) -> Result<(), SurveyError> {
    let roots: HashSet<&str> = scans.iter().map(|s| s.root.name.as_str()).collect();
    let nested = |scan: &Scan| {
        let name = scan.root.name.as_str();
        name.match_indices('/').any(|(at, _)| roots.contains(&name[..at]))
    };
    if !scans.iter().any(nested) {
        return Ok(());
    }
    let mut seen: HashMap<&SafePath, &Path> = HashMap::new();
    for scan in scans {
        let collection = (scan.root.kind == Kind::Collection).then_some((&scan.root.name, scan.root.path.as_path()));
        for (name, path) in scan.root.files.iter().map(|f| (&f.name, f.path.as_path())).chain(collection) {
            if let Some(first) = seen.insert(name, path) {
                let (first, second) = (first.into(), path.into());
                return Err(SurveyError::Duplicate { name: name.clone(), first, second });
            }
        }
    }
    Ok(())
}
