//! Who fetches from this node, as lines of a terminal or as sentences.
//! Not responsible for when: the caller samples the uploads and tells the time.

use std::cmp::Reverse;
use std::time::Duration;

use console::measure_text_width;
use itertools::Itertools as _;
use tokio::sync::watch;

use crate::cli::render::fit::{self, shortened};
use crate::cli::render::human::{count, counted, duration, mean_rate, percent, rate};
use crate::cli::render::live::{Frame, Live};
use crate::cli::render::table::{Align, Table};
use crate::cli::render::{Console, Style};
use crate::cli::say::names::Names;
use crate::model::{Shown, Size};
use crate::node::{Past, Upload, Uploads};

/// The most uploads that have a line of their own.
const UPLOADS: usize = 12;
/// Lines of a terminal that are for something else: the totals, the heading, the rest, what is over, and what was there before.
const OTHER_LINES: usize = 10;
/// What is fetched has so many columns at least.
const WHAT: usize = 6;
const INDENT: &str = "  ";

/// Shows who fetches from a node, as long as it serves: `what` it does, such as `sharing`.
pub(crate) fn live(output: &Console, what: &'static str, mut uploads: watch::Receiver<Uploads>) -> Live {
    let names = output.names().clone();
    let (mut last, mut at) = (Uploads::default(), Duration::ZERO);
    Live::start(output, move |frame| {
        // It does not change while nobody fetches.
        if uploads.has_changed().unwrap_or(false) || at.is_zero() {
            (last, at) = (uploads.borrow_and_update().clone(), frame.now);
        }
        lines(&last, frame.now.saturating_sub(at), what, &names, frame)
    })
}

/// Where there is no such view, each upload that is over has a line.
pub(crate) fn ended(output: &Console, upload: &Upload) {
    if output.style != Style::Bars {
        output.remark(&format!("qshare: {}", taken(upload, output.names())));
    }
}

/// How it went, in one sentence.
pub(crate) fn summary(uploads: &Uploads) -> String {
    if uploads.bytes == 0 {
        return "nobody has fetched anything from here".to_owned();
    }
    let all = uploads.ended + uploads.under_way.len() as u64;
    format!("sent {} in {} to {}", Size(uploads.bytes), counted(all, "upload"), counted(uploads.nodes, "node"))
}

/// What a node took: `anna (abcdefgh) took papers: 1.2 GiB in 12 s (100.0 MiB/s)`.
fn taken(upload: &Upload, names: &Names) -> String {
    told(upload, names, (true, true), &what(upload))
}

/// The same with where from or without, with how fast or without, and the name as it is given.
fn told(upload: &Upload, names: &Names, (from, fast): (bool, bool), what: &str) -> String {
    let who = match (names.of(upload.node), from) {
        (Some(_), true) => names.whole(upload.node),
        (None, true) => format!("{} at {}", names.short(upload.node), upload.addr),
        (_, false) => names.short(upload.node),
    };
    let size = Size(upload.size);
    let amount = match upload.is_whole() {
        true => format!("{what}: {size}"),
        false => format!("{} of {what} ({size})", Size(upload.bytes)),
    };
    let speed = rate(mean_rate(upload.bytes, upload.elapsed));
    let speed = if fast { format!(" in {} ({speed})", duration(upload.elapsed)) } else { String::new() };
    format!("{who} took {amount}{speed}")
}

fn what(upload: &Upload) -> String {
    upload.name.as_ref().map_or_else(|| upload.id.short(), |name| Shown(name.as_str()).to_string())
}

/// The totals, the uploads under way, and those that were over last. What was sampled is `old`.
fn lines(uploads: &Uploads, old: Duration, doing: &str, names: &Names, frame: Frame) -> Vec<String> {
    let mut lines = vec![headline(uploads, doing, frame)];
    lines.extend(under_way(uploads, names, frame));
    lines.extend(uploads.recent.iter().map(|past| over(past, old, names, frame)));
    lines
}

fn headline(uploads: &Uploads, doing: &str, frame: Frame) -> String {
    let now = uploads.under_way.len() as u64;
    let (name, mut parts) = match now {
        0 => (format!("{doing}, nobody fetches from here"), Vec::new()),
        _ => {
            let speed = uploads.under_way.iter().map(|upload| upload.rate).sum();
            (format!("{doing}, {}", counted(now, "upload")), vec![rate(speed)])
        }
    };
    if uploads.bytes > 0 {
        parts.push(format!("{} sent", Size(uploads.bytes)));
        parts.push(format!("to {}", counted(uploads.nodes, "node")));
    }
    parts.push(duration(frame.now));
    fit::line(frame.width, frame.paint, &frame.spinner(), &name, &parts)
}

/// The fastest first; those for whom there is no room in one line.
fn under_way(uploads: &Uploads, names: &Names, frame: Frame) -> Vec<String> {
    let sorted: Vec<_> = uploads.under_way.iter().sorted_by_key(|u| (Reverse(u.rate), Reverse(u.number))).collect();
    let (own, rest) = fit::own_lines(&sorted, frame.height, OTHER_LINES, UPLOADS);
    if own.is_empty() {
        return Vec::new();
    }
    let room = frame.width.saturating_sub(INDENT.len());
    let columns = [(true, true), (false, true), (false, false)];
    let columns = columns.into_iter().find_or_last(|columns| table((own, rest), names, *columns, WHAT).width() <= room);
    let columns = columns.unwrap_or((false, false));
    let spare = room.saturating_sub(table((own, rest), names, columns, WHAT).width());
    let text = table((own, rest), names, columns, WHAT + spare).render(None);
    let lines = text.lines().map(|line| format!("{INDENT}{line}")).enumerate();
    lines.map(|(row, line)| if row == 0 { frame.paint.aside(&line) } else { line }).collect()
}

/// With addresses or without, with sizes or without, and so many columns for what is fetched.
fn table((own, rest): (&[&Upload], &[&Upload]), names: &Names, (addresses, sizes): (bool, bool), most: usize) -> Table {
    let mut columns = vec![("NODE", Align::Left)];
    columns.extend(addresses.then_some(("ADDRESS", Align::Left)));
    columns.extend([("WHAT", Align::Left), ("SENT", Align::Right), ("RATE", Align::Right)]);
    let mut table = Table::new(&columns);
    for upload in own {
        let node = if sizes { names.brief(upload.node) } else { shortened(&names.short(upload.node), 8) };
        let part = percent(upload.bytes, upload.size);
        let sent = if sizes { format!("{part} % of {}", Size(upload.size)) } else { format!("{part} %") };
        let mut cells = vec![node];
        cells.extend(addresses.then(|| upload.addr.to_string()));
        cells.extend([fit::path(&what(upload), most), sent, rate(upload.rate)]);
        table.row(cells);
    }
    if !rest.is_empty() {
        let mut cells = vec![format!("{} more", count(rest.len() as u64))];
        cells.extend(addresses.then(String::new));
        cells.extend([String::new(), String::new(), rate(rest.iter().map(|upload| upload.rate).sum())]);
        table.row(cells);
    }
    table
}

fn over(past: &Past, old: Duration, names: &Names, frame: Frame) -> String {
    let seconds = (past.ago + old).as_secs();
    // `duration` has tenths below ten seconds, which would move all the time.
    let ago = if seconds < 10 { format!("{seconds} s") } else { duration(Duration::from_secs(seconds)) };
    let lead = format!("{INDENT}{ago} ago: ");
    let room = frame.width.saturating_sub(lead.len());
    let what = what(&past.upload);
    let with = |parts| told(&past.upload, names, parts, &what);
    let parts = [(true, true), (false, true), (false, false)].into_iter();
    let parts = parts.find_or_last(|parts| measure_text_width(&with(*parts)) <= room).unwrap_or((false, false));
    let missing = measure_text_width(&with(parts)).saturating_sub(room);
    let what = fit::path(&what, measure_text_width(&what).saturating_sub(missing).max(WHAT));
    frame.paint.aside(&format!("{lead}{}", shortened(&told(&past.upload, names, parts, &what), room)))
}

#[cfg(test)]
mod tests;
