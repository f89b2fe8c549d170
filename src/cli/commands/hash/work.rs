//! What `hash` has to read: the files that were named, those beneath directories, those that a list names with their ids.
//! Not responsible for reading them.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::cli::say;
use crate::model::obstacle::cause;
use crate::model::{ContentId, Obstacle, Shown};

/// Standard input, among files.
pub(super) const STDIN: &str = "-";

/// What is to be hashed, and what cannot be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) files: Vec<PathBuf>,
    /// The ids that they are to have, where a list says so; as many as there are files.
    pub(super) expected: Option<Vec<ContentId>>,
    /// Why some things are not among them, in sentences.
    pub(super) failed: Vec<String>,
}

impl Work {
    /// The files themselves, and all beneath those that are directories. Blocks.
    pub(super) fn of_paths(paths: Vec<PathBuf>) -> Self {
        let mut work = Self::default();
        for path in or_stdin(paths) {
            if path.is_dir() { work.walk(&path) } else { work.files.push(path) }
        }
        work
    }

    /// What these lists name. Blocks.
    pub(super) fn of_lists(lists: Vec<PathBuf>) -> Self {
        let (mut work, mut expected) = (Self::default(), Vec::new());
        for list in or_stdin(lists) {
            match read(&list) {
                Ok(text) => work.take(&list, &text, &mut expected),
                Err(error) => work.fail(&list, "read", &error),
            }
        }
        Self { expected: Some(expected), ..work }
    }

    /// In the order of names. Links to directories are not followed.
    fn walk(&mut self, dir: &Path) {
        let entries = std::fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.fail(dir, "read", &error),
        };
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.walk(&path),
                // A link that leads nowhere is named when it cannot be read.
                Ok(kind) if kind.is_file() || (kind.is_symlink() && !path.is_dir()) => self.files.push(path),
                Ok(_) => {}
                Err(error) => self.fail(&path, "looked at", &error),
            }
        }
    }

    /// A list without any id is no list: it is told as a whole.
    fn take(&mut self, list: &Path, text: &str, expected: &mut Vec<ContentId>) {
        if text.lines().all(|line| parse(line).is_none()) {
            let list = shown(list);
            self.failed
                .push(format!("{list} has no line of an id, two spaces and a path: give what `qshare hash` prints"));
            return;
        }
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match parse(line) {
                Some((id, path)) => {
                    expected.push(id);
                    self.files.push(path);
                }
                None => {
                    let (number, list) = (number + 1, shown(list));
                    self.failed.push(format!("line {number} of {list} is not an id, two spaces and a path: mend it"));
                }
            }
        }
    }

    fn fail(&mut self, path: &Path, done: &str, error: &io::Error) {
        let (path, advice) = (shown(path), say::advice(Obstacle::of(error)));
        self.failed.push(format!("{path} cannot be {done}: {}; {advice}", cause(error)));
    }
}

fn or_stdin(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    if paths.is_empty() { vec![STDIN.into()] } else { paths }
}

fn read(list: &Path) -> io::Result<String> {
    if list.as_os_str() != STDIN {
        return std::fs::read_to_string(list);
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// A path as it is shown.
pub(super) fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

/// As b3sum prints it: a backslash first when the path has a backslash or a line end, which are then escaped.
pub(super) fn line(id: ContentId, path: &str) -> String {
    let escaped = path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let mark = if escaped == path { "" } else { "\\" };
    format!("{mark}{id}  {escaped}\n")
}

/// Reads what [`line()`] writes.
fn parse(line: &str) -> Option<(ContentId, PathBuf)> {
    let (rest, escaped) = line.strip_prefix('\\').map_or((line, false), |rest| (rest, true));
    let (id, path) = rest.split_once("  ")?;
    let path = if escaped { unescaped(path)? } else { path.to_owned() };
    Some((id.parse().ok()?, path)).filter(|(_, path)| !path.is_empty()).map(|(id, path)| (id, path.into()))
}

fn unescaped(text: &str) -> Option<String> {
    let (mut path, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        path.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_b3sum_there_and_back() {
        let id = ContentId::of(b"");
        assert_eq!(line(id, "a b"), format!("{id}  a b\n"));
        assert_eq!(line(id, "a\\b\nc"), format!("\\{id}  a\\\\b\\nc\n"));
        for path in ["a", "a  b", "-", "a\\b\nc\rd", "\\"] {
            assert_eq!(parse(line(id, path).trim_end_matches('\n')), Some((id, path.into())), "{path:?}");
        }
        for wrong in ["", "x  a", &format!("{id} a"), &format!("{id}  "), &format!("\\{id}  a\\x")] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn directories_are_walked_in_order_and_lists_name_what_is_wrong_with_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("d/b")).expect("made");
        for name in ["d/c", "d/b/x", "d/a"] {
            std::fs::write(at(name), name).expect("written");
        }
        let work = Work::of_paths(vec![at("d"), at("absent")]);
        assert_eq!(work.files, [at("d/a"), at("d/b/x"), at("d/c"), at("absent")]);
        let id = ContentId::of(b"d/a");
        std::fs::write(at("list"), format!("{}\nnonsense\n", line(id, "d/a"))).expect("written");
        let work = Work::of_lists(vec![at("list"), at("absent")]);
        assert_eq!((work.files, work.expected), (vec![PathBuf::from("d/a")], Some(vec![id])));
        assert_eq!(work.failed.len(), 2, "{:?}", work.failed);
        for nothing in ["", "\n", "nonsense\nand more\n"] {
            std::fs::write(at("none"), nothing).expect("written");
            let none = Work::of_lists(vec![at("none")]);
            assert!(
                matches!(&none.failed[..], [one] if one.contains("none has no line of an id")),
                "{:?}",
                none.failed
            );
        }
        assert!(work.failed[0].starts_with("line 3 of "), "{:?}", work.failed);
        assert_eq!(Work::of_paths(Vec::new()).files, [PathBuf::from(STDIN)]);
    }
}
