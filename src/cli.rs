//! The command line: arguments, commands, rendering. The only floor that prints or knows clap and indicatif.
//! Not responsible for anything but asking the node and telling what it says.

use std::ffi::OsString;
use std::process::ExitCode;

use tokio::runtime::Runtime;

mod args;
mod choose;
mod commands;
mod context;
mod exit;
mod explain;
mod failure;
mod follow;
mod named;
mod render;
mod say;
mod service;
mod settings;
mod signals;

use crate::io::home::friends::FriendFile;
use crate::io::home::lines::ListFile as _;
use crate::model::Friends;
use args::{Command, Globals};
use commands::listen_lan::ListenLan;
use context::Context;
use exit::Exit;
use failure::Failure;
use render::Console;
use settings::{Environment, Settings};

pub use crate::io::cpu::network_threads;

/// Runs the command line of this process on a runtime that the caller has made.
#[must_use]
pub fn run(runtime: Runtime) -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    {
        let _within = runtime.enter();
        if let Err(error) = crate::io::ignored::write_errors_instead_of_signals() {
            tracing::debug!(%error, "a limit of file sizes ends the process");
        }
    }
    if let Some(exit) = commands::completions::answer(&line) {
        return exit.into();
    }
    let exit = match ListenLan::parse(&line) {
        Some(child) => runtime.block_on(child.run()),
        None => match args::parse(line.iter().cloned()) {
            Ok((globals, command)) => obey(&runtime, &globals, command),
            Err(error) => refuse(&line, &error),
        },
    };
    // A thread that reads a directory or the terminal would otherwise be waited for.
    runtime.shutdown_background();
    exit.into()
}

fn obey(runtime: &Runtime, globals: &Globals, command: Command) -> Exit {
    // What programs follow has no other form.
    let globals = &Globals { json: globals.json || matches!(command, Command::Events), ..globals.clone() };
    let output = Console::new(globals);
    let default_home = crate::node::Home::default_root();
    let settings = Settings::resolve(globals, &Environment::of_process(), default_home);
    let output = settings.iter().fold(output, |output, settings| output.naming(friends_of(settings)));
    render::log::begin(globals, &output);
    let result = settings.and_then(|settings| {
        let context = Context { settings, output: output.clone() };
        runtime.block_on(dispatch(&context, command))
    });
    result.unwrap_or_else(|failure| {
        output.fail(&failure);
        failure.exit()
    })
}

/// Only for names in what is shown: a command that needs friends reads them again and says what is wrong.
fn friends_of(settings: &Settings) -> Friends {
    FriendFile::at(&settings.home).read_what_is_right().unwrap_or_default()
}

async fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Bench(arguments) => commands::bench::run(context, arguments).await,
        Command::Completions(arguments) => done(commands::completions::run(context, &arguments)),
        Command::Demo(arguments) => commands::demo::run(context, arguments).await,
        Command::Doctor => commands::doctor::run(context).await,
        Command::Events => commands::events::run(context).await,
        Command::Friends(command) => done(commands::friends::run(context, command)),
        Command::Get(arguments) => commands::get::run(context, arguments).await,
        Command::Hash(arguments) => commands::hash::run(context, arguments).await,
        Command::Id => done(commands::id::run(context)),
        Command::Unshare(arguments) => commands::unshare::run(context, arguments).await,
        Command::Jobs(arguments) => commands::jobs::run(context, arguments).await,
        Command::Inbox(arguments) => commands::inbox::run(context, arguments).await,
        Command::Put(arguments) => commands::put::run(context, arguments).await,
        Command::Limit(arguments) => commands::limit::run(context, arguments).await,
        Command::Locate(arguments) => done(commands::locate::run(context, arguments).await),
        Command::Ls(arguments) => done(commands::ls::run(context, arguments).await),
        Command::Man(arguments) => done(commands::man::run(context, &arguments)),
        Command::Neighbours => done(commands::neighbours::run(context).await),
        Command::Node(arguments) => commands::share::node(context, arguments).await,
        Command::Peers => done(commands::peers::run(context).await),
        Command::Search(arguments) => done(commands::search::run(context, arguments).await),
        Command::Share(arguments) => commands::share::run(context, arguments).await,
        Command::Status => done(commands::status::run(context).await),
        Command::Stop => done(commands::stop::run(context).await),
        Command::Tracker(arguments) => commands::tracker::run(context, arguments).await,
        Command::Trust(command) => done(commands::trust::run(context, &command)),
    }
}

/// The end of a command that does all or fails.
fn done(result: Result<(), Failure>) -> Result<Exit, Failure> {
    result.map(|()| Exit::DONE)
}

/// Tells what clap has to say: help and version are results, all else is a usage error.
fn refuse(line: &[OsString], error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        let Err(lost) = error.print() else { return Exit::DONE };
        let failure = failure::stdout(lost);
        Console::new(&Globals::default()).fail(&failure);
        return failure.exit();
    }
    if line.iter().any(|argument| argument == "--json") {
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
mod reference_tests;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_becomes_one_line() {
        let line = ["qshare", "get", "x", "--limit", "much"].map(OsString::from);
        let error = args::parse(line).expect_err("refused");
        let text = one_line(&error.to_string());
        assert!(text.starts_with("invalid value 'much' for '--limit <RATE>'") && !text.contains('\n'), "{text}");
    }
}
