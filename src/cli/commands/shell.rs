//! `qshare shell`: one command after the other, through the running node of the home or with one of its own, while what takes long
//! goes on beside them. Invariant: every line is a command line of this program and runs as that would, so nothing is done twice here.
//! Not responsible for what commands do: `line.rs` reads, `dispatch` runs.

mod beside;
mod complete;
mod key;
mod line;
mod reader;

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::error::ErrorKind;
use tokio::sync::watch;
use tokio::time::sleep;

use self::beside::{Beside, Task, within};
use self::key::{Kept, Key};
use self::line::{Line, Manner, Refusal, Run};
use self::reader::{Reader, Typed};
use super::jobs::ends::Ends;
use super::share::is_free;
use super::{dispatch, one_line, refuse};
use crate::cli::args::{Command, Globals, NodeArgs, ShellArgs, parser};
use crate::cli::context::within::Numbers;
use crate::cli::context::{Context, resolve};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::Console;
use crate::cli::render::human::counted;
use crate::cli::render::sink::above::Above;
use crate::cli::signals::{Signals, Stop};
use crate::node::Remote;
use crate::wire::Role;

const HELP: ErrorKind = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
const PROMPT: &str = "qshare> ";
/// How often it is seen which transfers have ended.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) async fn run(context: &Context, globals: &Globals, arguments: ShellArgs) -> Result<Exit> {
    let mut signals = context.signals()?;
    let kept = Kept::now();
    let mut shell = Shell::open(context, globals);
    shell.begin(arguments, &mut signals).await?;
    let exit = shell.obey_all(&mut signals).await;
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
        }
    }

    /// Has a node, greets, and begins to watch transfers.
    async fn begin(&mut self, arguments: ShellArgs, signals: &mut Signals) -> Result<()> {
        let running = Remote::find(&self.context.home()).await?;
        if let (Some(remote), Some(addr)) = (&running, arguments.listen) {
            return Err(Failure::Usage(format!(
                "--listen {addr} cannot hold for the node that runs already (process {}): stop it with `qshare stop`, or do \
                 without",
                remote.running().pid
            )));
        }
        self.have_node(arguments, signals).await;
        let Some(above) = &self.above else { return Ok(()) };
        let node = match self.beside.has_node() {
            true => "with a node of its own".to_owned(),
            false => running.map_or_else(
                || "without a node".to_owned(),
                |remote| format!("through the running node (process {})", remote.running().pid),
            ),
        };
        self.context
            .output
            .note(&format!("qshare: a shell {node}; `help` lists what there is to type, Ctrl-D ends it"));
        above.end();
        let watcher = Context { output: self.context.output.clone().aside(above.clone()), ..self.context.clone() };
        let (stop, stops) = watch::channel(Stop::Terminate);
        let mut ends = std::mem::take(&mut self.ends);
        if let Ok(Some(remote)) = Remote::find(&self.context.home()).await {
            // What has ended before is no news.
            let _ = ends.look(&watcher, &remote).await;
        }
        self.watching = Some(stop);
        let handle = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || handle.block_on(watch_ends(watcher, ends, stops)));
        Ok(())
    }

    /// Has the node of the home run here, where no other one does.
    async fn have_node(&mut self, arguments: ShellArgs, signals: &mut Signals) {
        let home = self.context.home();
        if self.alone || self.beside.has_node() {
            return;
        }
        if home.held(Role::Node).is_some() {
            match Remote::find(&home).await {
                Ok(Some(remote)) if !is_free(&remote).await.unwrap_or(false) => return,
                Err(_) => return,
                Ok(_) => {}
            }
        }
        let above =
            self.above.clone().unwrap_or_else(|| Above::start(|lines| drop(io::stderr().write_all(lines.as_bytes()))));
        let mut output = self.context.output.clone().aside(above.without_results());
        output.json = false;
        let context = Context { output, ..self.context.clone() };
        let command = Command::Node(NodeArgs { friends_only: false, listen: arguments.listen, limit: None });
        let mut node = Task::begin(context, &self.numbers, self.globals.clone(), command);
        node.begun(signals).await;
        self.beside.keep_node(node);
        self.alone = !self.beside.has_node() && home.held(Role::Node).is_none();
    }

    async fn obey_all(&mut self, signals: &mut Signals) -> Exit {
        loop {
            let typed = tokio::select! {
                typed = self.reader.next() => typed,
                stop = signals.next() => match stop {
                    // At a prompt it is a key, and not this.
                    Stop::Interrupt if self.above.is_some() => continue,
                    stop => return stop.exit(),
                },
            };
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
        self.context.output.fail(failure);
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
            Err(Refusal::Parser(error)) if !error.use_stderr() || error.kind() == HELP => refuse(self.globals.json, &error),
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
        self.have_node(ShellArgs::default(), signals).await;
        let is_typed = self.above.is_some();
        let may_leave = !self.alone && run.globals.home.is_none();
        let manner = run.manner(is_typed, may_leave);
        let Run { globals, command, chosen, .. } = run;
        let has_config = globals.config.is_some();
        let mut given = self.globals.clone().with(globals).of(&command);
        given.no_progress |= manner != Manner::Ahead;
        let mut context = match self.context_of(&given, has_config) {
            Ok(context) => context,
            Err(failure) => return ControlFlow::Continue(self.refused(&failure)),
        };
        context.remember_all(chosen).await;
        if manner == Manner::Ahead {
            return self.ahead(context, given, command, signals).await;
        }
        if let Err(failure) = self.beside.room() {
            return ControlFlow::Continue(self.refused(&failure));
        }
        if let Some(above) = &self.above {
            context.output = context.output.aside(above.clone());
        }
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
        Ok(Context { settings, output: output.asking_nobody(), within: None })
    }

    /// Runs a command to its end, before the next line.
    async fn ahead(
        &self,
        mut context: Context,
        globals: Globals,
        command: Command,
        signals: &mut Signals,
    ) -> ControlFlow<Exit, Exit> {
        let (within, stops) = within(&self.numbers);
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

    /// The end of the lines. What was left to the node of a script ends first.
    async fn last(&mut self, signals: &mut Signals) -> Exit {
        if self.above.is_some() || !self.beside.has_node() {
            return self.exit;
        }
        while let Ok(Some(remote)) = Remote::find(&self.context.home()).await {
            match self.ends.look(self.context, &remote).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                stop = signals.next() => return stop.exit(),
            }
        }
        self.exit
    }

    async fn end(mut self) {
        drop(self.watching.take());
        if self.beside.has_node()
            && self.above.is_some()
            && let Ok(Some(remote)) = Remote::find(&self.context.home()).await
        {
            // The first look tells nothing.
            if let Ok(left @ 1..) = Ends::default().look(self.context, &remote).await {
                self.context.output.note(&format!(
                    "qshare: {} goes on with the next node of this home, such as `qshare node`",
                    counted(left as u64, "transfer")
                ));
            }
        }
        std::mem::take(&mut self.beside).end().await;
        self.settle();
    }
}

/// Never, where none is waited for.
async fn pressed(key: &mut Option<Key>) {
    match key {
        Some(key) => key.pressed().await,
        None => std::future::pending().await,
    }
}

/// Writes lines above what is typed, or clear of what a command shows.
fn writing(ahead: Arc<Mutex<Option<Console>>>, mut print: impl FnMut(String)) -> impl FnMut(String) {
    move |lines| {
        let ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(console) = &*ahead else {
            // The editor may wait for its next line.
            drop(ahead);
            return print(lines);
        };
        // A terminal that has gone takes nothing any more.
        console.clear_of_bars(|| drop(io::stdout().write_all(lines.as_bytes())));
    }
}

/// Tells the ends of transfers until the shell ends.
async fn watch_ends(context: Context, mut ends: Ends, mut stops: watch::Receiver<Stop>) {
    let mut known = None;
    loop {
        tokio::select! {
            _ = stops.changed() => return,
            () = sleep(LOOK) => {}
        }
        let home = context.home();
        if known.is_none() && home.held(Role::Node).is_some() {
            known = Remote::find(&home).await.ok().flatten().filter(Remote::is_same_version);
        }
        if let Some(remote) = &known
            && ends.look(&context, remote).await.is_err()
        {
            known = None;
        }
    }
}
