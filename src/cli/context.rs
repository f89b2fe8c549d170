//! What every command is given, and how a finite one runs: a node for its time, warnings passed on, signals heeded.

pub(crate) mod runs;
mod warnings;
pub(crate) mod within;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use self::runs::Runs;
use self::within::Within;
use crate::cli::args::Globals;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::Console;
use crate::cli::render::activity::Activity;
use crate::cli::settings::{Environment, Settings};
use crate::cli::signals::Signals;
use crate::io::home::friends::FriendFile;
use crate::io::home::lines::ListFile as _;
use crate::node::{Asker, ControlError, Error, Home, Node, Options, Remote};
use crate::wire::Role;

/// How often a command is run again because the node that ran it has ended, which those of other commands do.
const TRIES: u32 = 8;
/// How long whoever wanted the home of a command has to take it, and how often that is looked for.
const TAKEN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);
/// Warnings of the running node that wait to be told.
const WARNINGS: usize = 64;

/// What every command is given.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) output: Console,
    /// What the shell gives it, where it runs in one.
    pub(crate) within: Option<Within>,
}

/// Where output goes, with friends by their names, and what holds, for the flags of a command line.
pub(crate) fn resolve(globals: &Globals) -> (Console, Result<Settings>) {
    let output = Console::new(globals);
    let settings = Settings::resolve(globals, &Environment::of_process(), Home::default_root());
    // Only for names in what is shown: a command that needs friends reads them again and says what is wrong.
    let friends = |settings: &Settings| FriendFile::at(&settings.home).read_what_is_right().unwrap_or_default();
    let output = settings.iter().fold(output, |output, settings| output.naming(friends(settings)));
    (output, settings)
}

impl Context {
    /// The home.
    pub(crate) fn home(&self) -> Home {
        Home::at(self.settings.home.clone())
    }

    /// The same for a command that goes on when its standard output is lost.
    pub(crate) fn of_service(&self) -> Self {
        Self { output: self.output.clone().of_service(), ..self.clone() }
    }

    /// The home, for a command about it.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn own_home(&self) -> Result<Home> {
        let home = self.home();
        if home.is_absent() { Err(Failure::Node(crate::io::home::HomeError::Absent.into())) } else { Ok(home) }
    }

    /// Begins to heed signals.
    pub(crate) fn signals(&self) -> Result<Signals> {
        if let Some(within) = &self.within {
            return Ok(within.signals());
        }
        Signals::listen().map_err(|error| Failure::Other(anyhow::Error::new(error).context("cannot heed signals")))
    }

    /// Says how a service is stopped where Ctrl-C does not.
    pub(crate) fn note_of_signals(&self, signals: &Signals) {
        if signals.ignore_interrupts() {
            let pid = std::process::id();
            self.output.note(&format!(
                "qshare: SIGINT is ignored, as a shell has it with what it starts in the background of a script: `kill {pid}` \
                 stops this"
            ));
        }
    }

    /// The options of a node that only looks and fetches.
    pub(crate) fn options(&self) -> Options {
        let settings = &self.settings;
        Options::new(self.home())
            .trackers(settings.trackers.clone())
            .peers(settings.peers.clone())
            .near(settings.near.clone())
            .upload_limit(settings.upload_limit)
            .download_limit(settings.download_limit)
            .max_files(settings.max_files)
    }

    /// Runs a finite command through the running node of the home, or on a node inside it, until it is done or a signal comes.
    /// The node that runs it may end meanwhile; then it is run again.
    pub(crate) async fn look<T>(&self, what: &str, work: impl AsyncFn(Asker) -> Result<T>) -> Result<T> {
        let mut signals = self.signals()?;
        let mut activity = Some(Activity::start(&self.output, what));
        for tried in 1..=TRIES {
            let last = tried == TRIES;
            let runs = heed(&mut signals, self.who_runs()).await??;
            let result = match runs {
                Runs::Through(remote) => self.through(remote, &work, &mut signals).await,
                Runs::Guest | Runs::Own => {
                    let node = self.node(&mut signals).await?;
                    if node.is_guest_beside() && matches!(runs, Runs::Own) && !last {
                        // Another one was quicker.
                        node.stop().await;
                        continue;
                    }
                    self.alone(node, async |node| work(Asker::Here(node)).await, (&mut signals, &mut activity)).await
                }
            };
            match result {
                Err(Failure::Node(Error::Control(ControlError::Lost))) if !last => {}
                result => return result,
            }
        }
        Err(Error::Control(ControlError::Lost).into())
    }

    /// Runs a finite command on a node inside it, as a guest where another process has the home.
    pub(crate) async fn look_by_itself<T>(&self, what: &str, work: impl AsyncFnOnce(Node) -> Result<T>) -> Result<T> {
        let mut signals = self.signals()?;
        let mut activity = Some(Activity::start(&self.output, what));
        let node = self.node(&mut signals).await?;
        self.alone(node, work, (&mut signals, &mut activity)).await
    }

    async fn through<T>(
        &self,
        remote: Arc<Remote>,
        work: &impl AsyncFn(Asker) -> Result<T>,
        signals: &mut Signals,
    ) -> Result<T> {
        let (to, events) = mpsc::channel(WARNINGS);
        self.pass_warnings(events);
        heed(signals, work(Asker::there(remote, self.places_asked(), to))).await?
    }

    /// Waits until a node that was given the home has it; not for long.
    pub(crate) async fn home_is_taken(&self) {
        let home = self.home();
        let taken = async {
            while home.held(Role::Node).is_none() {
                sleep(LOOK).await;
            }
        };
        // It has it the next moment, or somebody else may.
        let _ = timeout(TAKEN, taken).await;
    }

    async fn node(&self, signals: &mut Signals) -> Result<Node> {
        let (node, events) = heed(signals, Node::start(self.options())).await??;
        signals.heed(&node);
        self.warn_homeless(&node);
        self.pass_warnings(events);
        Ok(node)
    }

    async fn alone<T>(
        &self,
        node: Node,
        work: impl AsyncFnOnce(Node) -> Result<T>,
        (signals, activity): (&mut Signals, &mut Option<Activity>),
    ) -> Result<T> {
        let mut asked = node.yield_asked();
        let result = tokio::select! {
            result = heed(signals, work(node.clone())) => result.flatten(),
            Ok(_) = asked.wait_for(|asked| *asked) => {
                node.stop().await;
                self.home_is_taken().await;
                // It goes on through the other one.
                return Err(Error::Control(ControlError::Lost).into());
            }
        };
        drop(activity.take());
        result.as_ref().err().into_iter().for_each(|failure| self.warn_guest(node.is_guest_beside(), failure));
        node.stop().await;
        result
    }

    /// Where was looked, for the end of a sentence: `; looked at tracker h:1, peer h:2`, or nothing where a running node is asked alone.
    pub(crate) fn looked(&self) -> String {
        let trackers = self.settings.trackers.iter().map(|t| format!("tracker {}", t.host_port()));
        let peers = self.settings.peers.iter().map(|p| format!("peer {}", p.host_port()));
        let lan = self.settings.near.lan.as_ref().map(|_| "the local network".to_owned());
        let places: Vec<String> = trackers.chain(peers).chain(lan).collect();
        if places.is_empty() { String::new() } else { format!("; looked at {}", places.join(", ")) }
    }
}

/// Awaits something unless a signal comes.
pub(crate) async fn heed<T>(signals: &mut Signals, work: impl Future<Output = T>) -> Result<T> {
    tokio::select! {
        result = work => Ok(result),
        stop = signals.next() => Err(Failure::Stopped(stop)),
    }
}

/// Lets something stop cleanly; a further signal cuts that short.
pub(crate) async fn stop(stopped: impl Future<Output = ()>, signals: &mut Signals) {
    tokio::select! {
        () = stopped => {}
        _ = signals.next() => {}
    }
}

#[cfg(test)]
impl Context {
    /// Of a home that is nowhere.
    pub(crate) fn of_nobody() -> Self {
        let globals = Globals { home: Some("/nonexistent/home".into()), ..Default::default() };
        let settings = Settings::resolve(&globals, &Environment::default(), None);
        Self { settings: settings.expect("the defaults"), output: Console::new(&globals), within: None }
    }
}
