//! Bounds that grow with entries: what `get` and `share` hold, with nobody beside them.

use std::path::Path;

use qshare::model::ContentId;

use crate::common::claims::offered;
use crate::common::{Lab, Process};
use crate::ground::megabytes;

/// As many as a collection may have.
const ENTRIES: usize = 200_000;
/// Files of a share.
const FILES: usize = 250_000;

/// A line of a collection's list, by its number.
type Line = Box<dyn Fn(usize) -> String>;

/// One line of text for each that is wanted.
pub(crate) fn rows(program: &Path, wants: impl Fn(&str) -> bool) {
    if wants("entries") {
        entries(program);
    }
    if wants("files") {
        files(program);
    }
}

/// The most that `get` holds for a list of as many entries as are allowed.
fn entries(program: &Path) {
    let empty = ContentId::of(b"");
    let deep = vec!["d".repeat(15); 5].join("/");
    let kinds: [(&str, Line); 3] = [
        ("files of nothing", Box::new(move |n| format!("f 0 {empty} {n:08}{}\n", "n".repeat(80)))),
        ("empty directories", Box::new(move |n| format!("d {n:08}{}\n", "n".repeat(160)))),
        ("directories of one directory each", Box::new(move |n| format!("d {:03}/{n:08}/{deep}\n", n / 300))),
    ];
    for (what, line) in kinds {
        let lab = Lab::of(program.to_owned());
        let tracker = lab.tracker();
        let count = if what.starts_with("directories") { ENTRIES / 7 } else { ENTRIES };
        let _offered = offered(&tracker, (0..count).map(line).collect());
        let (dry, peak) = lab.getting(&tracker, &["big", "-n"]).held();
        let most = (150_000_000 + 300 * ENTRIES as u64) / 1_000_000;
        let line = format!("`get -n` of {ENTRIES} {what}: {} MB of {most}, exit {:?}\n", megabytes(peak), dry.code);
        crate::say(&line);
    }
}

/// The most that `share` and its tracker hold for many files.
fn files(program: &Path) {
    let lab = Lab::of(program.to_owned());
    for n in 0..FILES {
        lab.file(&format!("many/{}/{}/a-file-with-a-name-{n}.dat", n % 100, n / 100 % 50), &n.to_be_bytes());
    }
    let tracker = lab.tracker();
    let share = lab.share(&tracker, &[&lab.path("many")], &[]);
    let peaks = [&tracker, &share].map(|node| megabytes(node.process.peak()));
    let found = Process::start(lab.qshare().args(["search", "249999.dat", "--tracker", &tracker.addr])).end();
    let line = format!(
        "`share` of {FILES} files: tracker {} MB, share {} MB of 256, a search there exits {:?}\n",
        peaks[0], peaks[1], found.code
    );
    crate::say(&line);
}
