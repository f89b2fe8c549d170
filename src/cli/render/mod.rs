//! Where output goes: results and JSON lines to standard output, all else to standard error.
//! Invariant: with `--json` nothing but JSON lines reaches standard output, and with `-q` nothing but errors
//! reaches standard error. Not responsible for what is said.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::cli::args::Globals;
use crate::cli::failure::{Failure, stdout};
use crate::model::{Friends, Shown};

pub(crate) mod activity;
pub(crate) mod hits;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod plain;
pub(crate) mod progress;
pub(crate) mod table;

use json::Line;
use names::Names;

/// How progress is shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bars that are drawn again and again.
    Bars,
    /// A plain line every few seconds.
    Lines,
    /// Not at all.
    Nothing,
}

/// Where output goes. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    style: Style,
    bars: MultiProgress,
    names: Names,
}

impl Output {
    /// As the global flags and the terminal have it.
    pub(crate) fn new(globals: &Globals) -> Self {
        let style = match () {
            () if globals.json || globals.quiet || globals.no_progress => Style::Nothing,
            () if io::stderr().is_terminal() => Style::Bars,
            () => Style::Lines,
        };
        let target = if style == Style::Bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        Self { json: globals.json, quiet: globals.quiet, style, bars, names: Names::default() }
    }

    /// The same, with these friends shown by name.
    pub(crate) fn naming(self, friends: Friends) -> Self {
        Self { names: Names::new(friends), ..self }
    }

    /// How friends are called.
    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// Whether results are JSON lines.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// How progress is shown.
    pub(crate) const fn style(&self) -> Style {
        self.style
    }

    /// Where bars are drawn.
    pub(crate) const fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether somebody can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.json && !self.quiet && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// To how many columns tables are bounded: those of the terminal, if results go to one.
    pub(crate) fn width(&self) -> Option<usize> {
        if !io::stdout().is_terminal() {
            return None;
        }
        console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
    }

    /// The same for tables on standard error.
    pub(crate) fn error_width(&self) -> Option<usize> {
        if !io::stderr().is_terminal() {
            return None;
        }
        console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns))
    }

    /// A JSON line; nothing without `--json`.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written.
    pub(crate) fn emit(&self, line: &Line<'_>) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let mut bytes = serde_json::to_vec(line).map_err(|error| Failure::Other(error.into()))?;
        bytes.push(b'\n');
        self.write(&bytes)
    }

    /// A result for people, with its line ends; nothing with `--json`.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.write(text.as_bytes()) }
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        };
        self.bars.suspend(write).map_err(stdout)
    }

    /// Something that may interest people: a line on standard error, unless `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.tell(text);
        }
    }

    /// Something that is wrong without ending the command: a JSON line, or a line on standard error unless `-q`.
    pub(crate) fn warn(&self, message: &str) {
        let message = self.names.in_sentence(&Shown(message).to_string());
        if self.json {
            // Whoever closed the output will be noticed at the next result.
            let _ = self.emit(&Line::Warning { message: &message });
        } else {
            self.note(&format!("qshare: warning: {message}"));
        }
    }

    /// Why the command did not end well: the JSON line `error`, or a sentence on standard error.
    pub(crate) fn fail(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if self.json {
            let (code, exit) = (failure.code().word(), failure.exit().code());
            let _ = self.emit(&Line::Error { code, exit, message: self.names.in_sentence(&failure.to_string()) });
        } else {
            self.tell(&self.names.in_sentence(&format!("qshare: {failure}")));
        }
    }

    /// Nobody is left to tell when standard error is gone too.
    fn tell(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    /// A place for log lines that does not tear the bars.
    pub(crate) fn log_writer(&self) -> impl Fn() -> LogWriter + Send + Sync + 'static {
        let bars = self.bars.clone();
        move || LogWriter(bars.clone())
    }
}

/// Standard error with the bars out of the way.
#[derive(Debug)]
pub(crate) struct LogWriter(MultiProgress);

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
