//! The signals that end a command: SIGINT, SIGTERM and SIGHUP; elsewhere ctrl-c.
//! SIGINT and SIGHUP that were ignored when the process began stay ignored (`io/ignored.rs`).

use std::io;

use tokio::sync::watch;

use crate::cli::exit::Exit;
use crate::node::Host;

/// A wish to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Another command ends the node that runs here.
    Asked,
    /// SIGHUP: the terminal is gone.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no such signal here"))]
    Hangup,
    /// SIGINT: ctrl-c.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Stop {
    /// How a finite command ends by it.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Hangup => Exit::HUNG_UP,
            Self::Interrupt => Exit::INTERRUPTED,
            Self::Asked | Self::Terminate => Exit::TERMINATED,
        }
    }
}

/// Waits for signals; while it is there they do not end the process by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    /// None once it came: the kernel and the shell both tell of a closed terminal, and the second telling is no wish to
    /// be quicker.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    interrupt: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
    /// What a shell passes on to a command that runs in it.
    told: Option<watch::Receiver<Stop>>,
    /// What another command asks of the node that runs here.
    asked: Option<watch::Receiver<bool>>,
    /// Whether there was a wish to stop, which may have been too late for what it was to end.
    pub(crate) came: bool,
}

#[cfg(unix)]
impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let unless_ignored = |kind: SignalKind| match crate::io::ignored::is_ignored(kind.as_raw_value()) {
            true => Ok(None),
            false => signal(kind).map(Some),
        };
        Ok(Self {
            hangup: unless_ignored(SignalKind::hangup())?,
            interrupt: unless_ignored(SignalKind::interrupt())?,
            terminate: Some(signal(SignalKind::terminate())?),
            told: None,
            asked: None,
            came: false,
        })
    }

    /// The next wish to stop.
    pub(crate) async fn next(&mut self) -> Stop {
        let stop = tokio::select! {
            () = come(&mut self.hangup) => Stop::Hangup,
            () = come(&mut self.interrupt) => Stop::Interrupt,
            () = come(&mut self.terminate) => Stop::Terminate,
            stop = is_told(&mut self.told) => stop,
            () = is_asked(&mut self.asked) => Stop::Asked,
        };
        self.came = true;
        if stop == Stop::Hangup {
            // The handler stays in the process, so further ones do nothing.
            self.hangup = None;
        }
        stop
    }
}

/// Another command has asked, which it does once.
async fn is_asked(asked: &mut Option<watch::Receiver<bool>>) {
    let came = match asked {
        Some(asked) => asked.wait_for(|asked| *asked).await.is_ok(),
        None => false,
    };
    *asked = None;
    if !came {
        std::future::pending::<()>().await;
    }
}

/// What is told, each time that it is.
async fn is_told(told: &mut Option<watch::Receiver<Stop>>) -> Stop {
    if let Some(stops) = told
        && stops.changed().await.is_ok()
    {
        return *stops.borrow_and_update();
    }
    std::future::pending().await
}

impl Signals {
    /// Those that a shell passes on, and no others.
    pub(crate) const fn of_shell(stops: watch::Receiver<Stop>) -> Self {
        Self {
            #[cfg(unix)]
            hangup: None,
            #[cfg(unix)]
            interrupt: None,
            #[cfg(unix)]
            terminate: None,
            told: Some(stops),
            asked: None,
            came: false,
        }
    }

    /// Also comes when another command asks that this node stops.
    pub(crate) fn heed(&mut self, node: &Host) {
        self.asked = Some(node.stop_asked());
    }

    /// Whether Ctrl-C does nothing, because whoever started the process wants that.
    #[cfg(unix)]
    pub(crate) const fn ignore_interrupts(&self) -> bool {
        self.interrupt.is_none() && self.told.is_none()
    }

    /// Never here.
    #[cfg(not(unix))]
    pub(crate) const fn ignore_interrupts(&self) -> bool {
        false
    }
}

#[cfg(unix)]
async fn come(signal: &mut Option<tokio::signal::unix::Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(not(unix))]
impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// Never here.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { told: None, asked: None, came: false })
    }

    /// The next wish to stop.
    pub(crate) async fn next(&mut self) -> Stop {
        let is_told_alone = self.told.is_some();
        let interrupted = async {
            if is_told_alone {
                std::future::pending::<()>().await;
            }
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let stop = tokio::select! {
            () = interrupted => Stop::Interrupt,
            () = is_asked(&mut self.asked) => Stop::Asked,
            stop = is_told(&mut self.told) => stop,
        };
        self.came = true;
        stop
    }
}
