//! What help says besides the options: examples of each command, exit codes, and which command is meant by another's name.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The global options on one line; `--help` has each.
const GLOBAL: &str = "Global: --tracker HOST, --peer HOST, --no-lan, --home DIR, --json, -q, -v and others, see --help";

/// How the process ends.
const EXITS: &str = "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 nothing found; 4 several things are meant; 6 not all \
                     of it came, what did is kept; 129, 130, 143 stopped by a hang-up, Ctrl-C, a termination. `share`, `node`, `tracker`, `events`, `inbox watch`, `jobs --watch`, `bench --listen`, and `get --seed` once it is there, end with 0 when they are stopped.";

/// The command that is meant, a command line, and what that does; nothing where it says it all.
type Example = (&'static str, &'static str, &'static str);

/// Those of each command.
const EXAMPLES: [Example; 65] = [
    ("qshare", "qshare share ~/papers", "offer a directory and all that is in it"),
    ("qshare", "qshare search turing", "who has what"),
    ("qshare", "qshare get turing 1936", "fetch it, from everyone who has it at once"),
    ("bench", "qshare bench --listen 0.0.0.0:4918", "on one machine"),
    ("bench", "qshare bench lab1", "on the other: time, processor, losses of both directions"),
    ("bench", "qshare bench lab1 --bytes 100M", "the same with less"),
    ("completions", "source <(qshare completions bash)", "in ~/.bashrc; zsh likewise in ~/.zshrc"),
    ("completions", "qshare completions fish | source", "in ~/.config/fish/config.fish"),
    ("events", "qshare events", "what the node tells from now on, until Ctrl-C"),
    ("events", "qshare events | jq .event", "of each only what it is"),
    ("friends", "qshare friends add anna ID@lab2", "the id is what `qshare id` prints there"),
    ("friends", "qshare ls anna", "what she shares"),
    ("friends", "qshare friends remove anna", ""),
    ("get", "qshare get turing 1936 -o papers/", "one file, by words of its path, into a directory"),
    ("get", "qshare get papers/physics --only '*.pdf'", "some files of a directory"),
    ("get", "qshare get papers -n", "what would come, and what is here already"),
    ("hash", "qshare hash ~/papers > sums", "ids of all files, as b3sum prints them"),
    ("hash", "qshare hash --check sums", "which files still have them"),
    ("hash", "tar c . | qshare hash", "of standard input"),
    ("inbox", "qshare node", "takes what others send, as do `share` and `shell`"),
    ("inbox", "qshare inbox", "what others have sent"),
    ("inbox", "qshare inbox accept 3 -o papers/", "fetch it into a directory; `all` for a number"),
    ("inbox", "qshare inbox decline 3", "whoever sent it is told, and nothing unfinished of it stays"),
    ("inbox", "qshare inbox read 4", "a message whole; `clear` takes what is over off the list"),
    ("jobs", "qshare get papers --detach", "have the running node fetch it"),
    ("jobs", "qshare jobs --watch", "how far it is, until it is there"),
    ("jobs", "qshare jobs pause 3", "likewise resume, cancel, retry, clear, limit; `all` for a number"),
    ("limit", "qshare limit", "what holds now"),
    ("limit", "qshare limit --up 20M --down 100Mbit/s", "of all uploads, and of all downloads"),
    ("limit", "qshare limit --up none", "as much as there is"),
    ("locate", "qshare locate turing-1936.pdf", "who has it"),
    ("locate", "qshare locate 3fd2a9c1", "an id that was shown here, by its beginning"),
    ("ls", "qshare ls anna", "what a friend shares"),
    ("ls", "qshare ls papers/physics", "what a directory holds"),
    ("ls", "qshare ls lab2:4918 --json", "what a node offers, for programs"),
    ("man", "qshare man | man -l -", "read it"),
    ("man", "qshare man get | man -l -", "that of a command"),
    ("man", "qshare man --into man1/", "all of them, for a package"),
    ("node", "qshare node", "offers each [[share]], and goes on with what is left to it"),
    ("node", "qshare node --friends-only --limit 20M", "for friends, with uploads of 20 MiB a second at most"),
    ("put", "qshare node", "has to run there, or `share` or `shell`"),
    ("put", "qshare put thesis.pdf data/ --to anna", "to a friend, who accepts or declines it"),
    ("put", "qshare put thesis.pdf --to lab2 --to lab3 --detach", "to two machines, by the running node"),
    ("put", "date | qshare put - --name now.txt --to anna", "standard input; --text sends a message"),
    ("search", "qshare search turing", "names that hold the word"),
    ("search", "qshare search turing '*.pdf' --limit-hits 200", "the word, and how it ends; more hits"),
    ("search", "qshare search turing --json", "for programs"),
    ("share", "qshare share ~/papers --tracker lab1", "found by who looks at that tracker"),
    ("share", "qshare share . --exclude '*.o' --gitignore", "without what is built"),
    ("share", "qshare share ~/diary --friends-only", "for your friends alone"),
    ("share", "qshare share", "what the running node offers, and who fetched it"),
    ("shell", "qshare shell", "then: search turing, get 2, jobs, help, quit"),
    ("shell", "qshare shell --tracker lab1", "all commands look there"),
    ("shell", "qshare shell --no-lan < commands", "a command a line; it ends with the exit code of the last one"),
    ("status", "qshare status", "this home, its running node, and what is unfinished"),
    ("status", "qshare status --json", "for programs"),
    ("stop", "qshare stop", "ends the `share` of this home, and waits for its end"),
    ("stop", "qshare stop --home /srv/qshare", "that of another home"),
    ("tracker", "qshare tracker", "then give --tracker HOST to the others"),
    ("tracker", "qshare tracker --allow nodes", "for the nodes of a list alone"),
    ("trust", "qshare trust list", "which key was seen where"),
    ("trust", "qshare trust forget lab1", "after lab1 was installed anew"),
    ("unshare", "qshare unshare ~/papers", "what was shared from there"),
    ("unshare", "qshare unshare papers", "by its name"),
    ("unshare", "qshare unshare 3fd2a9c1", "by the beginning of its id"),
];

fn examples(command: &str) -> impl Iterator<Item = &'static Example> + Clone {
    EXAMPLES.iter().filter(move |(of, ..)| *of == command)
}

/// The command with its examples, and of all below it; what is short in `-h` is whole in `--help`.
pub(super) fn with_examples(command: clap::Command) -> clap::Command {
    let shown = text(examples(command.get_name()));
    let [short, long] = [GLOBAL, EXITS].map(|last| StyledStr::from(format!("{shown}{last}")));
    command.after_help(short).after_long_help(long).mut_subcommands(with_examples)
}

fn text(examples: impl Iterator<Item = &'static Example> + Clone) -> String {
    let Some(width) = examples.clone().map(|(_, line, _)| line.len()).max() else { return String::new() };
    let rows = examples.map(|(_, line, what)| format!("  {line:width$}  {what}").trim_end().to_owned() + "\n");
    format!("Examples:\n{}\n", rows.collect::<String>())
}

/// Which command is meant by a name that other programs have for it.
fn meant(name: &str) -> &'static [&'static str] {
    match name.to_ascii_lowercase().as_str() {
        "checksum" | "b3sum" | "sum" | "verify" => &["hash"],
        "clone" | "cp" | "copy" | "download" | "fetch" | "pull" | "receive" | "recv" | "wget" => &["get"],
        "add" | "offer" | "publish" | "seed" | "serve" | "upload" => &["share"],
        "push" | "send" => &["put", "share"],
        "accept" | "decline" | "mail" => &["inbox"],
        "check" | "diagnose" => &["doctor"],
        "contacts" => &["friends"],
        "daemon" | "server" | "start" => &["tracker", "share"],
        "dir" | "list" | "show" | "tree" => &["ls", "search"],
        "find" | "grep" | "look" | "query" => &["search"],
        "hosts" | "nodes" => &["peers", "neighbours"],
        "identity" | "key" | "whoami" => &["id"],
        "info" | "stat" => &["status"],
        "follow" | "log" | "watch" => &["events"],
        "end" | "kill" | "quit" | "shutdown" => &["stop"],
        "iperf" | "speed" | "test" => &["bench"],
        "console" | "interactive" | "prompt" | "repl" => &["shell"],
        "try" | "example" => &["demo"],
        "where" | "which" | "who" | "whohas" => &["locate"],
        _ => &[],
    }
}

/// The same error, with what may be meant.
pub(super) fn suggesting(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let meant = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(name)) => meant(name),
        _ => &[],
    };
    let mut meant: Vec<String> = meant.iter().map(ToString::to_string).collect();
    if meant.is_empty() && error.get(ContextKind::SuggestedSubcommand).is_none() {
        let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand) else { return error };
        let parser = super::parser();
        let names = parser.get_subcommands().map(|command| command.get_name().to_owned());
        meant = names.filter(|command| is_swapped(name, command)).collect();
    }
    if !meant.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(meant));
    }
    error
}

/// Whether one is the other but for two neighbouring letters: of short names clap does not find that alike.
fn is_swapped(one: &str, other: &str) -> bool {
    let pairs = || one.bytes().zip(other.bytes()).enumerate().filter(|(_, (a, b))| a != b);
    let apart: Vec<_> = pairs().take(3).collect();
    matches!(apart.as_slice(), [(i, (a, b)), (j, (c, d))] if one.len() == other.len() && i + 1 == *j && a == d && b == c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{parse, parser};

    fn help(command: &str, long: bool) -> String {
        let mut parser = parser();
        parser.build();
        let command = parser.find_subcommand_mut(command).expect(command).clone().term_width(100);
        let mut command = command;
        if long { command.render_long_help().to_string() } else { command.render_help().to_string() }
    }

    #[test]
    fn short_help_is_a_screen_and_long_help_is_whole() {
        let parser = parser();
        for command in parser.get_subcommands().map(clap::Command::get_name) {
            let (short, long) = (help(command, false), help(command, true));
            assert!(short.lines().count() <= 48, "{command}: {}", short.lines().count());
            for line in text(examples(command)).lines() {
                assert!(line.chars().count() <= 100, "a terminal would break it: {line}");
            }
            assert!(short.contains(GLOBAL) && !short.contains("--only-peers"), "{short}");
            assert!(long.contains("--only-peers") && long.contains("Exit codes: 0 done"), "{long}");
        }
        let get = help("get", false);
        assert_eq!(get.matches("  qshare get ").count(), 3, "{get}");
    }

    #[test]
    fn examples_are_commands() {
        for command in parser().get_subcommands().map(clap::Command::get_name).chain(["qshare"]) {
            for (_, line, _) in examples(command) {
                let line =
                    line.split(['|', '>', '<', '(', ')']).map(str::trim).find(|part| part.starts_with("qshare "));
                let words = line.expect(command).split_whitespace().map(|word| word.trim_matches('\'').into());
                let id = "a".repeat(52);
                let words = words.map(|word: String| word.replace("ID@", &format!("{id}@")).into());
                assert!(parse(words).is_ok(), "{line:?}");
            }
        }
    }

    #[test]
    fn what_other_programs_call_it_is_suggested() {
        for (name, command) in
            [("download", "'get'"), ("send", "'share'"), ("list", "'ls', 'search'"), ("find", "'search'")]
        {
            let error = parse(["qshare", name].map(Into::into)).expect_err(name).to_string();
            assert!(error.contains(command), "{error}");
        }
        for (name, command) in [("gte", "'get'"), ("egt", "'get'"), ("sl", "'ls'"), ("ptu", "'put'")] {
            let error = parse(["qshare", name].map(Into::into)).expect_err(name).to_string();
            assert!(error.contains(command), "{error}");
        }
        for name in ["get", "ls", "share"] {
            assert!(meant(name).is_empty(), "{name} is itself");
        }
        for name in [
            "checksum", "clone", "add", "check", "contacts", "daemon", "dir", "find", "hosts", "key", "info", "speed",
            "try", "who",
        ] {
            assert!(meant(name).iter().all(|meant| parser().find_subcommand(meant).is_some()), "{name}");
        }
    }
}
