//! `qshare completions`: what a shell runs to complete a line, and the answers to it, which this program gives itself: commands and
//! options from its own parser, friends, peers and contents from the home. Not responsible for paths: the parser knows which they are.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cli::args::{CompletionsArgs, Shell, parser};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::io::home::friends::FriendFile;
use crate::io::home::kept::KeptFile;
use crate::io::home::lines::ListFile as _;
use crate::io::home::met::Met;
use crate::io::home::seen::Seen;
use crate::io::home::trust::TrustStore;
use crate::logic::limits::inbox::Inbox;
use crate::model::Shown;
use crate::node::{Entry, Home, Standing};

/// Set by the shell when it asks, to its name.
const VARIABLE: &str = "QSHARE_COMPLETE";
/// Nodes and contents that are offered, the newest: a list of thousands helps nobody.
const NEWEST: usize = 100;

const fn completer(shell: Shell) -> &'static dyn EnvCompleter {
    match shell {
        Shell::Bash => &Bash,
        Shell::Fish => &Fish,
        Shell::Zsh => &Zsh,
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    let written = completer(arguments.shell).write_registration(VARIABLE, "qshare", "qshare", "qshare", &mut script);
    written.map_err(anyhow::Error::from)?;
    context.output.print(&String::from_utf8_lossy(&script))
}

/// Answers a shell that asks; none where none does.
pub(crate) fn answer(line: &[OsString]) -> Option<Exit> {
    let shell = std::env::var(VARIABLE).ok()?;
    let shells = [Shell::Bash, Shell::Fish, Shell::Zsh].map(completer);
    let shell = shells.into_iter().find(|known| known.is(&shell))?;
    let words: Vec<OsString> = line.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    let mut command = knowing(&home(&words));
    command.build();
    let mut answer = Vec::new();
    let here = std::env::current_dir().ok();
    let written = shell.write_complete(&mut command, words, here.as_deref(), &mut answer);
    let told = written.and_then(|()| std::io::stdout().write_all(&answer));
    Some(if told.is_ok() { Exit::DONE } else { Exit::FAILED })
}

/// What a line may go on with whose last word is at its end; the program's name is the first.
pub(crate) fn candidates(home: &Path, words: Vec<OsString>) -> Vec<CompletionCandidate> {
    let (mut command, last) = (knowing(home), words.len().saturating_sub(1));
    let here = std::env::current_dir().ok();
    clap_complete::engine::complete(&mut command, words, last, here.as_deref()).unwrap_or_default()
}

/// The home that the line names, or the usual one.
fn home(words: &[OsString]) -> PathBuf {
    let named = words.windows(2).rev().find(|two| two[0] == "--home").map(|two| PathBuf::from(&two[1]));
    let set = || std::env::var_os("QSHARE_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    named.or_else(set).or_else(Home::default_root).unwrap_or_default()
}

/// The parser, with what this home knows in place of some arguments.
fn knowing(home: &Path) -> clap::Command {
    let of = |list: fn(&Path) -> Vec<CompletionCandidate>| {
        let home = home.to_owned();
        ArgValueCandidates::new(move || list(&home))
    };
    let (friends, peers, contents, places) = (of(friends), of(peers), of(contents), of(places));
    let both = {
        let home = home.to_owned();
        ArgValueCandidates::new(move || peers_and_contents(&home))
    };
    with_places(parser(), &places)
        .mut_subcommand("get", |get| {
            get.mut_arg("words", |words| words.add(contents.clone())).mut_arg("from", |from| from.add(peers.clone()))
        })
        .mut_subcommand("put", |put| {
            put.mut_arg("to", |to| to.add(peers))
                .mut_arg("cancel", |number| number.add(of(|home| sent(home, false))))
                .mut_arg("clear", |number| number.add(of(|home| sent(home, true))))
        })
        .mut_subcommand("unshare", |unshare| unshare.mut_arg("what", |what| what.add(of(shared))))
        .mut_subcommand("inbox", |inbox| with_offers(inbox, home))
        .mut_subcommand("locate", |locate| locate.mut_arg("words", |words| words.add(contents)))
        .mut_subcommand("ls", |ls| ls.mut_arg("words", |words| words.add(both)))
        .mut_subcommand("friends", |all| {
            all.mut_subcommand("remove", |one| one.mut_arg("name", |name| name.add(friends)))
        })
        .mut_subcommand("trust", |all| all.mut_subcommand("forget", |one| one.mut_arg("target", |to| to.add(places))))
}

/// `inbox`, with the numbers that each of its words takes.
fn with_offers(inbox: clap::Command, home: &Path) -> clap::Command {
    let of = |is: fn(Standing) -> bool| {
        let home = home.to_owned();
        ArgValueCandidates::new(move || offers(&home, is))
    };
    let is_over = |state| !matches!(state, Standing::Accepted | Standing::Waiting);
    let one = |inbox: clap::Command, name: &str, argument: &'static str, numbers: ArgValueCandidates| {
        inbox.mut_subcommand(name, |one| one.mut_arg(argument, |number| number.add(numbers)))
    };
    let inbox = one(inbox, "accept", "which", of(|state| state == Standing::Waiting));
    let inbox = one(inbox, "decline", "which", of(|state| matches!(state, Standing::Accepted | Standing::Waiting)));
    let inbox = one(inbox, "clear", "which", of(is_over));
    one(inbox, "read", "number", of(|_| true))
}

fn with_places(command: clap::Command, places: &ArgValueCandidates) -> clap::Command {
    let command =
        command.mut_arg("tracker", |arg| arg.add(places.clone())).mut_arg("peer", |arg| arg.add(places.clone()));
    command.mut_subcommands(|below| with_places(below, places))
}

fn candidate(value: impl Into<OsString>, help: impl ToString) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(help.to_string().into()))
}

fn friends(home: &Path) -> Vec<CompletionCandidate> {
    let friends = FriendFile::at(home).read_what_is_right().unwrap_or_default();
    friends.iter().map(|friend| candidate(friend.name.as_str(), friend.node.short())).collect()
}

fn peers(home: &Path) -> Vec<CompletionCandidate> {
    let known = FriendFile::at(home).read_what_is_right().unwrap_or_default();
    let met = Met::at(home).nodes().into_iter().rev().filter(|met| !known.contains(met.node)).take(NEWEST);
    let strangers =
        met.map(|met| candidate(met.node.to_string(), met.addr.map_or_else(String::new, |a| a.to_string())));
    friends(home).into_iter().chain(strangers).collect()
}

/// Contents that were shown here: by their ids, and by names that a shell takes as they are.
fn contents(home: &Path) -> Vec<CompletionCandidate> {
    let plain =
        |name: &str| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@' | '%'));
    let mut all = Vec::new();
    for content in Seen::at(home).contents().into_iter().rev().take(NEWEST) {
        all.push(candidate(content.id.to_string(), &content.name));
        if plain(content.name.as_str()) {
            all.push(candidate(content.name.as_str(), &content.id.to_string()[..8]));
        }
    }
    all
}

/// What is in the inbox, as far as it was written down.
fn offers(home: &Path, is: fn(Standing) -> bool) -> Vec<CompletionCandidate> {
    let kept = KeptFile::inbox(&home.join("node")).read().unwrap_or_default();
    let inbox: Inbox = rmp_serde::from_slice(&kept).unwrap_or_default();
    let what =
        |entry: &Entry| entry.put.items.first().map_or_else(|| entry.put.text.clone(), |item| item.name.to_string());
    let meant = inbox.entries().filter(|(_, entry)| is(entry.state)).take(NEWEST);
    meant.map(|(number, entry)| candidate(number.to_string(), Shown(&what(entry)))).collect()
}

/// Of what a node keeps for its next start, what is offered here.
#[derive(Deserialize)]
struct OfNode {
    paths: Vec<PathBuf>,
    options: Named,
    #[serde(default)]
    text: String,
    #[serde(default)]
    number: Option<u32>,
    /// What is over is there, too.
    #[serde(default)]
    ended: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Named {
    named: Vec<(String, PathBuf)>,
}

impl OfNode {
    fn all(file: &KeptFile) -> Vec<Self> {
        rmp_serde::from_slice(&file.read().unwrap_or_default()).unwrap_or_default()
    }

    /// What it is called.
    fn name(&self) -> Option<String> {
        let own = || self.paths.first()?.file_name().map(|name| name.to_string_lossy().into_owned());
        self.options.named.first().map(|(name, _)| name.clone()).or_else(own)
    }
}

/// What was left to the node to send, and is over or not.
fn sent(home: &Path, is_over: bool) -> Vec<CompletionCandidate> {
    let all = OfNode::all(&KeptFile::puts(&home.join("node")));
    let of = |one: &OfNode| {
        let what = one.name().unwrap_or_else(|| one.text.clone());
        Some(candidate(one.number?.to_string(), Shown(&what)))
    };
    all.iter().filter(|one| one.ended.is_empty() != is_over).filter_map(of).collect()
}

/// What is kept shared, by its name.
fn shared(home: &Path) -> Vec<CompletionCandidate> {
    let all = OfNode::all(&KeptFile::at(&home.join("node")));
    let path = |one: &OfNode| {
        let path = one.paths.first().or_else(|| one.options.named.first().map(|(_, path)| path));
        path.map(|path| path.display().to_string()).unwrap_or_default()
    };
    all.iter().filter_map(|one| Some(candidate(one.name()?, Shown(&path(one))))).collect()
}

fn peers_and_contents(home: &Path) -> Vec<CompletionCandidate> {
    peers(home).into_iter().chain(contents(home)).collect()
}

/// Where somebody was met under a remembered key.
fn places(home: &Path) -> Vec<CompletionCandidate> {
    let known = TrustStore::at(home).list().unwrap_or_default();
    known.into_iter().map(|(addr, node)| candidate(addr, node.short())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::home::seen::SeenContent;
    use std::time::Duration;

    use crate::logic::limits::shares::Who;
    use crate::model::{ContentId, Friend, NodeId, PutId, SafePath};
    use crate::node::{ShareWish, SurveyOptions};
    use crate::wire::Put;

    fn completed(home: &Path, line: &[&str]) -> Vec<String> {
        let all = candidates(home, line.iter().map(OsString::from).collect());
        all.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_the_home_knows_completes() {
        let home = tempfile::tempdir().expect("a directory");
        let node = NodeId::of_public_key(b"a");
        let friend = Friend { name: "anna".parse().expect("a name"), node, at: None };
        FriendFile::at(home.path()).add(&friend).expect("written");
        let (id, name) = (ContentId::of(b"x"), SafePath::parse("turing-1936.pdf").expect("a name"));
        Seen::at(home.path()).remember(vec![SeenContent { id, name }]).expect("written");
        let of = |line: &[&str]| completed(home.path(), line);
        assert_eq!(of(&["qshare", "get", "x", "--from", "an"]), ["anna"]);
        assert!(of(&["qshare", "friends", "remove", ""]).contains(&"anna".to_owned()));
        assert_eq!(of(&["qshare", "get", &id.to_string()[..4]]), [id.to_string()]);
        assert_eq!(of(&["qshare", "locate", "tur"]), ["turing-1936.pdf"]);
        assert!(of(&["qshare", "ls", "an"]).contains(&"anna".to_owned()));
        assert_eq!(of(&["qshare", "loc"]), ["locate"]);
        assert!(of(&["qshare", "get", "--exp"]).contains(&"--explain".to_owned()));
    }

    #[test]
    fn numbers_of_the_inbox_complete() {
        let home = tempfile::tempdir().expect("a directory");
        let mut inbox = Inbox::default();
        for (number, state) in (1..).zip([Standing::Waiting, Standing::Accepted, Standing::Done]) {
            let (put, text) = (PutId::from_bytes([number; 16]), format!("a\u{1b}{number}"));
            let put = Put { put, items: Vec::new(), text, receivers: Vec::new() };
            let peer = NodeId::of_public_key(b"a");
            let who = Who { peer, network: [10, 0, 0, 1].into(), friend: false };
            inbox.offer(who, put, Duration::from_secs(1)).expect("taken");
            inbox.entry_mut(number.into()).expect("there").state = state;
        }
        let dir = home.path().join("node");
        std::fs::create_dir_all(&dir).expect("made");
        let bytes = rmp_serde::to_vec_named(&inbox).expect("plain");
        KeptFile::inbox(&dir).write(&bytes).expect("written");
        let of = |word: &str| completed(home.path(), &["qshare", "inbox", word, ""]);
        let numbers = |all: Vec<String>| all.into_iter().filter(|one| !one.starts_with('-')).collect::<Vec<_>>();
        assert_eq!(numbers(of("accept")), ["1"]);
        assert_eq!(numbers(of("decline")), ["1", "2"]);
        assert_eq!(numbers(of("clear")), ["3"]);
        assert_eq!(numbers(of("read")), ["1", "2", "3"]);
    }

    #[test]
    fn what_is_sent_and_what_is_shared_completes() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = home.path().join("node");
        std::fs::create_dir_all(&dir).expect("made");
        let of = |line: &[&str]| {
            let all = completed(home.path(), line).into_iter();
            all.filter(|one| !one.starts_with('-')).collect::<Vec<_>>()
        };
        let node = |line: &[&str]| of(&[&["qshare"], line].concat());
        assert_eq!(node(&["put", "--cancel", ""]), [""; 0]);
        let options = SurveyOptions {
            named: vec![(SafePath::parse("pics").expect("a name"), "/d/p".into())],
            ..SurveyOptions::default()
        };
        let wish = |options: SurveyOptions, ended: &[&str]| {
            serde_json::json!({
                "paths": ["/d/thesis.pdf"], "options": options, "text": "", "seen": [], "number": 4 + ended.len(), "keep": true,
                "ended": ended,
            })
        };
        let puts = [&[] as &[&str], &["done"]].map(|ended| wish(SurveyOptions::default(), ended));
        KeptFile::puts(&dir).write(&rmp_serde::to_vec_named(&puts).expect("plain")).expect("written");
        let kept = [SurveyOptions::default(), options].map(|options| {
            let kept: ShareWish = serde_json::from_value(wish(options, &[])).expect("one");
            kept
        });
        KeptFile::at(&dir).write(&rmp_serde::to_vec_named(&kept).expect("plain")).expect("written");
        assert_eq!(node(&["put", "--cancel", ""]), ["4"]);
        assert_eq!(node(&["put", "--clear", ""]), ["5"]);
        assert_eq!(node(&["unshare", ""]), ["thesis.pdf", "pics"]);
    }

    #[test]
    fn the_home_of_the_line_is_the_one_that_is_asked() {
        let words = ["qshare", "--home", "/h", "get", ""].map(OsString::from);
        assert_eq!(home(&words), PathBuf::from("/h"));
    }
}
