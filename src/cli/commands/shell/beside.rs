//! What goes on beside the lines of a shell: the node of the home, offers, and what is sent. Invariant: none of it outlives the shell,
//! and the node ends last.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::cli::args::{Command, Globals};
use crate::cli::commands::dispatch;
use crate::cli::context::Context;
use crate::cli::context::within::{Numbers, Within};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::Console;
use crate::cli::render::human::counted;
use crate::cli::signals::{Signals, Stop};

/// Things that go on at once, at most.
const MOST: usize = 64;
/// How long their ends may take: a node tells its trackers.
const END: Duration = Duration::from_secs(3);

/// All of them.
#[derive(Default)]
pub(super) struct Beside {
    tasks: Vec<Task>,
    node: Option<Task>,
}

/// A command that runs beside others.
pub(super) struct Task {
    stops: watch::Sender<Stop>,
    begun: watch::Receiver<bool>,
    done: JoinHandle<Exit>,
    sends: bool,
}

/// What a command in a shell is given, and how it is told to stop.
pub(super) fn within(numbers: &Numbers) -> (Within, watch::Sender<Stop>) {
    let (stop, stops) = watch::channel(Stop::Terminate);
    (Within { stops, begun: watch::Sender::default(), numbers: numbers.clone(), tells: false }, stop)
}

impl Task {
    /// Begins; on a thread of its own, as commands may wait for whoever reads what they tell.
    pub(super) fn begin(mut context: Context, numbers: &Numbers, globals: Globals, command: Command) -> Self {
        let (within, stops) = within(numbers);
        let begun = within.begun.subscribe();
        context.within = Some(within);
        let (handle, sends) = (Handle::current(), matches!(command, Command::Put(_)));
        let done = spawn_blocking(move || {
            let result = handle.block_on(dispatch(&context, &globals, command));
            result.unwrap_or_else(|failure| {
                context.output.fail(&failure);
                failure.exit()
            })
        });
        Self { stops, begun, done, sends }
    }

    /// Waits until it has begun, or ended.
    pub(super) async fn begun(&mut self, signals: &mut Signals) -> Exit {
        loop {
            tokio::select! {
                // The sender is in the task.
                Ok(_) = self.begun.wait_for(|begun| *begun) => return Exit::DONE,
                done = &mut self.done => return done.unwrap_or(Exit::FAILED),
                stop = signals.next() => {
                    self.stops.send_replace(stop);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.done.is_finished()
    }

    async fn end(self) {
        if !self.done.is_finished() {
            self.stops.send_replace(Stop::Terminate);
            // What does not end now ends with the process.
            let _ = timeout(END, self.done).await;
        }
    }
}

impl Beside {
    /// Whether the node of the home runs here.
    pub(super) fn has_node(&self) -> bool {
        self.node.as_ref().is_some_and(|node| !node.is_over())
    }

    pub(super) fn keep_node(&mut self, node: Task) {
        self.node = Some(node);
    }

    /// Room for one more.
    ///
    /// # Errors
    /// When too much goes on.
    pub(super) fn room(&mut self) -> Result<()> {
        self.tasks.retain(|task| !task.is_over());
        if self.tasks.len() < MOST {
            return Ok(());
        }
        Err(Failure::Usage(format!("{MOST} things go on beside this shell already: end some, as with `unshare`")))
    }

    pub(super) fn keep(&mut self, task: Task) {
        if !task.is_over() {
            self.tasks.push(task);
        }
    }

    /// Tells what is sent no longer once the shell ends.
    pub(super) fn tell_sent(&self, output: &Console) {
        let count = self.tasks.iter().filter(|task| task.sends && !task.is_over()).count();
        if count > 0 {
            output.note(&format!(
                "qshare: what {} still sent is withdrawn with this shell: `put --detach` leaves it to the running node",
                counted(count as u64, "command")
            ));
        }
    }

    /// Ends them, at the same time, and then the node.
    pub(super) async fn end(self) {
        let ends: Vec<_> = self.tasks.into_iter().map(|task| tokio::spawn(task.end())).collect();
        for end in ends {
            let _ = end.await;
        }
        if let Some(node) = self.node {
            node.end().await;
        }
    }
}
