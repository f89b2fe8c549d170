//! What the system tells of what is watched, and what follows from it for which root.

use std::io;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind};

use super::super::Unwatched;
use super::super::place::{WatchedDir, is_absence};
use super::{Roots, Watched};

impl Roots {
    /// Takes what the system told; whether that was of any interest.
    pub(in crate::io::share::watch) fn note(&mut self, event: notify::Result<Event>) -> bool {
        match event {
            Ok(event) if event.need_rescan() => self.lose(|_| true),
            Ok(event) if is_read(&event.kind) => return false,
            Ok(event) => {
                let paths: Vec<&PathBuf> = event.paths.iter().filter(|p| !is_partial(p)).collect();
                let beneath = |place: &WatchedDir| paths.iter().any(|path| path.starts_with(&place.target));
                self.mark(|root| root.place.as_ref().is_some_and(beneath));
                if is_of_the_directory(&event.kind) {
                    self.lose(|root| root.place.as_ref().is_some_and(|place| paths.contains(&&place.dir)));
                }
            }
            Err(error) => self.failed(&error),
        }
        true
    }

    /// Takes that something could not be watched: a directory that came into a tree, or all.
    fn failed(&mut self, error: &notify::Error) {
        let of = |root: &Watched| {
            let dir = root.place.as_ref().map(|place| &place.dir);
            error.paths.is_empty() || dir.is_some_and(|dir| error.paths.iter().any(|path| path.starts_with(dir)))
        };
        match &error.kind {
            ErrorKind::MaxFilesWatch => self.full(error),
            // There is nothing to be watched, or it is seen by nobody; the look says so.
            ErrorKind::PathNotFound => self.mark(of),
            ErrorKind::Io(e) if is_absence(e) || e.kind() == io::ErrorKind::PermissionDenied => self.mark(of),
            _ => {
                self.watched.values_mut().filter(|root| of(root)).for_each(|root| root.failures += 1);
                self.lose(of);
            }
        }
    }

    fn full(&mut self, error: &notify::Error) {
        if self.watched.values().any(|root| root.armed && !root.warned) {
            self.warnings.push(Unwatched::new(None, error));
        }
        for root in self.watched.values_mut().filter(|root| root.armed) {
            (root.armed, root.warned) = (false, true);
            root.failures = u32::BITS;
        }
        self.lose(|_| true);
    }
}

/// Opening and reading; our own hashing causes most of it.
const fn is_read(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

/// Whether the directory of that path may be another one now, or none.
const fn is_of_the_directory(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)))
}

/// A transfer into a shared directory writes all the time, and its parts are never shared.
fn is_partial(path: &Path) -> bool {
    path.iter().any(|name| name.as_encoded_bytes().starts_with(b".qshare-"))
}
