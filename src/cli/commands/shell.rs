//! `qshare shell`: one command after the other, through the running node of the home or with one of its own, while what takes long
//! goes on beside them. Invariant: every line is a command line of this program and runs as that would, so nothing is done twice here.
//! Not responsible for what commands do: `line.rs` reads, `dispatch` runs.

mod ahead;
mod beside;
mod complete;
mod key;
mod life;
mod line;
mod reader;
mod tilde;

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use clap::error::ErrorKind;
use tokio::sync::watch;

use self::beside::{Beside, Task};
use self::key::Kept;
use self::life::writing;
use self::line::{Line, Manner, Refusal, Run};
use self::reader::{Reader, Typed};
use super::jobs::ends::Ends;
use super::{one_line, refuse};
use crate::cli::args::{Command, Globals, ShellArgs, parser};
use crate::cli::context::runs::Runs;
use crate::cli::context::within::Numbers;
use crate::cli::context::{Context, resolve};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::Console;
use crate::cli::render::sink::above::Above;
use crate::cli::signals::{Signals, Stop};

const HELP: ErrorKind = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
const PROMPT: &str = "qshare> ";

/// Runs the command.
pub(crate) async fn run(context: &Context, globals: &Globals, arguments: ShellArgs) -> Result<Exit> {
    let mut signals = context.signals()?;
    let kept = Kept::now();
    let mut shell = Shell::open(context, globals);
    let exit = match shell.begin(arguments, &mut signals).await {
        Ok(()) => shell.obey_all(&mut signals).await,
        Err(failure) => shell.refused(&failure),
    };
    shell.end().await;
    drop(kept);
    Ok(exit)
}

struct Shell<'a> {
    context: &'a Context,
    globals: &'a Globals,
    numbers: Numbers,
    reader: Reader,
    /// Where what goes on beside tells, on a terminal.
    above: Option<Above>,
    /// Who has the terminal while no line is typed.
    ahead: Arc<Mutex<Option<Console>>>,
    beside: Beside,
    ends: Ends,
    /// No node can have this home.
    alone: bool,
    watching: Option<watch::Sender<Stop>>,
    exit: Exit,
    /// The number of the line that runs, where lines come from a script.
    line: Option<u64>,
}

impl<'a> Shell<'a> {
    fn open(context: &'a Context, globals: &'a Globals) -> Self {
        let numbers = Numbers::default();
        let ahead = Arc::<Mutex<Option<Console>>>::default();
        let typed = io::stdin().is_terminal() && io::stdout().is_terminal() && !console::is_dumb();
        let editor = typed.then(|| Reader::editor(&context.settings.home, PROMPT, numbers.clone())).flatten();
        let (reader, above) = match editor {
            None => (Reader::plain(), None),
            Some((reader, print)) => {
                let above = Above::start(writing(Arc::clone(&ahead), print));
                context.output.go(above.clone());
                (reader, Some(above))
            }
        };
        Self {
            context,
            globals,
            numbers,
            reader,
            above,
            ahead,
            beside: Beside::default(),
            ends: Ends::default(),
            alone: false,
            watching: None,
            exit: Exit::DONE,
            line: None,
        }
    }

    async fn obey_all(&mut self, signals: &mut Signals) -> Exit {
        loop {
            let typed = tokio::select! {
                typed = self.reader.next() => typed,
                stop = signals.next() => match stop {
                    // At a prompt it is a key, and not this.
                    Stop::Interrupt if self.above.is_some() => continue,
                    stop => {
                        // What comes next is not to stand on the line that was being typed.
                        let _ = self.above.is_some().then(|| io::stdout().write_all(b"\n"));
                        return stop.exit();
                    }
                },
            };
            if self.above.is_none() {
                self.line = Some(self.line.unwrap_or_default() + 1);
            }
            let obeyed = match typed {
                Typed::Line(line) => self.obey(&line, signals).await,
                Typed::End => ControlFlow::Break(self.last(signals).await),
                Typed::Nothing => ControlFlow::Continue(self.exit),
                Typed::TooLong => {
                    ControlFlow::Continue(self.refused(&Failure::Usage("this line is too long".to_owned())))
                }
                Typed::Failed(error) => {
                    let failure = anyhow::Error::new(error).context("no command can be read");
                    ControlFlow::Break(self.refused(&Failure::Other(failure)))
                }
            };
            match obeyed {
                ControlFlow::Break(exit) => return exit,
                ControlFlow::Continue(exit) => self.exit = exit,
            }
        }
    }

    fn refused(&self, failure: &Failure) -> Exit {
        self.context.output.clone().at_line(self.line).fail(failure);
        self.settle();
        failure.exit()
    }

    /// Waits until all that was told stands there: the prompt comes after it.
    fn settle(&self) {
        self.above.iter().for_each(Above::end);
    }

    async fn obey(&mut self, line: &[u8], signals: &mut Signals) -> ControlFlow<Exit, Exit> {
        let read = line::read(line, &self.numbers.last());
        ControlFlow::Continue(match read {
            Ok(Line::Empty) => self.exit,
            Ok(Line::Quit) => return ControlFlow::Break(self.exit),
            Ok(Line::Help) => self.help(),
            Ok(Line::Run(run)) => return self.run(*run, signals).await,
            Err(Refusal::Said(failure)) => self.refused(&failure),
            // Help that stands for an error is whole.
            Err(Refusal::Parser(error)) if !error.use_stderr() || error.kind() == HELP => {
                refuse(self.globals.json, &error)
            }
            Err(Refusal::Parser(error)) => self.refused(&Failure::Usage(format!(
                "{}; `help` lists what there is to type",
                one_line(&error.to_string())
            ))),
        })
    }

    fn help(&self) -> Exit {
        let parser = parser();
        let commands = parser.get_subcommands().filter(|command| !line::is_apart(command.get_name()));
        let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
        let all = commands.map(|command| (command.get_name().to_owned(), about(command)));
        let own = complete::OWN.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned()));
        let rows: String = all.chain(own).map(|(name, about)| format!("  {name:<12} {about}\n")).collect();
        let more = "`help COMMAND` has the rest. `get`, `ls` and `locate` take the numbers of what was shown last, `jobs` those of \
                    transfers: get 2, get 1,3 -o papers/, get 2 from anna, jobs pause 1.\n";
        match self.console().print(&format!("{rows}\n{more}")) {
            Ok(()) => Exit::DONE,
            Err(failure) => failure.exit(),
        }
    }

    /// A console that has the terminal.
    fn console(&self) -> Console {
        Console::new(self.globals)
    }

    async fn run(&mut self, mut run: Run, signals: &mut Signals) -> ControlFlow<Exit, Exit> {
        if self.have_node(ShellArgs::default(), signals).await && self.above.is_some() {
            self.context.output.note("qshare: the node of this home has ended: from now on this shell runs it");
        }
        let (is_here, has_config) = (run.globals.home.is_none(), run.globals.config.is_some());
        let given = self.globals.clone().with(std::mem::take(&mut run.globals)).of(&run.command);
        let mut context = match self.context_of(&given, has_config) {
            Ok(context) => context,
            Err(failure) => return ControlFlow::Continue(self.refused(&failure)),
        };
        let is_typed = self.above.is_some();
        // A node that looks at fewer places than this line cannot go on with it.
        let is_left = match run.command {
            Command::Get(_) => matches!(context.who_runs().await, Ok(Runs::Through(_))),
            // It goes out under the key of the home, wherever is looked.
            Command::Put(_) | Command::Inbox(_) => true,
            _ => false,
        };
        let may_leave = is_typed && is_here && !self.alone && is_left;
        let manner = run.manner(may_leave, is_typed);
        let Run { command, chosen, .. } = run;
        context.remember_all(chosen).await;
        if manner == Manner::Ahead {
            return self.ahead(context, given, command, signals).await;
        }
        if let Err(failure) = self.beside.room() {
            return ControlFlow::Continue(self.refused(&failure));
        }
        context.output = context.output.still();
        self.above.iter().for_each(|above| context.output.go(above.clone()));
        let mut task = Task::begin(context, &self.numbers, given, command);
        let exit = if manner == Manner::Awaited { task.begun(signals).await } else { Exit::DONE };
        self.settle();
        self.beside.keep(task);
        ControlFlow::Continue(exit)
    }

    /// What a command has whose flags are these.
    fn context_of(&self, globals: &Globals, has_config: bool) -> Result<Context> {
        let (output, settings) = resolve(globals);
        let mut settings = settings?;
        if self.beside.has_node() && !has_config {
            // It holds for the node: it was started with it.
            settings.config = None;
        }
        Ok(Context { settings, output: output.asking_nobody().at_line(self.line), within: None })
    }
}
