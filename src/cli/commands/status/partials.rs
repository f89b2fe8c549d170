//! The unfinished transfers in the current directory and where this home began some: what each was to become, how far it
//! is, and the commands that go on with it or remove it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::failure::Result;
use crate::cli::render::human::percent;
use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::{Earlier, Names, PartialError, is_alive};
use crate::model::text::shell::{quoted, quoted_path};
use crate::model::{ContentId, Shown, Size};
use crate::node::{Error, JobId, KeptJob};

/// An unfinished transfer.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Partial {
    /// The partial file or directory.
    path: String,
    /// What it takes on the disk.
    bytes: u64,
    /// What its journal says, when that can be read.
    #[serde(flatten)]
    told: Option<Told>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Told {
    /// The content id of what comes.
    id: ContentId,
    /// What it was to become; unknown of those that an older version began.
    target: Option<String>,
    /// The patterns of the paths that were asked for; all when there are none.
    only: Vec<String>,
    /// Bytes that were proven.
    have: u64,
    /// Bytes altogether.
    size: u64,
    /// Whether a process is at it now.
    in_use: bool,
    /// The process that has it, or had it last.
    pid: Option<u32>,
    /// The number of the transfer that the node of this home goes on with.
    job: Option<JobId>,
}

/// Those in `here`, by its names, and then those in other directories, by their paths, with the jobs that they belong to. A directory
/// that cannot be read, such as one on a disk that is not there, is left out, but `here` is not.
pub(super) fn all(here: &Path, elsewhere: &[PathBuf], jobs: &[KeptJob]) -> Result<Vec<Partial>> {
    let mut found = in_dir(here, Path::new("")).map_err(Error::from)?;
    let known = here.canonicalize().ok();
    found.iter_mut().for_each(|partial| partial.belong(known.as_deref(), jobs));
    for dir in elsewhere.iter().filter(|dir| Some(*dir) != known.as_ref()) {
        let mut there = in_dir(dir, dir).unwrap_or_default();
        there.iter_mut().for_each(|partial| partial.belong(Some(dir), jobs));
        found.extend(there);
    }
    Ok(found)
}

/// Those in a directory; `shown` is what their names are told after.
fn in_dir(dir: &Path, shown: &Path) -> Result<Vec<Partial>, PartialError> {
    let held = SafeDir::open(dir)?;
    let mut parts = held.names(".qshare-")?;
    parts.retain(|name| Names::is_reserved(name) && name.ends_with(".part"));
    let mut found: Vec<_> = Earlier::all_in(&held)?.iter().map(|earlier| with_journal(&held, shown, earlier)).collect();
    let known: Vec<String> = found.iter().map(|partial| partial.path.clone()).collect();
    for part in parts {
        let path = text(&shown.join(&part));
        if !known.contains(&path) {
            found.push(Partial { path, bytes: on_disk(&dir.join(&part)), told: None });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn with_journal(held: &SafeDir, shown: &Path, earlier: &Earlier) -> Partial {
    let in_use = earlier.is_in_use(held);
    let told = Told {
        id: earlier.id(),
        target: earlier.target().map(|name| text(&shown.join(name.as_str()))),
        only: earlier.only.to_vec(),
        have: earlier.bytes(),
        size: earlier.size(),
        in_use,
        // Who holds it need not be who had it last.
        pid: earlier.pid.filter(|pid| !in_use || is_alive(*pid)),
        job: None,
    };
    let path = text(&shown.join(earlier.part().as_str()));
    Partial { path, bytes: on_disk(&held.shown(earlier.part())), told: Some(told) }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Partial {
    /// Finds the job that fetches it into this directory.
    fn belong(&mut self, dir: Option<&Path>, jobs: &[KeptJob]) {
        let Some((told, dir)) = self.told.as_mut().zip(dir) else { return };
        let is_there = |path: &Path| path.canonicalize().is_ok_and(|path| path == dir);
        let goes_there = |job: &&KeptJob| is_there(&job.output) || job.output.parent().is_some_and(is_there);
        let job = jobs.iter().filter(|job| job.content == told.id).find(goes_there);
        told.job = job.map(|job| job.id);
    }

    /// For people: what it is, how to go on, how to be rid of it.
    pub(super) fn lines(&self) -> Vec<String> {
        let (path, on_disk) = (Shown(&self.path), Size(self.bytes));
        let stem = self.path.strip_suffix(".part").unwrap_or(&self.path);
        let [journal, givers] = [".journal", ".givers"].map(|ending| quoted_path(&format!("{stem}{ending}")));
        // Some have no journal, and some no list of who gave.
        let remove = format!("  remove it: rm -rf {} {journal} {givers}", quoted_path(&self.path));
        let Some(told) = &self.told else {
            return vec![format!("{path}  {on_disk} on disk, without a journal that can be read"), remove];
        };
        let name = told.target.as_deref().map_or_else(|| told.id.to_string(), |name| Shown(name).to_string());
        let (have, size, percent) = (Size(told.have), Size(told.size), percent(told.have, told.size));
        let mut lines = vec![format!("{name}  {have} of {size} ({percent} %) in {path}, {on_disk} on disk")];
        if told.in_use {
            let who = told.pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            lines.push(format!("  in use by {who}"));
            return lines;
        }
        if let Some(job) = told.job {
            lines.push(format!(
                "  the node of this home goes on with it as job {job}: `qshare jobs` shows it, `qshare jobs cancel {job}` ends that"
            ));
            return lines;
        }
        let into = || {
            Path::new(&self.path)
                .parent()
                .map(|dir| format!("{}/", if dir == Path::new("") { Path::new(".") } else { dir }.display()))
        };
        // What was known by its id alone has another name when it comes.
        let named = |target: &String| !target.ends_with(&told.id.to_string());
        let output = told.target.clone().filter(named).or_else(into).unwrap_or_default();
        let only: String = told.only.iter().map(|glob| format!(" --only {}", quoted(glob))).collect();
        let command = format!("qshare get {} -o {}{only}", told.id, quoted_path(&output));
        lines.push(match told.target.as_deref().filter(|target| Path::new(target).is_dir()) {
            // The command would go on within it.
            Some(target) => format!("  go on: move the directory {} away, then: {command}", Shown(target)),
            None => format!("  go on: {command}"),
        });
        lines.push(remove);
        lines
    }
}

/// What a file takes, or a directory's files together; what cannot be read takes nothing.
fn on_disk(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() {
        return blocks(&meta);
    }
    let Ok(entries) = path.read_dir() else { return 0 };
    entries.filter_map(|entry| Some(on_disk(&entry.ok()?.path()))).sum()
}

#[cfg(unix)]
fn blocks(meta: &std::fs::Metadata) -> u64 {
    // stat counts blocks of 512 bytes, whatever the file system's own size is.
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn blocks(meta: &std::fs::Metadata) -> u64 {
    meta.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_without_a_journal_are_told_with_how_to_remove_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let id = "0123456789abcdef";
        for name in [format!(".qshare-{id}.part"), format!(".qshare-{id}.journal"), ".qshare-\u{1b}.part".to_owned()] {
            std::fs::write(dir.path().join(name), [1; 4096]).expect("written");
        }
        let other = dir.path().join("it's");
        std::fs::create_dir_all(other.join(".qshare-0000000000000000.part/d")).expect("made");
        std::fs::write(other.join(".qshare-0000000000000000.part/d/f"), [1; 4096]).expect("written");
        let gone = dir.path().join("gone");
        let here = dir.path().canonicalize().expect("there");
        let found = all(dir.path(), &[here, other.clone(), gone], &[]).expect("found");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((&found[0].path, found[0].bytes >= 4096), (&format!(".qshare-{id}.part"), true));
        let told = found[1].lines().join("\n");
        let part = other.join(".qshare-0000000000000000").display().to_string().replace('\'', "'\\''");
        assert!(told.contains(&format!("rm -rf '{part}.part' '{part}.journal' '{part}.givers'")), "{told}");
        assert!(all(&dir.path().join("gone"), &[], &[]).is_err());
    }
}
