//! Whether what was opened is a file of ours alone: a regular one, of our user, with one name.
//! Invariant: what another user owns, or what is known elsewhere under another name, is never written.

use std::fs::File;
use std::io;

use super::{Access, DestError, SafeDir};
use crate::model::SafePath;

impl SafeDir {
    /// Looks at an open file; one that is to be written is looked at closer.
    pub(super) fn check(&self, path: &SafePath, file: &File, writes: bool) -> Result<(), DestError> {
        let meta = file.metadata().map_err(|e| self.explain("look at", path, e))?;
        if !meta.is_file() {
            return Err(DestError::NotAFile { path: self.shown(path) });
        }
        if !writes {
            return Ok(());
        }
        let (links, owner) = links_and_owner(&meta);
        // None at all: another process has just removed it.
        if links > 1 {
            return Err(DestError::Linked { path: self.shown(path) });
        }
        if self.is_ours(owner) { Ok(()) } else { Err(DestError::OfAnother { path: self.shown(path) }) }
    }

    /// Whether files of this owner are those that we make here. A file system may give them another owner than us.
    pub(in crate::io) fn is_ours(&self, owner: Option<u32>) -> bool {
        owner.is_none() || owner == user() || self.owner_of_new() == owner
    }

    fn owner_of_new(&self) -> Option<u32> {
        let probe = SafePath::parse(&format!(".qshare-probe-{:08x}", rand::random::<u32>())).ok()?;
        let file = self.handle.open(probe.as_str(), Access::CreateNew).ok()?;
        // What cannot be removed is cleared away like other probes.
        let _ = self.remove_file(&probe);
        links_and_owner(&file.metadata().ok()?).1
    }
}

#[cfg(unix)]
fn links_and_owner(meta: &std::fs::Metadata) -> (u64, Option<u32>) {
    use std::os::unix::fs::MetadataExt as _;
    (meta.nlink(), Some(meta.uid()))
}

#[cfg(not(unix))]
const fn links_and_owner(_: &std::fs::Metadata) -> (u64, Option<u32>) {
    (1, None)
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "one signature on all platforms")]
fn user() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
const fn user() -> Option<u32> {
    None
}

/// Sets or clears the executable bit of an open file, for all who may read it.
///
/// # Errors
/// When it cannot be changed.
#[cfg(unix)]
pub fn set_executable(file: &File, executable: bool) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    let wanted = if executable { mode | (mode & 0o444) >> 2 | 0o100 } else { mode & !0o111 };
    if wanted == mode { Ok(()) } else { file.set_permissions(std::fs::Permissions::from_mode(wanted)) }
}

/// There is no executable bit here: nothing happens.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn set_executable(_: &File, _: bool) -> io::Result<()> {
    Ok(())
}
