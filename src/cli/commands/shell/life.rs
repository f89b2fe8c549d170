//! What a shell has for as long as it lasts: the node of its home, a watch over transfers, and how it ends.

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Shell;
use super::beside::Task;
use crate::cli::args::{Command, NodeArgs, ShellArgs};
use crate::cli::commands::inbox::news::News;
use crate::cli::commands::jobs::ends::Ends;
use crate::cli::commands::put::ends::Sent;
use crate::cli::commands::share::is_free;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::Console;
use crate::cli::render::human::counted;
use crate::cli::render::sink::above::Above;
use crate::cli::signals::{Signals, Stop};
use crate::node::Remote;
use crate::wire::Role;

/// How often it is seen which transfers have ended, and what has come.
const LOOK: Duration = Duration::from_secs(1);

impl Shell<'_> {
    /// Has a node, greets, and begins to watch transfers.
    pub(super) async fn begin(&mut self, arguments: ShellArgs, signals: &mut Signals) -> Result<()> {
        let (running, listen) = (Remote::find(&self.context.home()).await?, arguments.listen);
        self.have_node(arguments, signals).await;
        if let (Some(remote), Some(addr), false) = (&running, listen, self.beside.has_node()) {
            return Err(Failure::Usage(format!(
                "--listen {addr} cannot hold for the node that runs already (process {}): stop it with `qshare stop`, or do \
                 without",
                remote.running().pid
            )));
        }
        let Some(above) = &self.above else { return Ok(()) };
        let node = has(self.beside.has_node(), running.map(|remote| remote.running().pid));
        self.context
            .output
            .note(&format!("qshare: a shell {node}\n`help` lists what there is to type, Ctrl-D ends it"));
        let watcher = Context { output: aside(&self.context.output, above.clone()), ..self.context.clone() };
        let (stop, stops) = watch::channel(Stop::Terminate);
        let mut looks = Looks::default();
        if let Ok(Some(remote)) = Remote::find(&self.context.home()).await {
            // What has ended before is no news.
            let _ = looks.look(&watcher, &remote).await;
        }
        above.end();
        self.watching = Some(stop);
        let handle = Handle::current();
        spawn_blocking(move || handle.block_on(watch_all(watcher, looks, stops)));
        Ok(())
    }

    /// Has the node of the home run here, where no other one does; whether it has begun now.
    pub(super) async fn have_node(&mut self, arguments: ShellArgs, signals: &mut Signals) -> bool {
        let home = self.context.home();
        if self.alone || self.beside.has_node() {
            return false;
        }
        if home.held(Role::Node).is_some() {
            match Remote::find(&home).await {
                Ok(Some(remote)) if !is_free(&remote).await.unwrap_or(false) => {
                    self.alone = !remote.is_same_version();
                    return false;
                }
                Err(_) => return false,
                Ok(_) => {}
            }
        }
        let above =
            self.above.clone().unwrap_or_else(|| Above::start(|lines| drop(io::stderr().write_all(lines.as_bytes()))));
        // What is fetched from here the commands tell that offer it.
        let output = aside(&self.context.output, above).only_warning();
        let context = Context { output, ..self.context.clone() };
        let command = Command::Node(NodeArgs { friends_only: false, listen: arguments.listen, limit: None });
        let mut node = Task::begin(context, &self.numbers, self.globals.clone(), command);
        node.begun(signals).await;
        self.beside.keep_node(node);
        self.alone = !self.beside.has_node() && home.held(Role::Node).is_none();
        self.beside.has_node()
    }

    /// The end of the lines. What was left to the node of a script ends first.
    pub(super) async fn last(&mut self, signals: &mut Signals) -> Exit {
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

    pub(super) async fn end(mut self) {
        drop(self.watching.take());
        self.beside.tell_sent(&self.context.output);
        if self.beside.has_node()
            && let Ok(Some(remote)) = Remote::find(&self.context.home()).await
        {
            // The first look tells nothing.
            let fetched = Ends::default().look(self.context, &remote).await.unwrap_or_default();
            let sent = remote.puts().await.map_or(0, |rows| rows.iter().filter(|row| !row.is_over()).count());
            if fetched + sent > 0 {
                let verb = if fetched + sent == 1 { "goes" } else { "go" };
                self.context.output.note(&format!(
                    "qshare: {} {verb} on with the next node of this home, such as `qshare node`",
                    counted((fetched + sent) as u64, "transfer")
                ));
            }
        }
        std::mem::take(&mut self.beside).end().await;
        self.settle();
    }
}

/// What node a shell has: its own or that of a process; whose command goes on through it, where that had it before.
fn has(own: bool, process: Option<u32>) -> String {
    match (own, process) {
        (true, None) => "with a node of its own".to_owned(),
        (true, Some(pid)) => {
            format!("that has taken the node over from process {pid}, whose command goes on through it")
        }
        (false, Some(pid)) => format!("through the running node (process {pid})"),
        (false, None) => "without a node".to_owned(),
    }
}

/// A console of what goes on beside.
fn aside(output: &Console, above: Above) -> Console {
    let output = output.clone().still();
    output.go(above);
    output
}

/// Writes lines above what is typed, or clear of what a command shows.
pub(super) fn writing(ahead: Arc<Mutex<Option<Console>>>, mut print: impl FnMut(String)) -> impl FnMut(String) {
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

/// What is told of the node beside the lines.
#[derive(Default)]
struct Looks {
    ends: Ends,
    sent: Sent,
    news: News,
}

impl Looks {
    async fn look(&mut self, context: &Context, remote: &Remote) -> Result<()> {
        self.ends.look(context, remote).await?;
        self.sent.look(context, remote).await?;
        // A node that takes nothing has no inbox.
        let _ = self.news.look(context, remote).await;
        Ok(())
    }
}

/// Tells the ends of transfers and what comes until the shell ends.
async fn watch_all(context: Context, mut looks: Looks, mut stops: watch::Receiver<Stop>) {
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
            && looks.look(&context, remote).await.is_err()
        {
            known = None;
        }
    }
}
