//! A transfer's progress on standard error: one bar for the whole and a line per provider, or plain lines.
//! Not responsible for when: the caller samples the transfer and tells the time.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::render::plain::{self, Lines};
use crate::cli::render::{Console, Style};
use crate::cli::say::names::Names;
use crate::model::NodeId;
use crate::node::{Phase, Progress};

/// How often a spinner turns by itself.
const TURN: Duration = Duration::from_millis(120);
/// The most providers that have a line of their own; there are at most 12 active ones.
const PROVIDERS: usize = 16;

/// Shows one transfer.
pub(crate) struct View {
    output: Console,
    kind: Kind,
}

enum Kind {
    Bars(Bars),
    Lines(Lines),
    Nothing,
}

impl View {
    /// A view that has shown nothing yet.
    pub(crate) fn new(output: &Console) -> Self {
        let kind = match output.style() {
            Style::Bars => Kind::Bars(Bars::new(output.bars())),
            Style::Lines => Kind::Lines(Lines::default()),
            Style::Nothing => Kind::Nothing,
        };
        Self { output: output.clone(), kind }
    }

    /// Shows where the transfer stands.
    pub(crate) fn show(&mut self, progress: &Progress, now: Duration) {
        match &mut self.kind {
            Kind::Bars(bars) => bars.show(progress, self.output.names()),
            Kind::Lines(lines) => {
                if let Some(line) = lines.line(progress, now) {
                    self.output.note(&format!("qshare: {line}"));
                }
            }
            Kind::Nothing => {}
        }
    }
}

/// The whole, and the providers beneath it. Gone from the screen when dropped.
struct Bars {
    multi: MultiProgress,
    whole: ProgressBar,
    phase: Option<Phase>,
    providers: HashMap<NodeId, ProgressBar>,
}

impl Bars {
    fn new(multi: &MultiProgress) -> Self {
        let whole = multi.add(ProgressBar::new_spinner());
        whole.enable_steady_tick(TURN);
        Self { multi: multi.clone(), whole, phase: None, providers: HashMap::new() }
    }

    fn show(&mut self, progress: &Progress, names: &Names) {
        if self.phase != Some(progress.phase) {
            self.phase = Some(progress.phase);
            self.whole.set_style(if progress.phase == Phase::Fetching { bar() } else { spinner() });
        }
        self.whole.set_length(progress.total.max(1));
        self.whole.set_position(progress.bytes);
        self.whole.set_message(plain::activity(progress));
        self.whole.set_prefix(plain::standing(progress));
        self.show_providers(progress, names);
    }

    fn show_providers(&mut self, progress: &Progress, names: &Names) {
        self.providers.retain(|node, line| {
            let stays = progress.providers.iter().any(|p| p.node == *node);
            if !stays {
                line.finish_and_clear();
                self.multi.remove(line);
            }
            stays
        });
        for provider in progress.providers.iter().take(PROVIDERS) {
            let add = || {
                let line = self.multi.add(ProgressBar::new_spinner());
                line.set_style(text());
                line
            };
            let line = self.providers.entry(provider.node).or_insert_with(add);
            line.set_message(plain::provider(names, provider, progress.fetched));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for line in self.providers.values().chain([&self.whole]) {
            line.finish_and_clear();
            self.multi.remove(line);
        }
    }
}

/// A template that cannot be parsed would be a mistake of this file, seen by its test; then there is a plain spinner.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

const BAR: &str = "{spinner} {msg}  [{wide_bar}]  {prefix}";
const SPINNER: &str = "{spinner} {msg}  {prefix}";
const TEXT: &str = "    {msg}";

/// A bar of known length.
pub(crate) fn bar() -> ProgressStyle {
    style(BAR).progress_chars("=> ")
}

/// Something that goes on.
pub(crate) fn spinner() -> ProgressStyle {
    style(SPINNER)
}

fn text() -> ProgressStyle {
    style(TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_sound() {
        for template in [BAR, SPINNER, TEXT] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
