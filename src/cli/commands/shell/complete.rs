//! What the shell completes: what `completions` gives to other shells, the numbers of what was shown, and its own commands.

use std::ffi::OsString;
use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::{Context, Helper};

use super::line::is_apart;
use super::tilde;
use crate::cli::commands::completions;
use crate::cli::context::within::Numbers;
use crate::model::{ContentId, Shown};

/// Commands that are the shell's own.
pub(super) const OWN: [(&str, &str); 2] = [("help", "Show this, or what a command takes"), ("quit", "End the shell")];

/// What completes a line.
pub(super) struct Completing {
    pub(super) home: PathBuf,
    pub(super) numbers: Numbers,
}

impl Helper for Completing {}
impl rustyline::highlight::Highlighter for Completing {}
impl rustyline::hint::Hinter for Completing {
    type Hint = String;
}
impl rustyline::validate::Validator for Completing {}

impl Completer for Completing {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, mut words) = split(&line[..pos]);
        if words.first().is_some_and(|word| word == "qshare") && words.len() > 1 {
            words.remove(0);
        }
        Ok((start, self.candidates(words)))
    }
}

impl Completing {
    fn candidates(&self, mut words: Vec<String>) -> Vec<Pair> {
        let last = words.last().cloned().unwrap_or_default();
        let is_command = words.len() == 1;
        let mut all = if is_command { own(&last) } else { self.numbered(&words, &last) };
        // `get 2 from an`
        if words.len() > 3 && words[0] == "get" && words[words.len() - 2] == "from" {
            let at = words.len() - 2;
            words[at] = "--from".to_owned();
        }
        words.insert(0, "qshare".to_owned());
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        for candidate in completions::candidates(&self.home, words) {
            let value = candidate.get_value().to_string_lossy();
            let unwanted = (is_command && (is_apart(&value) || value == "help"))
                || (last.is_empty() && (value.len() == ContentId::TEXT_LEN || value.starts_with('-')));
            if !unwanted {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                all.push(pair(&value, &help));
            }
        }
        all
    }

    /// Numbers that begin so, with what they stand for.
    fn numbered(&self, words: &[String], last: &str) -> Vec<Pair> {
        if words.len() != 2 || !matches!(words[0].as_str(), "get" | "locate" | "ls") {
            return Vec::new();
        }
        let shown = self.numbers.last();
        let names = (1..).zip(shown.iter()).filter_map(|(number, one)| Some((format!("{number}"), one.name.as_ref()?)));
        let wanted = names.filter(|(number, _)| number.starts_with(last));
        wanted.map(|(number, name)| pair(&number, name.as_str())).collect()
    }
}

fn own(last: &str) -> Vec<Pair> {
    OWN.iter().filter(|(name, _)| name.starts_with(last)).map(|(name, help)| pair(name, help)).collect()
}

/// As it is shown, and as it is typed.
fn pair(value: &str, help: &str) -> Pair {
    let more = if value.ends_with(['/', '=']) { "" } else { " " };
    let typed = tilde::quoted(value).map_or_else(|| value.to_owned(), |quoted| quoted + more);
    let help = help.lines().next().unwrap_or_default();
    let display = format!("{}  {}", Shown(value), Shown(help));
    Pair { display: display.trim_end().to_owned(), replacement: typed }
}

/// The words before the cursor, of which the last may be empty or lack the end of its quote, and where that begins.
fn split(line: &str) -> (usize, Vec<String>) {
    let (mut words, mut word, mut start, mut quote) = (Vec::new(), None::<String>, line.len(), None);
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (Some(open), c) if c == open => quote = None,
            (quoted, c) => {
                if word.is_none() {
                    start = at;
                }
                let word = word.get_or_insert_default();
                match (quoted, c) {
                    (None, '\'' | '"') => quote = Some(c),
                    (None | Some('"'), '\\') => word.extend(chars.next().map(|(_, c)| c)),
                    _ => word.push(c),
                }
            }
        }
    }
    if word.is_none() {
        start = line.len();
    }
    words.push(word.unwrap_or_default());
    (start, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::within::Numbered;
    use crate::io::home::friends::FriendFile;
    use crate::model::{Friend, NodeId, SafePath};

    #[test]
    fn the_last_word_is_found_within_quotes_too() {
        assert_eq!(split("get 'a b' c"), (10, vec!["get".to_owned(), "a b".to_owned(), "c".to_owned()]));
        assert_eq!(split("get \"x y"), (4, vec!["get".to_owned(), "x y".to_owned()]));
        assert_eq!(split("get a\\ b"), (4, vec!["get".to_owned(), "a b".to_owned()]));
        assert_eq!(split("get "), (4, vec!["get".to_owned(), String::new()]));
        assert_eq!(split(""), (0, vec![String::new()]));
    }

    #[test]
    fn commands_friends_and_numbers_complete() {
        let home = tempfile::tempdir().expect("a directory");
        let friend = Friend { name: "anna".parse().expect("a name"), node: NodeId::of_public_key(b"a"), at: None };
        FriendFile::at(home.path()).add(&friend).expect("written");
        let numbers = Numbers::default();
        let name = SafePath::parse("a b.pdf").expect("a name");
        numbers.show([Numbered { id: None, name: Some(name) }].into());
        let completing = Completing { home: home.path().to_owned(), numbers };
        let of = |line: &str| -> Vec<String> {
            completing.candidates(split(line).1).into_iter().map(|one| one.replacement).collect()
        };
        assert_eq!(of("sea"), ["search "]);
        assert_eq!(of("qui"), ["quit "]);
        assert!(!of("").contains(&"tracker ".to_owned()), "{:?}", of(""));
        assert!(of("get ").contains(&"1 ".to_owned()));
        assert!(of("").contains(&"search ".to_owned()));
        for empty in ["", "get ", "get x ", "limit ", "locate ", "ls ", "peers ", "share "] {
            assert!(!of(empty).iter().any(|one| one.starts_with('-')), "{empty:?}: {:?}", of(empty));
        }
        assert_eq!(of("get 1 from an"), ["anna "]);
        assert!(of("ls an").contains(&"anna ".to_owned()));
        assert!(of("get x --on").contains(&"--only ".to_owned()), "{:?}", of("get x --on"));
        assert_eq!(pair("a b\u{1b}", "").display, "a b\\u{1b}");
    }
}
