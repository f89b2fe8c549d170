//! What a line of a shell means: its words, split as a POSIX shell splits them, parsed as the program's own command line, with what
//! the numbers in it stand for. Not responsible for running it.

use std::ffi::OsString;
use std::path::Path;

use super::tilde;
use crate::cli::args::{Command, Globals, InboxArgs, InboxCommand, any_peer, command_of, parse};
use crate::cli::choose::{is_range, numbers};
use crate::cli::context::within::Numbered;
use crate::cli::failure::Failure;
use crate::io::home::seen::SeenContent;

/// A number of so many digits may be a year, and is a word where nothing was shown under it.
const WORD: usize = 4;

/// What is wanted.
pub(super) enum Line {
    /// Nothing.
    Empty,
    /// What there is to type.
    Help,
    /// The end.
    Quit,
    /// A command.
    Run(Box<Run>),
}

/// A command, as the program would be given it.
pub(super) struct Run {
    pub(super) globals: Globals,
    pub(super) command: Command,
    /// What its numbers stand for.
    pub(super) chosen: Vec<SeenContent>,
}

/// When a command runs, as the lines after it have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// To its end before them.
    Ahead,
    /// Beside them, once it has begun.
    Awaited,
    /// Beside them.
    Beside,
}

/// Why a line is not run.
pub(super) enum Refusal {
    /// The parser's own words: help, too.
    Parser(Box<clap::Error>),
    Said(Failure),
}

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Self {
        Self::Parser(Box::new(error))
    }
}

fn usage(text: String) -> Refusal {
    Refusal::Said(Failure::Usage(text))
}

/// Reads a line. `shown`: what was shown last.
pub(super) fn read(line: &[u8], shown: &[Numbered]) -> Result<Line, Refusal> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let split = shlex::bytes::split(&tilde::expand(line, &tilde::home()));
    let words = split.ok_or_else(|| usage("a quote or a backslash has no end on this line: close it".to_owned()))?;
    let mut words: Vec<OsString> = words.into_iter().map(text).collect();
    // As it stands in every page of help.
    if words.first().is_some_and(|word| word == "qshare") {
        words.remove(0);
    }
    match words.first().and_then(|word| word.to_str()) {
        None if words.is_empty() => return Ok(Line::Empty),
        Some("quit" | "exit") if words.len() == 1 => return Ok(Line::Quit),
        Some(name @ ("quit" | "exit")) => {
            return Err(usage(format!("`{name}` takes no words: the exit code is that of the last command")));
        }
        Some("help" | "?") if words.len() == 1 => return Ok(Line::Help),
        _ => {}
    }
    words.insert(0, "qshare".into());
    let (globals, command) = parse(words.iter().cloned())?;
    let name = command_of(&words).unwrap_or_default();
    refuse(&name, &command, &words)?;
    let mut run = Run { globals, command, chosen: Vec::new() };
    run.take_from()?;
    run.take_numbers(shown)?;
    Ok(Line::Run(Box::new(run)))
}

#[cfg(unix)]
fn text(word: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(word)
}

#[cfg(not(unix))]
fn text(word: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&word).into_owned().into()
}

/// Whether a command runs on its own alone.
pub(super) fn is_apart(name: &str) -> bool {
    matches!(name, "bench" | "completions" | "demo" | "node" | "shell" | "tracker")
}

/// Refuses what makes no sense here.
fn refuse(name: &str, command: &Command, words: &[OsString]) -> Result<(), Refusal> {
    if is_apart(name) {
        return Err(usage(format!(
            "`{name}` does not run within a shell: give it a terminal of its own, as `qshare {name}`"
        )));
    }
    if matches!(command, Command::Get(arguments) if arguments.seed) {
        return Err(usage(
            "`get --seed` does not run within a shell: fetch it without --seed, and `share PATH` then".to_owned(),
        ));
    }
    let is_dash = |path: &Path| path.as_os_str() == "-";
    let reads = match command {
        Command::Hash(arguments) => arguments.files.is_empty() || arguments.files.iter().any(|path| is_dash(path)),
        _ => name == "put" && words.iter().any(|word| word == "-"),
    };
    if reads {
        return Err(usage(format!("`{name}` would read what is typed to the shell: give it the path of a file")));
    }
    Ok(())
}

impl Run {
    /// When it runs. A `get` and a `put` are left to the node where that may be (`may_leave`); what is sent until it is told otherwise
    /// goes on beside where somebody types (`is_typed`). In a script each command ends before the next one, but for what lasts until it is stopped.
    pub(super) fn manner(&mut self, may_leave: bool, is_typed: bool) -> Manner {
        match &mut self.command {
            Command::Get(arguments) => {
                let is_stream = arguments.output.as_ref().is_some_and(|path| path.as_os_str() == "-");
                let is_bound = is_stream || arguments.dry_run || arguments.upload_limit.is_some();
                arguments.detach |= may_leave && !is_bound;
                Manner::Ahead
            }
            Command::Inbox(InboxArgs { command: Some(InboxCommand::Accept { detach, .. }) }) => {
                *detach |= may_leave;
                Manner::Ahead
            }
            Command::Share(arguments) if !arguments.paths.is_empty() || arguments.list.is_some() => Manner::Awaited,
            Command::Put(arguments) => {
                let is_sent = !arguments.to.is_empty() && (!arguments.paths.is_empty() || arguments.text.is_some());
                let is_bound = arguments.detach || arguments.wait.is_some();
                arguments.detach |= may_leave && is_sent && !is_bound;
                if is_typed && is_sent && !arguments.detach { Manner::Beside } else { Manner::Ahead }
            }
            _ => Manner::Ahead,
        }
    }

    /// `get WORDS from PEER` is `get WORDS --from PEER`.
    fn take_from(&mut self) -> Result<(), Refusal> {
        let Command::Get(arguments) = &mut self.command else { return Ok(()) };
        let count = arguments.words.len();
        if count >= 3 && arguments.words[count - 2] == "from" && arguments.from.is_none() {
            let peer = any_peer(&arguments.words[count - 1]);
            arguments.from = Some(peer.map_err(usage)?);
            arguments.words.truncate(count - 2);
        }
        Ok(())
    }

    /// Puts in what numbers stand for, where all words are such.
    fn take_numbers(&mut self, shown: &[Numbered]) -> Result<(), Refusal> {
        let words = match &mut self.command {
            Command::Get(arguments) => &mut arguments.words,
            Command::Locate(arguments) => &mut arguments.words,
            Command::Ls(arguments) => &mut arguments.words,
            _ => return Ok(()),
        };
        let parts = || words.iter().flat_map(|word| word.split(',')).filter(|part| !part.is_empty());
        if shown.is_empty() || parts().next().is_none() || !parts().all(is_range) {
            return Ok(());
        }
        let places = match numbers(&words.join(" "), shown.len()) {
            Ok(places) => places,
            Err(_) if words.len() == 1 && words[0].len() >= WORD => return Ok(()),
            Err(_) => {
                let text = format!(
                    "what was shown last has the numbers 1 to {}: give some of them, or a pattern such as '*{}*'",
                    shown.len(),
                    words[0]
                );
                return Err(usage(text));
            }
        };
        *words = Vec::new();
        for place in places {
            let Numbered { id, name } = &shown[place];
            match (id, name) {
                (Some(id), name) => {
                    words.push(id.to_string());
                    self.chosen.extend(name.iter().map(|name| SeenContent { id: *id, name: name.last() }));
                }
                (None, _) => {
                    return Err(usage(format!(
                        "{} has no id yet, or is an empty directory: search again in a moment",
                        place + 1
                    )));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContentId, SafePath};

    fn shown() -> Vec<Numbered> {
        let of = |name: &str| Numbered {
            id: (name != "new.txt").then(|| ContentId::of(name.as_bytes())),
            name: Some(SafePath::parse(name).expect("a name")),
        };
        ["a/one.txt", "b/two.txt", "new.txt"].map(of).to_vec()
    }

    fn got(line: &str) -> (Vec<String>, Option<String>) {
        match read(line.as_bytes(), &shown()) {
            Ok(Line::Run(run)) => match run.command {
                Command::Get(arguments) => (arguments.words, arguments.from.map(|peer| peer.to_string())),
                _ => panic!("{line}: another command"),
            },
            _ => panic!("{line}: refused"),
        }
    }

    fn refused(line: &str) -> String {
        match read(line.as_bytes(), &shown()) {
            Err(Refusal::Parser(error)) => error.to_string(),
            Err(Refusal::Said(failure)) => failure.to_string(),
            Ok(_) => panic!("{line}: accepted"),
        }
    }

    fn id(name: &str) -> String {
        ContentId::of(name.as_bytes()).to_string()
    }

    #[test]
    fn numbers_stand_for_what_was_shown_and_years_are_words() {
        assert_eq!(got("get 2").0, [id("b/two.txt")]);
        assert_eq!(got("get 1,2 -o in/").0, [id("a/one.txt"), id("b/two.txt")]);
        assert_eq!(got("qshare get 1-2 from anna"), (vec![id("a/one.txt"), id("b/two.txt")], Some("anna".to_owned())));
        assert_eq!(got("get 1936").0, ["1936"]);
        assert_eq!(got("get turing 2").0, ["turing", "2"]);
        assert!(refused("get 4").contains("numbers 1 to 3") && refused("get 3").contains("no id yet"));
        let Ok(Line::Run(run)) = read(b"get 2", &shown()) else { panic!("refused") };
        assert_eq!(run.chosen[0].name.as_str(), "two.txt", "it is fetched under the name that it was shown with");
    }

    #[test]
    fn what_takes_long_goes_on_beside_where_somebody_types() {
        let manner = |line: &str, is_typed| match read(line.as_bytes(), &shown()) {
            Ok(Line::Run(mut run)) => {
                let manner = run.manner(is_typed, is_typed);
                (manner, matches!(run.command, Command::Get(arguments) if arguments.detach))
            }
            _ => panic!("{line}: refused"),
        };
        assert_eq!([true, false].map(|typed| manner("get x", typed)), [(Manner::Ahead, true), (Manner::Ahead, false)]);
        for line in ["get x -n", "get x -o -", "get x --upload-limit 1M", "search x", "share"] {
            assert_eq!(manner(line, true), (Manner::Ahead, false), "{line}");
        }
        assert_eq!(manner("share x", false).0, Manner::Awaited);
        let put = |line: &str, is_typed, may_leave| match read(line.as_bytes(), &shown()) {
            Ok(Line::Run(mut run)) => {
                let manner = run.manner(may_leave, is_typed);
                (manner, matches!(run.command, Command::Put(arguments) if arguments.detach))
            }
            _ => panic!("{line}: refused"),
        };
        assert_eq!(put("put x --to anna", true, true), (Manner::Ahead, true));
        assert_eq!(put("put x --to anna", false, false), (Manner::Ahead, false));
        for (line, may_leave) in [("put x --to anna", false), ("put x --to anna --wait 2s", true)] {
            assert_eq!(put(line, true, may_leave), (Manner::Beside, false), "{line}");
        }
        for line in ["put", "put --cancel 1", "put x"] {
            assert_eq!(put(line, true, true), (Manner::Ahead, false), "{line}");
        }
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        assert_eq!(got("get 'a b' \"c d\" e\\ f # what I want").0, ["a b", "c d", "e f"]);
        assert_eq!(got("get \"letter from anna\"").1, None);
        assert!(refused("get 'x").contains("no end") && refused("get x\\").contains("no end"));
        assert!(matches!(read(b"  # nothing", &[]), Ok(Line::Empty)));
        assert_eq!(got("get x\r").0, ["x"]);
        assert!(refused("exit 5").contains("takes no words") && refused("quit x").contains("takes no words"));
        assert!(matches!(read(b"exit\r", &[]), Ok(Line::Quit)) && matches!(read(b"help", &[]), Ok(Line::Help)));
    }

    #[test]
    fn what_makes_no_sense_here_is_refused_and_what_is_unknown_told() {
        for name in ["tracker", "node", "shell", "demo", "completions bash", "bench lab1"] {
            assert!(refused(name).contains("does not run within a shell"), "{name}");
        }
        assert!(refused("get x --seed").contains("`share PATH`"));
        assert!(refused("hash").contains("give it the path") && refused("hash -").contains("give it the path"));
        assert!(refused("serach x").contains("search") && refused("download x").contains("'get'"));
    }
}
