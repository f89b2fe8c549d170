//! A transfer's progress on standard error: lines that are drawn again and again, or a plain line now and then.
//! Not responsible for when: the caller samples the transfer and tells the time.

pub(crate) mod jobs;

use std::cmp::Reverse;
use std::time::Duration;

use itertools::Itertools as _;

use crate::cli::render::fit::{self, shortened};
use crate::cli::render::human::{count, duration, percent, rate, shares, time_left};
use crate::cli::render::live::{Frame, Screen};
use crate::cli::render::plain::{self, Lines};
use crate::cli::render::table::{Align, Table};
use crate::cli::render::{Console, Style};
use crate::cli::say::names::Names;
use crate::model::{Shown, Size};
use crate::node::{Phase, Progress, ProviderProgress};

/// The most providers that have a line of their own; there are at most 12 active ones.
const PROVIDERS: usize = 12;
/// Lines of a terminal that are not for providers: the whole, a wait, the heading, the rest, and what was there before.
const OTHER_LINES: usize = 8;
/// Below so many columns only what tells most has room.
const NARROW: usize = 50;

/// Shows one transfer.
pub(crate) struct View {
    output: Console,
    kind: Kind,
}

enum Kind {
    Screen(Screen),
    Lines(Lines),
    Nothing,
}

impl View {
    /// A view that has shown nothing yet.
    pub(crate) fn new(output: &Console, subject: &str) -> Self {
        let kind = match output.style {
            Style::Bars => Kind::Screen(Screen::new(output)),
            Style::Lines => Kind::Lines(Lines::of(subject)),
            Style::Nothing => Kind::Nothing,
        };
        Self { output: output.clone(), kind }
    }

    /// Shows where the transfer stands.
    pub(crate) fn show(&mut self, progress: &Progress, now: Duration) {
        match &mut self.kind {
            Kind::Screen(screen) => screen.draw(&lines(progress, self.output.names(), self.output.frame(now))),
            Kind::Lines(lines) => {
                if let Some(line) = lines.line(progress, now) {
                    self.output.note(&format!("qshare: {line}"));
                }
            }
            Kind::Nothing => {}
        }
    }
}

/// The whole, and whoever gives beneath it.
fn lines(progress: &Progress, names: &Names, frame: Frame) -> Vec<String> {
    let mut lines = vec![headline(progress, frame)];
    lines.extend(bar(progress, frame));
    if progress.phase == Phase::Fetching {
        lines.extend(waiting(progress, frame));
        lines.extend(providers(progress, names, frame));
    }
    lines
}

/// What is done to what, how much of it is there, and since when.
fn headline(progress: &Progress, frame: Frame) -> String {
    let lead = frame.spinner();
    let elapsed = duration(frame.now);
    let (what, of) = plain::action(progress);
    let mut parts = Vec::new();
    let (done, total) = plain::amounts(progress);
    if total > 0 {
        parts.push(format!("{} of {}", Size(done), Size(total)));
    }
    parts.extend(plain::files(progress));
    parts.push(elapsed);
    match &progress.name {
        Some(name) => {
            let name = Shown(name.as_str()).to_string();
            let lead = if frame.width < NARROW { lead } else { format!("{lead}{what} ") };
            fit::line(frame.width, frame.paint, &lead, &name, &parts)
        }
        None => fit::line(frame.width, frame.paint, &lead, &format!("{what}{of}"), &parts),
    }
}

/// How far it is; none while nothing is known.
fn bar(progress: &Progress, frame: Frame) -> Option<String> {
    let (done, total) = plain::amounts(progress);
    if total == 0 {
        return None;
    }
    let mut parts = vec![format!("{:>3} %", percent(done, total))];
    if progress.phase == Phase::Fetching {
        parts.push(format!("{:>11}", rate(progress.rate)));
        let left = time_left(total.saturating_sub(done), progress.rate);
        parts.extend(left.map(|left| format!("{} left", duration(left))));
    }
    Some(fit::bar(frame.width, frame.paint, (done, total), &parts))
}

/// That there is nobody to fetch from, and how long that is borne.
fn waiting(progress: &Progress, frame: Frame) -> Option<String> {
    let left = duration(progress.gives_up?);
    let sentences = [
        format!("  waiting for a provider, gives up in {left}"),
        format!("  no provider, gives up in {left}"),
        format!("  gives up in {left}"),
    ];
    let fitting = sentences.into_iter().find(|sentence| sentence.len() <= frame.width)?;
    Some(frame.paint.trouble(&fitting))
}

/// Whoever gives, the fastest first; those for whom there is no room in one line.
fn providers(progress: &Progress, names: &Names, frame: Frame) -> Vec<String> {
    let sorted = progress.providers.iter().sorted_by_key(|p| (Reverse(p.rate), Reverse(p.bytes), p.node));
    let sorted: Vec<&ProviderProgress> = sorted.collect();
    let (own, rest) = fit::own_lines(&sorted, frame.height, OTHER_LINES, PROVIDERS);
    if own.is_empty() {
        return Vec::new();
    }
    let room = frame.width.saturating_sub(INDENT.len());
    let addresses = table(names, (own, rest), Columns { room, addresses: true, causes: 0 }).width() <= room;
    let without = Columns { room, addresses, causes: 0 };
    let causes = room.saturating_sub(table(names, (own, rest), without).width() + 2);
    let table = table(names, (own, rest), Columns { causes, ..without }).render(None);
    let lines = table.lines().map(|line| format!("{INDENT}{line}")).enumerate();
    let troubled = |row: usize| own.get(row.wrapping_sub(1)).is_some_and(|p| p.rate == 0 && p.why.is_some());
    let painted = lines.map(|(row, line)| match row {
        0 => frame.paint.aside(&line),
        row if troubled(row) => frame.paint.trouble(&line),
        _ => line,
    });
    painted.collect()
}

const INDENT: &str = "  ";
/// Of a cause less than this says nothing.
const CAUSE: usize = 12;

/// What of providers has room.
#[derive(Clone, Copy)]
struct Columns {
    /// For all of it.
    room: usize,
    /// Where they are.
    addresses: bool,
    /// For why they give nothing.
    causes: usize,
}

fn table(names: &Names, (own, rest): (&[&ProviderProgress], &[&ProviderProgress]), of: Columns) -> Table {
    let causes = of.causes >= CAUSE && own.iter().any(|p| p.why.is_some());
    let mut columns = vec![("PROVIDER", Align::Left)];
    columns.extend(of.addresses.then_some(("ADDRESS", Align::Left)));
    columns.extend([("RATE", Align::Right), ("SHARE", Align::Right)]);
    columns.extend(causes.then_some(("", Align::Left)));
    let mut table = Table::new(&columns);
    let sum = |of: fn(&ProviderProgress) -> u64| rest.iter().map(|p| of(p)).sum::<u64>();
    let mut shares = shares(own.iter().map(|p| p.bytes).chain([sum(|p| p.bytes)])).into_iter();
    let mut row = |who: String, at: String, speed: u64, cause: String| {
        let share = shares.next().unwrap_or(0);
        let mut cells = vec![shortened(&who, of.room / 3)];
        cells.extend(of.addresses.then_some(at));
        cells.extend([rate(speed), format!("{share} %")]);
        cells.extend(causes.then(|| shortened(&cause, of.causes)));
        table.row(cells);
    };
    for p in own {
        let cause = p.why.map(|why| why.to_string()).unwrap_or_default();
        row(names.short(p.node), p.addr.to_string(), p.rate, cause);
    }
    if !rest.is_empty() {
        let others = format!("{} others", count(rest.len() as u64));
        row(others, String::new(), sum(|p| p.rate), String::new());
    }
    table
}

#[cfg(test)]
mod tests;
