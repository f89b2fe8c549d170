//! A command that runs before the next line is read, and has the terminal until it ends.

use std::ops::ControlFlow;
use std::sync::PoisonError;

use super::Shell;
use super::beside::within;
use super::key::Key;
use crate::cli::args::{Command, Globals};
use crate::cli::commands::dispatch;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::Console;
use crate::cli::signals::{Signals, Stop};

impl Shell<'_> {
    /// Runs a command to its end, before the next line.
    pub(super) async fn ahead(
        &self,
        mut context: Context,
        globals: Globals,
        command: Command,
        signals: &mut Signals,
    ) -> ControlFlow<Exit, Exit> {
        let (mut within, stops) = within(&self.numbers);
        within.tells = self.watching.is_some() && context.settings.home == self.context.settings.home;
        context.within = Some(within);
        let watches = matches!(&command, Command::Jobs(arguments) if arguments.watch);
        let mut key = (watches && self.above.is_some()).then(Key::begin);
        self.give_terminal(Some(context.output.clone()));
        let mut work = Box::pin(dispatch(&context, &globals, command));
        let mut ending = None;
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                () = pressed(&mut key) => {
                    key = None;
                    stops.send_replace(Stop::Terminate);
                }
                stop = signals.next() => {
                    stops.send_replace(stop);
                    if stop != Stop::Interrupt || self.above.is_none() {
                        ending = Some(stop);
                    }
                }
            }
        };
        drop((work, key));
        // Nobody reads what a script would go on to tell.
        let is_unread = self.above.is_none() && matches!(result, Err(Failure::Closed));
        let exit = result.unwrap_or_else(|failure| {
            context.output.fail(&failure);
            failure.exit()
        });
        self.give_terminal(None);
        match ending {
            Some(stop) => ControlFlow::Break(stop.exit()),
            None if is_unread => ControlFlow::Break(exit),
            None => ControlFlow::Continue(exit),
        }
    }

    fn give_terminal(&self, to: Option<Console>) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

/// Never, where none is waited for.
async fn pressed(key: &mut Option<Key>) {
    match key {
        Some(key) => key.pressed().await,
        None => std::future::pending().await,
    }
}
