//! What is said of a command line that cannot be read, beside what clap says: what is meant, and what a value looks like.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::parser;

/// Names of values that are numbers or begin with one.
const NUMBERS: [&str; 4] = ["DURATION", "N", "RATE", "SIZE"];

/// The command and those below it, whose numbers may be given as negative ones: only the value's own parser says what it looks like.
pub(super) fn taking_negatives(command: clap::Command) -> clap::Command {
    let is_number = |arg: &clap::Arg| {
        let names = arg.get_value_names().unwrap_or_default();
        arg.get_action().takes_values() && names.iter().any(|name| NUMBERS.contains(&name.as_str()))
    };
    let command = command.mut_args(|arg| if is_number(&arg) { arg.allow_hyphen_values(true) } else { arg });
    command.mut_subcommands(taking_negatives)
}

/// The same error, with advice that fits.
pub(super) fn advised(mut error: clap::Error, line: &[OsString]) -> clap::Error {
    match error.kind() {
        ErrorKind::UnknownArgument => of_unknown(&mut error),
        ErrorKind::InvalidValue if line.iter().any(|word| word.is_empty() || ends_in_nothing(word)) => {
            tip(&mut error, "an empty text was given: is a variable in its place not set?".to_owned());
        }
        _ => {}
    }
    error
}

/// `--output=`
fn ends_in_nothing(word: &OsString) -> bool {
    word.to_str().is_some_and(|word| word.starts_with("--") && word.ends_with('='))
}

/// That other commands have such an option. Clap would have it taken for a word, which nobody means who writes an option.
fn of_unknown(error: &mut clap::Error) {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return };
    let (given, commands) = (given.clone(), having(given));
    if commands.is_empty() {
        let is_option = given.starts_with("--") || given.chars().nth(1).is_some_and(char::is_alphabetic);
        if is_option && !given.contains(['.', '/']) {
            error.remove(ContextKind::Suggested);
        }
        return;
    }
    error.remove(ContextKind::SuggestedArg);
    tip(error, format!("'{given}' is an option of {}", commands.join(" and ")));
}

fn tip(error: &mut clap::Error, text: String) {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(text)]));
}

/// The commands that have this option, as people give them.
fn having(option: &str) -> Vec<String> {
    let option = option.split('=').next().unwrap_or(option);
    let is_it = |arg: &clap::Arg| match option.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => arg.get_short().is_some_and(|short| option == format!("-{short}")),
    };
    let parser = parser();
    let commands = parser.get_subcommands().filter(|command| command.get_arguments().any(is_it));
    commands.map(|command| format!("`qshare {}`", command.get_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::parse;

    fn told(line: &[&str]) -> String {
        let line = ["qshare"].iter().chain(line).map(OsString::from);
        parse(line).expect_err("refused").to_string()
    }

    #[test]
    fn an_option_of_another_command_is_told_and_none_is_taken_for_a_word() {
        let text = told(&["search", "-n", "foo"]);
        assert!(text.contains("'-n' is an option of `qshare get`") && !text.contains("-- -n"), "{text}");
        let text = told(&["share", "--only", "x"]);
        assert!(text.contains("'--only' is an option of `qshare get`") && !text.contains("similar"), "{text}");
        let text = told(&["get", "x", "--onyl", "y"]);
        assert!(text.contains("a similar argument exists: '--only'"), "{text}");
        let text = told(&["get", "--zzz"]);
        assert!(!text.contains("-- --zzz"), "{text}");
        assert!(told(&["get", "-2024.pdf"]).contains("use '-- -2"), "a name may begin so");
    }

    #[test]
    fn a_negative_number_is_told_what_its_value_looks_like() {
        for (line, looks) in [
            (&["get", "x", "--limit", "-5"][..], "such as 50M"),
            (&["share", ".", "--limit", "-5M"], "such as 50M"),
            (&["get", "x", "--wait", "-5"], "a time such as 30s"),
            (&["get", "x", "--connections", "-1"], "from 1 to 8"),
            (&["search", "x", "--limit-hits", "-1"], "invalid value '-1'"),
            (&["search", "x", "--ttl", "-1"], "not in 1..=7"),
            (&["bench", "h", "--bytes", "-1"], "such as 64MiB"),
        ] {
            let text = told(line);
            assert!(text.contains(looks) && !text.contains("use '--"), "{line:?}: {text}");
        }
    }

    #[test]
    fn a_value_that_is_empty_is_told_to_be() {
        for line in [&["get", "x", "-o", ""][..], &["get", "x", "--output="], &["share", ""], &["id", "--home", ""]] {
            assert!(told(line).contains("an empty text was given"), "{line:?}");
        }
        assert!(!told(&["get", "x", "-o"]).contains("an empty text"));
    }

    #[test]
    fn an_address_is_no_friends_name_and_a_short_id_no_whole_one() {
        let id = "a".repeat(52);
        for name in ["10.0.0.1", "10.0.0.1:4918", "lab2:4918", "fd00::1", "[fd00::1]:7"] {
            let text = told(&["friends", "add", name, &id]);
            assert!(text.contains("this is an address") && text.contains(&format!("NAME ID@{name}")), "{text}");
        }
        assert!(parse(["qshare", "friends", "add", "lab2.example", &id].map(OsString::from)).is_ok());
        for line in [
            &["friends", "add", "anna", "abcdefgh@10.0.0.1"][..],
            &["ls", "x", "--tracker", "abcdefgh@lab"],
            &["get", "x", "--from", "abcdefgh@lab"],
        ] {
            let text = told(line);
            assert!(text.contains("all its 52 characters, which `qshare id` prints there"), "{text}");
        }
    }
}
