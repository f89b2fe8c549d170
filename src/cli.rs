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

use args::{Command, Globals};
use commands::listen_lan::ListenLan;
use context::Context;
use exit::Exit;

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
            Err(error) => commands::refuse(line.iter().any(|argument| argument == "--json"), &error),
        },
    };
    // A thread that reads a directory or the terminal would otherwise be waited for.
    runtime.shutdown_background();
    exit.into()
}

fn obey(runtime: &Runtime, globals: &Globals, command: Command) -> Exit {
    let globals = &globals.clone().of(&command);
    let (output, settings) = context::resolve(globals);
    render::log::begin(globals, &output);
    let result = settings.and_then(|settings| {
        let context = Context { settings, output: output.clone(), within: None };
        runtime.block_on(commands::dispatch(&context, globals, command))
    });
    result.unwrap_or_else(|failure| {
        output.fail(&failure);
        failure.exit()
    })
}

#[cfg(test)]
mod reference_tests;
