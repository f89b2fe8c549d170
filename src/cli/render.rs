//! Where output goes: results and JSON lines to standard output, all else to standard error.
//! Invariant: with `--json` nothing but JSON lines reaches standard output, and with `-q` nothing but errors
//! reaches standard error. A service (`sink.rs`) goes on when standard output is lost. Not responsible for what is said.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::actors::announcer::AnnouncerNotice;
use crate::cli::args::Globals;
use crate::cli::failure::{Failure, Result, stdout};
use crate::cli::say;
use crate::cli::say::names::Names;
use crate::model::obstacle::cause as words;
use crate::model::text::shown::is_moving;
use crate::model::{Friends, Shown};
use crate::node::Notice;

pub(crate) mod activity;
mod bottom;
pub(crate) mod census;
pub(crate) mod fit;
pub(crate) mod hits;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod log;
pub(crate) mod plain;
pub(crate) mod progress;
pub(crate) mod sink;
pub(crate) mod stdout;
pub(crate) mod table;
pub(crate) mod uploads;

use bottom::Bottom;
use fit::{Paint, colours};
use json::Line;
use live::Frame;
use sink::above::Above;
use sink::{Lost, Sink};
use table::Table;

/// How often the terminal is drawn on at most, a second.
const REFRESH: u8 = 20;

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
pub(crate) struct Console {
    /// Whether results are JSON lines.
    pub(crate) json: bool,
    /// Whether only results and errors are told.
    pub(crate) quiet: bool,
    wide: bool,
    /// How progress is shown.
    pub(crate) style: Style,
    /// Where bars are drawn.
    pub(crate) bars: MultiProgress,
    names: Names,
    sink: Sink,
    /// Where all of it goes instead, while somebody types.
    above: Arc<OnceLock<Above>>,
    /// Whether nobody is to be asked.
    asks_nobody: bool,
    /// Whether only what is wrong is told.
    only_warns: bool,
    /// Which line of a script it runs for.
    line: Option<u64>,
}

impl Console {
    /// As the global flags and the terminal have it.
    pub(crate) fn new(globals: &Globals) -> Self {
        let style = match () {
            () if globals.json || globals.quiet || globals.no_progress => Style::Nothing,
            () if io::stderr().is_terminal() && !console::is_dumb() => Style::Bars,
            () => Style::Lines,
        };
        let target = match style {
            Style::Bars => ProgressDrawTarget::term_like_with_hz(Box::new(Bottom::new()), REFRESH),
            Style::Lines | Style::Nothing => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        Self {
            json: globals.json,
            quiet: globals.quiet,
            wide: globals.wide,
            style,
            bars,
            names: Names::default(),
            sink: Sink::default(),
            above: Arc::default(),
            asks_nobody: false,
            only_warns: false,
            line: None,
        }
    }

    /// The same, with these friends shown by name.
    pub(crate) fn naming(self, friends: Friends) -> Self {
        Self { names: Names::new(friends), ..self }
    }

    /// The same, of a command that goes on when standard output is lost.
    pub(crate) fn of_service(self) -> Self {
        Self { sink: Sink::of_service(), ..self }
    }

    /// The same, of a command whose standard input is somebody else's.
    pub(crate) fn asking_nobody(self) -> Self {
        Self { asks_nobody: true, ..self }
    }

    /// The same, of what goes on while something else is shown: nothing of it moves.
    pub(crate) fn still(self) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self { style: Style::Nothing, bars, above: Arc::default(), ..self }
    }

    /// The same beside standard output of others' making: bars are drawn over what is on the line, and would take away the end of that.
    pub(crate) fn beside_bytes(self) -> Self {
        if self.style != Style::Bars {
            return self;
        }
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self { style: Style::Lines, bars, ..self }
    }

    /// The same, of what is watched elsewhere: only what is wrong is told, to people.
    pub(crate) fn only_warning(self) -> Self {
        Self { json: false, only_warns: true, ..self }
    }

    /// The same, of what this line of a script says: errors name it.
    pub(crate) fn at_line(self, line: Option<u64>) -> Self {
        Self { line, ..self }
    }

    /// From now on all that this and its clones tell goes there; the first time counts.
    pub(crate) fn go(&self, above: Above) {
        let _ = self.above.set(above);
    }

    /// How friends are called.
    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// The same for tables of results, with whole ids where these are not bounded to a width.
    pub(crate) fn table_names(&self) -> Names {
        self.names.wide(self.width().is_none())
    }

    /// The room for lines on standard error at this moment of what they show.
    pub(crate) fn frame(&self, now: Duration) -> Frame {
        let (rows, columns) = console::Term::stderr().size();
        Frame { width: usize::from(columns).saturating_sub(1), height: rows.into(), paint: Paint::new(colours()), now }
    }

    /// Whether somebody can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.asks_nobody && !self.json && !self.quiet && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// To how many columns tables are bounded: those of the terminal, if results go to one and nobody wants them whole.
    pub(crate) fn width(&self) -> Option<usize> {
        self.columns(&console::Term::stdout())
    }

    /// The same for tables on standard error.
    pub(crate) fn error_width(&self) -> Option<usize> {
        self.columns(&console::Term::stderr())
    }

    fn columns(&self, of: &console::Term) -> Option<usize> {
        let bounded = of.is_term() && !self.wide;
        of.size_checked().filter(|_| bounded).map(|(_, columns)| usize::from(columns))
    }

    /// A JSON line; nothing without `--json`.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written; never of a service.
    pub(crate) fn emit(&self, line: &impl Serialize) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        self.write(&bytes(line)?)
    }

    /// The same for each of several.
    ///
    /// # Errors
    /// As [`Self::emit`].
    pub(crate) fn emit_all<T: Serialize>(&self, lines: impl IntoIterator<Item = T>) -> Result<()> {
        lines.into_iter().try_for_each(|line| self.emit(&line))
    }

    /// A table as a result for people, as wide as the terminal; nothing with `--json`.
    ///
    /// # Errors
    /// As [`Self::print`].
    pub(crate) fn table(&self, table: &Table) -> Result<()> {
        self.print(&table.render(self.width()))
    }

    /// Writes a table for people, or a note where it has no rows.
    pub(crate) fn table_or(&self, table: &Table, none: &str) -> Result<()> {
        if table.is_empty() {
            self.note(none);
            return Ok(());
        }
        self.table(table)
    }

    /// A result for people, with its line ends; nothing with `--json`.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written; never of a service.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        if self.json || self.only_warns { Ok(()) } else { self.write(text.as_bytes()) }
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        match self.put(bytes) {
            Ok(()) => Ok(()),
            Err(_) if self.sink.is_service() => Ok(()),
            Err(cause) => Err(stdout(cause)),
        }
    }

    /// Writes to standard output; a service tells of the loss.
    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(above) = self.above.get() {
            above.told(&String::from_utf8_lossy(bytes));
            return Ok(());
        }
        let Err(Lost { cause, is_news }) = self.clear_of_bars(|| self.sink.write(bytes)) else { return Ok(()) };
        if is_news && self.sink.is_service() {
            let reason = match cause.kind() {
                io::ErrorKind::BrokenPipe => "whoever read standard output has closed it".to_owned(),
                _ => format!("standard output cannot be written ({})", words(&cause)),
            };
            self.tell(&format!("qshare: {reason}: this goes on without it, stop it with a signal"));
        }
        Err(cause)
    }

    /// Only bars need it: waiting for whoever reads must not hold up what is logged.
    pub(crate) fn clear_of_bars<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.style == Style::Bars { self.bars.suspend(write) } else { write() }
    }

    /// Something that may interest people: a line on standard error, unless `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.only_warns {
            self.tell(text);
        }
    }

    /// The same beside a result, which says it itself where it is a JSON line.
    pub(crate) fn remark(&self, text: &str) {
        if !self.json {
            self.note(text);
        }
    }

    /// The same for what a floor below has to say.
    pub(crate) fn notice(&self, notice: &Notice) {
        let text = say::notice(notice, &self.names);
        let is_good = matches!(notice, Notice::Announcer(AnnouncerNotice::Back { .. }));
        if is_good && !self.json { self.note(&format!("qshare: {text}")) } else { self.warn(&text) }
    }

    /// Something that is wrong without ending the command: a JSON line, or a line on standard error unless `-q`.
    pub(crate) fn warn(&self, message: &str) {
        let message = Shown(message).to_string();
        // Whoever closed the output of a finite command will be noticed at its next result.
        let told = self.json && bytes(&Line::Warning { message: &message }).is_ok_and(|line| self.put(&line).is_ok());
        if !told && (!self.json || self.sink.is_service()) {
            let sentence = format!("qshare: warning: {message}");
            if self.only_warns { self.tell(&sentence) } else { self.note(&sentence) }
        }
    }

    /// Why the command did not end well: the JSON line `error`, or a sentence on standard error.
    pub(crate) fn fail(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        let at = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let message = at + &say::failure(failure, &self.names);
        let sentence = format!("qshare: {message}");
        let line = Line::Error { code: failure.code(), exit: failure.exit().code(), message };
        let near = say::near(failure);
        let lines = near.iter().map(Line::Near).chain([line]);
        let told =
            self.json && lines.map(|line| bytes(&line)).all(|line| line.is_ok_and(|line| self.put(&line).is_ok()));
        if !told {
            self.tell(&sentence);
            near.iter().for_each(|one| self.tell(&say::suggested(one)));
        }
    }

    /// Nobody is left to tell when standard error is gone too.
    fn tell(&self, text: &str) {
        // What names no command the terminal may break as it does, unless somebody types there.
        let width = self.error_width().filter(|_| text.contains('`') || self.above.get().is_some());
        let text = &*width.map_or_else(|| text.into(), |width| Cow::Owned(fit::wrapped(text, width)));
        if let Some(above) = self.above.get() {
            return above.told(text);
        }
        self.clear_of_bars(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }
}

/// A line's bytes, with its end. A terminal may show it: what moves one is escaped, as JSON has it for control characters below 32.
fn bytes(line: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_string(line).map_err(|error| Failure::Other(error.into()))?;
    let mut bytes = Vec::with_capacity(text.len() + 1);
    for piece in text.split_inclusive(is_moving) {
        let last = piece.chars().next_back().filter(|last| is_moving(*last));
        let plain = piece.len() - last.map_or(0, char::len_utf8);
        bytes.extend(&piece.as_bytes()[..plain]);
        bytes.extend(last.map(|last| format!("\\u{:04x}", u32::from(last))).unwrap_or_default().bytes());
    }
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_has_nothing_that_moves_a_terminal_and_says_the_same() {
        let text = "a\u{9b}2J\u{85}b\u{202e}c\u{2066}\u{1b}\u{7f}\u{1f468}\u{200d}\u{1f467}é\n";
        let line = String::from_utf8(bytes(&text).expect("JSON")).expect("text");
        let body = line.strip_suffix('\n').expect("a line");
        assert!(!body.chars().any(is_moving), "{body:?}");
        assert_eq!(serde_json::from_str::<String>(body).expect("JSON"), text);
    }
}
