//! The commands, one a file, and the one table of them.

use crate::cli::args::{Command, Globals};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{self, Failure, Result};
use crate::cli::render::Console;

pub(super) mod bench;
pub(super) mod completions;
pub(super) mod demo;
pub(super) mod doctor;
pub(super) mod events;
pub(super) mod friends;
pub(super) mod get;
pub(super) mod hash;
pub(super) mod id;
pub(super) mod inbox;
pub(super) mod jobs;
pub(super) mod limit;
pub(super) mod listen_lan;
pub(super) mod locate;
pub(super) mod ls;
pub(super) mod man;
pub(super) mod neighbours;
pub(super) mod peers;
pub(super) mod put;
pub(super) mod search;
pub(super) mod share;
pub(super) mod shell;
pub(super) mod status;
pub(super) mod stop;
pub(super) mod tracker;
pub(super) mod trust;
pub(super) mod unshare;

/// Runs a command. `globals`: those of the process.
pub(super) async fn dispatch(context: &Context, globals: &Globals, command: Command) -> Result<Exit> {
    match command {
        Command::Bench(arguments) => bench::run(context, arguments).await,
        Command::Completions(arguments) => done(completions::run(context, &arguments)),
        Command::Demo(arguments) => demo::run(context, arguments).await,
        Command::Doctor => doctor::run(context).await,
        Command::Events => events::run(context).await,
        Command::Friends(command) => done(friends::run(context, command)),
        Command::Get(arguments) => get::run(context, arguments).await,
        Command::Hash(arguments) => hash::run(context, arguments).await,
        Command::Id => done(id::run(context)),
        Command::Unshare(arguments) => unshare::run(context, arguments).await,
        Command::Inbox(arguments) => inbox::run(context, arguments).await,
        Command::Jobs(arguments) => jobs::run(context, arguments).await,
        Command::Limit(arguments) => limit::run(context, arguments).await,
        Command::Locate(arguments) => done(locate::run(context, arguments).await),
        Command::Ls(arguments) => done(ls::run(context, arguments).await),
        Command::Man(arguments) => done(man::run(context, &arguments)),
        Command::Neighbours => done(neighbours::run(context).await),
        Command::Node(arguments) => share::node(context, arguments).await,
        Command::Peers => done(peers::run(context).await),
        Command::Put(arguments) => put::run(context, arguments).await,
        Command::Search(arguments) => done(search::run(context, arguments).await),
        Command::Share(arguments) => share::run(context, arguments).await,
        Command::Shell(arguments) => shell::run(context, globals, arguments).await,
        Command::Status => done(status::run(context).await),
        Command::Stop => done(stop::run(context).await),
        Command::Tracker(arguments) => tracker::run(context, arguments).await,
        Command::Trust(command) => done(trust::run(context, &command)),
    }
}

/// The end of a command that does all or fails.
fn done(result: Result<(), Failure>) -> Result<Exit, Failure> {
    result.map(|()| Exit::DONE)
}

/// Tells what clap has to say: help and version are results, all else is a usage error.
pub(super) fn refuse(json: bool, error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        let Err(lost) = error.print() else { return Exit::DONE };
        let failure = failure::stdout(lost);
        Console::new(&Globals::default()).fail(&failure);
        return failure.exit();
    }
    if json {
        let globals = Globals { json: true, ..Globals::default() };
        Console::new(&globals).fail(&Failure::Usage(one_line(&error.to_string())));
    } else {
        let _ = error.print();
    }
    Exit::USAGE
}

/// The first paragraph of clap's message in one line, and what it suggests.
fn one_line(message: &str) -> String {
    let mut paragraphs = message.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let tip = paragraphs.filter_map(|paragraph| paragraph.trim().strip_prefix("tip: "));
    let all = std::iter::once(first.strip_prefix("error: ").unwrap_or(first)).chain(tip);
    all.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_becomes_one_line() {
        let line = ["qshare", "get", "x", "--limit", "much"].map(Into::into);
        let error = crate::cli::args::parse(line).expect_err("refused");
        let text = one_line(&error.to_string());
        assert!(text.starts_with("invalid value 'much' for '--limit <RATE>'") && !text.contains('\n'), "{text}");
    }
}
