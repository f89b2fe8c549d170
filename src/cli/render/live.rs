//! Lines at the bottom of the terminal that show how something stands, and are gone at its end.
//! Invariant: what shows a service draws on a thread of its own, so a terminal that takes nothing holds up neither the node
//! nor a signal. Not responsible for what the lines say.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use crate::cli::render::fit::Paint;
use crate::cli::render::{Console, Style};

/// Between two drawings: bars look alive.
const TURN: Duration = Duration::from_millis(250);
/// So long a terminal has to take the last one.
const LAST: Duration = Duration::from_millis(500);
const SPINNER: [char; 8] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠇'];

/// The room that there is, and the moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// Columns that a line may have.
    pub(crate) width: usize,
    /// Lines that there may be.
    pub(crate) height: usize,
    /// In which colours.
    pub(crate) paint: Paint,
    /// For how long it has been shown.
    pub(crate) now: Duration,
}

impl Frame {
    /// What begins the first line, and moves.
    pub(crate) fn spinner(&self) -> String {
        let turn = self.now.as_millis() / TURN.as_millis() % SPINNER.len() as u128;
        format!("{} ", SPINNER[usize::try_from(turn).unwrap_or(0)])
    }
}

/// Lines on a terminal. Gone when dropped.
pub(crate) struct Screen {
    output: Console,
    lines: ProgressBar,
}

impl Screen {
    /// Nothing yet.
    pub(crate) fn new(output: &Console) -> Self {
        let lines = output.bars.add(ProgressBar::new_spinner());
        // A template that cannot be parsed would be a mistake of this file, seen by its test.
        lines.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        Self { output: output.clone(), lines }
    }

    /// Shows these, instead of those before.
    pub(crate) fn draw(&self, lines: &[String]) {
        self.lines.set_message(lines.join("\n"));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.lines.finish_and_clear();
        self.output.bars.remove(&self.lines);
    }
}

/// A service's lines.
pub(crate) struct Live {
    drawing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Live {
    /// Shows what `lines` gives, some times a second; nothing where there is no terminal.
    pub(crate) fn start(output: &Console, mut lines: impl FnMut(Frame) -> Vec<String> + Send + 'static) -> Self {
        if output.style != Style::Bars {
            return Self { drawing: None };
        }
        let (stop, stopped) = channel();
        let (output, started) = (output.clone(), Instant::now());
        let task = spawn_blocking(move || {
            let screen = Screen::new(&output);
            while matches!(stopped.recv_timeout(TURN), Err(RecvTimeoutError::Timeout)) {
                screen.draw(&lines(output.frame(started.elapsed())));
            }
        });
        Self { drawing: Some((stop, task)) }
    }

    /// Where nothing moves, a line now and then, when there is one.
    pub(crate) fn lines(
        output: &Console,
        every: Duration,
        mut line: impl FnMut() -> Option<String> + Send + 'static,
    ) -> Self {
        if output.style != Style::Lines {
            return Self { drawing: None };
        }
        let (stop, stopped) = channel();
        let output = output.clone();
        let task = spawn_blocking(move || {
            while matches!(stopped.recv_timeout(every), Err(RecvTimeoutError::Timeout)) {
                line().into_iter().for_each(|line| output.note(&format!("qshare: {line}")));
            }
        });
        Self { drawing: Some((stop, task)) }
    }

    /// Takes them away.
    pub(crate) async fn end(self) {
        let Some((stop, task)) = self.drawing else { return };
        drop(stop);
        // A terminal that takes nothing keeps what it has.
        let _ = timeout(LAST, task).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_sound_and_the_spinner_turns() {
        assert!(ProgressStyle::with_template("{msg}").is_ok());
        let at = |millis| Frame { width: 80, height: 24, paint: Paint::default(), now: Duration::from_millis(millis) };
        assert_ne!(at(0).spinner(), at(250).spinner());
        assert_eq!(at(0).spinner(), at(2000).spinner());
    }
}
