//! The walk through one root: directories in parallel, links last.
//! Invariants: a link is shared only as a file that the same walk shares anyway; what could not be looked at is `unseen`,
//! never left out without a word.

use std::collections::{HashMap, HashSet};
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use ignore::gitignore::Gitignore;
use itertools::Itertools as _;
use rayon::prelude::*;

use crate::io::share::scan::fixed::scan_fixed;
use crate::io::share::scan::ignores::{Ignores, excludes};
use crate::io::share::scan::roots::barred;
use crate::io::share::scan::unseen::{Unseen, is_absence};
use crate::io::share::scan::{Root, Rules, Scan, ScannedFile, ScannedRoot, Skipped, Why};
use crate::io::share::secrets;
use crate::io::share::stamp::FileStamp;
use crate::model::safe_path::{RESERVED, is_reserved};
use crate::model::units::layout::MAX_FILE;
use crate::model::{Kind, SafePath};

/// Looks at one root, the first time and again. Blocks on the file system; never opens what it finds, but ignore files.
pub fn scan_root(root: &Root, rules: &Rules) -> Scan {
    if let Some(fixed) = &root.fixed {
        return scan_fixed(root, fixed);
    }
    let mut found = Walked::default();
    let at = fs::canonicalize(&root.path).and_then(|path| Ok((fs::symlink_metadata(&path)?, path)));
    let (gone, real) = match at {
        Err(error) => {
            found.failed(&root.name, &root.path, &error);
            (found.absent, None)
        }
        Ok((meta, path)) => {
            let gone = look(root, rules, &path, &meta, &mut found);
            (gone, Some(path).filter(|_| !gone))
        }
    };
    finish(root, found, gone, real)
}

/// Looks at what lies at a root's path; whether that is nothing that it could be.
fn look(root: &Root, rules: &Rules, path: &Path, meta: &Metadata, found: &mut Walked) -> bool {
    if let Some(why) = barred(path, meta, rules) {
        found.skip(path, why);
        return true;
    }
    // Patterns were checked by the survey; a bad one excludes nothing.
    let excludes = excludes(path, &rules.exclude).unwrap_or_else(|_| Gitignore::empty());
    let walk = Walk { rules, excludes };
    match root.kind {
        Kind::Collection if meta.is_dir() => {
            *found = walk.directory(path, &root.name, &Ignores::above(path, rules.gitignore));
            found.absent
        }
        Kind::File if !meta.is_dir() => {
            walk.file(path.to_owned(), root.name.clone(), meta, found);
            found.absent || unusual(meta).is_some()
        }
        Kind::Collection | Kind::File => true,
    }
}

struct Walk<'a> {
    rules: &'a Rules,
    excludes: Gitignore,
}

#[derive(Default)]
struct Walked {
    files: Vec<ScannedFile>,
    dirs: Vec<SafePath>,
    /// Directories that are still to be walked.
    below: Vec<(PathBuf, SafePath)>,
    links: Vec<(SafePath, PathBuf)>,
    skipped: Vec<Skipped>,
    ignored: u64,
    unseen: Vec<Unseen>,
    /// What may not be read.
    unread: Vec<SafePath>,
    /// What was to be looked at went before it was.
    absent: bool,
}

impl Walked {
    fn append(&mut self, mut other: Self) {
        self.files.append(&mut other.files);
        self.dirs.append(&mut other.dirs);
        self.links.append(&mut other.links);
        self.skipped.append(&mut other.skipped);
        self.ignored += other.ignored;
        self.unseen.append(&mut other.unseen);
        self.unread.append(&mut other.unread);
    }

    /// A look failed: nothing is there, or nobody knows.
    fn failed(&mut self, name: &SafePath, path: &Path, error: &io::Error) {
        if is_absence(error) {
            self.absent = true;
        } else {
            self.unseen.push(Unseen::new(name, path, error));
        }
    }

    fn skip(&mut self, path: impl Into<PathBuf>, why: Why) {
        self.skipped.push(Skipped::new(path, why));
    }
}

impl Walk<'_> {
    fn directory(&self, dir: &Path, name: &SafePath, outer: &Ignores) -> Walked {
        let mut found = Walked::default();
        let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<DirEntry>>>);
        let (entries, ignores) =
            match entries.and_then(|entries| Ok((entries, outer.within(dir, self.rules.gitignore)?))) {
                Ok(both) => both,
                Err(error) => {
                    found.failed(name, dir, &error);
                    return found;
                }
            };
        for entry in entries {
            self.entry(&entry, name, &ignores, &mut found);
        }
        let mut below = std::mem::take(&mut found.below);
        below.sort_unstable();
        let deeper: Vec<Walked> = below.par_iter().map(|(path, name)| self.directory(path, name, &ignores)).collect();
        for ((_, name), more) in below.into_iter().zip(deeper) {
            // A directory that cannot be read is not known to be empty.
            if !more.absent && more.unseen.first().is_none_or(|unseen| unseen.name != name) {
                found.dirs.push(name);
            }
            found.append(more);
        }
        found
    }

    fn entry(&self, entry: &DirEntry, dir_name: &SafePath, ignores: &Ignores, found: &mut Walked) {
        let path = entry.path();
        let meta = entry.metadata();
        // The list has it too, where the rest cannot be had.
        let is_dir = meta.as_ref().map_or_else(|_| entry.file_type().is_ok_and(|t| t.is_dir()), Metadata::is_dir);
        if self.is_own(&path) {
            return;
        }
        if self.is_git(&path) || self.excluded(&path, is_dir) || ignores.leave_out(&path, is_dir) {
            found.ignored += 1;
            return;
        }
        let Some(text) = path.file_name().and_then(|n| n.to_str()) else { return found.skip(path, Why::Utf8) };
        let name = match dir_name.child(text) {
            Ok(name) => name,
            Err(error) => return found.skip(path, Why::Name(error)),
        };
        if is_reserved(text) {
            return found.skip(path, Why::Reserved);
        }
        let meta = match meta {
            Ok(meta) => meta,
            // What vanishes between listing and looking is as if it had never been there.
            Err(error) if is_absence(&error) => return,
            Err(error) => return found.failed(&name, &path, &error),
        };
        if meta.is_symlink() {
            found.links.push((name, path));
        } else if !is_dir {
            self.file(path, name, &meta, found);
        } else if let Some(what) = self.secret(|| secrets::of_directory(&path)) {
            found.skip(path, Why::Secret(what.into()));
        } else if !self.rules.all && self.rules.whole.contains(&meta) {
            found.skip(path, Why::Whole);
        } else {
            found.below.push((path, name));
        }
    }

    fn file(&self, path: PathBuf, name: SafePath, meta: &Metadata, found: &mut Walked) {
        if let Some(what) = unusual(meta) {
            return found.skip(path, Why::Unusual(what.into()));
        }
        if let Some(what) = self.secret(|| secrets::of_file(&path, meta.len())) {
            return found.skip(path, Why::Secret(what.into()));
        }
        if meta.len() > MAX_FILE {
            return found.skip(path, Why::TooLarge);
        }
        match readable(&path, meta) {
            Ok(()) => (),
            // That is an answer: whoever asks for it could not be served.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.unread.push(name);
                return found.skip(path, Why::Unreadable(error.to_string()));
            }
            Err(error) if is_absence(&error) => return,
            Err(error) => return found.failed(&name, &path, &error),
        }
        found.files.push(ScannedFile { name, path, stamp: FileStamp::of(meta) });
    }

    fn secret(&self, of: impl FnOnce() -> Option<&'static str>) -> Option<&'static str> {
        if self.rules.include_secrets { None } else { of() }
    }

    fn excluded(&self, path: &Path, is_dir: bool) -> bool {
        !self.excludes.is_empty() && self.excludes.matched(path, is_dir).is_ignore()
    }

    /// Whether it is git's own, where what git leaves out is left out: git itself never takes it in.
    fn is_git(&self, path: &Path) -> bool {
        self.rules.gitignore && path.file_name().is_some_and(|name| name == ".git")
    }

    /// Whether it is qshare's own: its home, or a transfer under way.
    fn is_own(&self, path: &Path) -> bool {
        let name = path.file_name().map(|n| n.as_encoded_bytes()).unwrap_or_default();
        let partial = |ending: &[u8]| name.starts_with(RESERVED.as_bytes()) && name.ends_with(ending);
        let partial = [b".part".as_slice(), b".journal", b".givers"].into_iter().any(partial);
        partial || self.rules.avoid.iter().any(|a| a == path)
    }
}

fn finish(root: &Root, mut found: Walked, gone: bool, real: Option<PathBuf>) -> Scan {
    let (linked, links) = resolve_links(&mut found);
    found.files.extend(linked);
    found.files.par_sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let empty_dirs = empty_dirs(&found);
    let Root { name, path, kind, .. } = root.clone();
    let unseen = found.unseen.iter().map(|unseen| unseen.name.clone());
    let unread = found.unread.into_iter().chain(unseen).sorted_unstable().collect();
    let root = ScannedRoot { name, path, real, kind, files: found.files, empty_dirs, unread, links };
    Scan { root, unseen: found.unseen, skipped: found.skipped, ignored: found.ignored, gone }
}

/// The files that links stand for, and how many links stand for nothing that is shared.
fn resolve_links(found: &mut Walked) -> (Vec<ScannedFile>, u64) {
    if found.links.is_empty() {
        return (Vec::new(), 0);
    }
    let files: HashMap<&Path, &ScannedFile> = found.files.iter().map(|f| (f.path.as_path(), f)).collect();
    let (mut linked, mut left, mut unseen) = (Vec::new(), 0, Vec::new());
    for (name, path) in &found.links {
        match fs::canonicalize(path) {
            Ok(target) => match files.get(target.as_path()) {
                Some(file) => linked.push(ScannedFile { name: name.clone(), ..(*file).clone() }),
                // A link into what could not be looked at is as unknown as that.
                None => match found.unseen.iter().find(|unseen| target.starts_with(&unseen.path)) {
                    Some(at) => unseen.push(Unseen { name: name.clone(), path: path.clone().into(), ..at.clone() }),
                    None => left += leave_link(path),
                },
            },
            // Links to what is another user's lead outside, as far as anybody here can tell.
            Err(error) if is_absence(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
                left += leave_link(path)
            }
            Err(error) => unseen.push(Unseen::new(name, path, &error)),
        }
    }
    found.unseen.append(&mut unseen);
    (linked, left)
}

/// One link that stands for nothing: they are counted, and named to who wants to know.
fn leave_link(path: &Path) -> u64 {
    tracing::info!(path = %path.display(), "a link is left out");
    1
}

fn empty_dirs(found: &Walked) -> Vec<SafePath> {
    // What could not be looked at may hold something.
    let unseen = found.unseen.iter().map(|unseen| &unseen.name);
    let names = found.files.iter().map(|f| &f.name).chain(unseen).chain(&found.dirs);
    let mut full: HashSet<&str> = HashSet::new();
    let mut last = "";
    // Files come in order, so most have the parent of the one before.
    for (parent, _) in names.filter_map(|name| name.as_str().rsplit_once('/')) {
        if parent != last {
            full.insert(parent);
            last = parent;
        }
    }
    found.dirs.iter().filter(|d| !full.contains(d.as_str())).cloned().sorted_unstable().collect()
}

#[cfg(unix)]
fn unusual(meta: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_fifo() => Some("a pipe"),
        () if kind.is_socket() => Some("a socket"),
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_symlink() => Some("a link"),
        () => Some("a device"),
    }
}

#[cfg(not(unix))]
fn unusual(meta: &Metadata) -> Option<&'static str> {
    (!meta.is_file()).then_some("something special")
}

/// Asks the system only where the mode does not already say that everybody may read.
#[cfg(unix)]
fn readable(path: &Path, meta: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if meta.mode() & 0o444 == 0o444 {
        return Ok(());
    }
    Ok(rustix::fs::access(path, rustix::fs::Access::READ_OK)?)
}

#[cfg(not(unix))]
fn readable(_: &Path, _: &Metadata) -> io::Result<()> {
    Ok(())
}
