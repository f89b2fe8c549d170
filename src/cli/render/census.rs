//! How a tracker stands, as lines of a terminal or as sentences. Not responsible for when: the caller tells the time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;

use crate::cli::render::Console;
use crate::cli::render::fit;
use crate::cli::render::human::{count, counted, duration};
use crate::cli::render::live::{Frame, Live};
use crate::cli::say::names::Names;
use crate::node::Census;

/// Over which time searches are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Shows how a tracker stands, as long as it serves.
pub(crate) fn live(output: &Console, census: watch::Receiver<Census>) -> Live {
    let names = output.names().clone();
    let mut searches = Searches::default();
    Live::start(output, move |frame| {
        let now = census.borrow().clone();
        let lately = searches.lately(now.searches, frame.now);
        lines(&now, lately, &names, frame)
    })
}

/// The same where nothing moves: a line now and then, when something has changed.
pub(crate) fn now_and_then(output: &Console, census: watch::Receiver<Census>) -> Live {
    let (names, mut told) = (output.names().clone(), Census::default());
    Live::lines(output, MINUTE, move || {
        let now = census.borrow().clone();
        (std::mem::replace(&mut told, now.clone()) != now).then(|| sentence(&now, &names))
    })
}

/// In one sentence: how much there is, and whom it could not dial back.
pub(crate) fn sentence(census: &Census, names: &Names) -> String {
    let Census { nodes, offers, searches, .. } = census;
    let searches = if *searches == 1 { "1 search".to_owned() } else { format!("{} searches", count(*searches)) };
    let unreached = unreached(census, names).map(|text| format!("; {text}")).unwrap_or_default();
    format!("{}, {}, {searches} answered{unreached}", counted(*nodes, "node"), counted(*offers, "offer"))
}

/// Searches of the last minute, by what was counted within it.
#[derive(Default)]
struct Searches {
    counts: VecDeque<(Duration, u64)>,
}

impl Searches {
    fn lately(&mut self, all: u64, now: Duration) -> u64 {
        if self.counts.back().is_none_or(|(_, last)| *last != all) {
            self.counts.push_back((now, all));
        }
        // The last one before the minute is what there was at its begin.
        while self.counts.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= MINUTE) {
            self.counts.pop_front();
        }
        all - self.counts.front().map_or(all, |(_, first)| *first).min(all)
    }
}

fn lines(census: &Census, searches: u64, names: &Names, frame: Frame) -> Vec<String> {
    let rate =
        if searches == 1 { "1 search a minute".to_owned() } else { format!("{} searches a minute", count(searches)) };
    let parts = [counted(census.offers, "offer"), rate, duration(frame.now)];
    let mut lines = vec![fit::line(frame.width, frame.paint, &frame.spinner(), &counted(census.nodes, "node"), &parts)];
    let unreached = unreached(census, names).map(|text| fit::shortened(&text, frame.width.saturating_sub(2)));
    lines.extend(unreached.map(|text| format!("  {}", frame.paint.trouble(&text))));
    lines
}

fn unreached(census: &Census, names: &Names) -> Option<String> {
    let named: Vec<String> = census.unreached.iter().map(|node| names.brief(*node)).collect();
    let more = if census.more == 0 { String::new() } else { format!(" and {} more", count(census.more)) };
    (!named.is_empty()).then(|| format!("not dialled back: {}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::fit::Paint;
    use crate::model::NodeId;

    fn census() -> Census {
        let unreached = (1..=8).map(|n| NodeId::from_bytes([n; 32])).collect();
        Census { nodes: 1200, offers: 34_000, searches: 7, unreached, more: 3 }
    }

    #[test]
    fn searches_are_counted_over_a_minute() {
        let mut searches = Searches::default();
        let at = Duration::from_secs;
        assert_eq!(searches.lately(5, at(0)), 0, "what was before is not known");
        assert_eq!(searches.lately(7, at(10)), 2);
        assert_eq!(searches.lately(9, at(50)), 4);
        assert_eq!(searches.lately(9, at(70)), 2, "those of the first ten seconds are a minute ago");
        assert_eq!(searches.lately(9, at(200)), 0);
    }

    #[test]
    fn whom_it_could_not_dial_back_has_a_line() {
        let frame = |width| Frame { width, height: 24, paint: Paint::default(), now: Duration::from_secs(65) };
        let [head, unreached] = &lines(&census(), 2, &Names::default(), frame(119))[..] else { panic!("two lines") };
        assert!(head.ends_with(" 1,200 nodes  34,000 offers  2 searches a minute  1 m 05 s"), "{head}");
        let first = NodeId::from_bytes([1; 32]).short();
        assert!(unreached.starts_with(&format!("  not dialled back: {first}, ")), "{unreached}");
        assert!(unreached.ends_with(" and 3 more"), "{unreached}");
        for width in [39, 79] {
            let lines = lines(&census(), 2, &Names::default(), frame(width));
            assert!(lines.iter().all(|line| console::measure_text_width(line) <= width), "{lines:#?}");
        }
        let quiet = Census { nodes: 1, offers: 1, searches: 1, ..Census::default() };
        assert_eq!(lines(&quiet, 0, &Names::default(), frame(119)).len(), 1);
        assert_eq!(sentence(&quiet, &Names::default()), "1 node, 1 offer, 1 search answered");
        assert!(sentence(&census(), &Names::default()).contains("7 searches answered; not dialled back: "));
    }
}
