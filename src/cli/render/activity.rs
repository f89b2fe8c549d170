//! Something that may take a while, other than a transfer: a spinner or a bar, or now and then a plain line.
//! Gone from the screen when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::cli::render::human::percent;
use crate::cli::render::{Console, Style};
use crate::model::Size;

/// How often it is drawn.
const TURN: Duration = Duration::from_millis(120);
/// Between two plain lines; nothing is said about what is done sooner.
const EVERY: Duration = Duration::from_secs(3);

/// Something that goes on. Start it within a runtime.
#[derive(Debug)]
pub(crate) struct Activity {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
    task: Option<JoinHandle<()>>,
    line: Option<ProgressBar>,
    output: Console,
}

impl Activity {
    /// Begins to show what is done, such as `hashing`.
    pub(crate) fn start(output: &Console, what: &str) -> Self {
        let (done, total) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let line = (output.style == Style::Bars).then(|| {
            let line = output.bars.add(ProgressBar::new_spinner().with_style(style(SPINNER)));
            line.set_message(what.to_owned());
            line
        });
        let counts = Counts { done: done.clone(), total: total.clone() };
        let task = match (&line, output.style) {
            (Some(line), _) => Some(tokio::spawn(draw(line.clone(), counts))),
            (None, Style::Lines) => Some(tokio::spawn(write(output.clone(), what.to_owned(), counts))),
            (None, _) => None,
        };
        Self { done, total, task, line, output: output.clone() }
    }

    /// Where the bytes done are counted, from any thread.
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        self.done.clone()
    }

    /// How many bytes are done, of how many.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        if let Some(line) = &self.line {
            line.finish_and_clear();
            self.output.bars.remove(line);
        }
    }
}

/// A template that cannot be parsed would be a mistake of this file, seen by its test; then there is a plain spinner.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

const BAR: &str = "{spinner} {msg}  [{wide_bar}]  {prefix}";
const SPINNER: &str = "{spinner} {msg}  {prefix}";

struct Counts {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl Counts {
    fn load(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

async fn draw(line: ProgressBar, counts: Counts) {
    let mut ticks = tokio::time::interval(TURN);
    let mut is_bar = false;
    loop {
        ticks.tick().await;
        let (done, total) = counts.load();
        if total > 0 && !is_bar {
            is_bar = true;
            line.set_style(style(BAR).progress_chars("=> "));
        }
        if is_bar {
            line.set_length(total);
            line.set_position(done);
        }
        line.set_prefix(standing(done, total));
        line.tick();
    }
}

async fn write(output: Console, what: String, counts: Counts) {
    loop {
        tokio::time::sleep(EVERY).await;
        let (done, total) = counts.load();
        let standing = standing(done, total);
        output.note(format!("qshare: {what} {standing}").trim_end());
    }
}

fn standing(done: u64, total: u64) -> String {
    match (done, total) {
        (0, 0) => String::new(),
        (_, 0) => Size(done).to_string(),
        _ => format!("{} % of {}", percent(done, total), Size(total)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_sound() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn what_is_known_is_told() {
        assert_eq!(standing(0, 0), "");
        assert_eq!(standing(1 << 20, 0), "1.0 MiB");
        assert_eq!(standing(1 << 20, 4 << 20), "25 % of 4.0 MiB");
    }
}
