//! What of a transfer is shown in how much room.

use console::measure_text_width;

use super::*;
use crate::cli::render::fit::Paint;
use crate::model::{NodeId, SafePath};
use crate::node::{FileCount, Why};

fn frame(width: usize) -> Frame {
    Frame { width, height: 24, paint: Paint::default(), now: Duration::from_secs(42) }
}

fn fetching(providers: u8) -> Progress {
    let provider = |n: u8| ProviderProgress {
        bytes: u64::from(n) << 20,
        rate: u64::from(n) << 20,
        ..ProviderProgress::new(NodeId::from_bytes([n; 32]), format!("10.0.0.{n}:4918").parse().expect("an address"))
    };
    let providers: Vec<_> = (1..=providers).map(provider).collect();
    Progress {
        phase: Phase::Fetching,
        name: Some(SafePath::parse("papers/physics/on-computable-numbers.pdf").expect("a name")),
        bytes: 512 << 20,
        fetched: providers.iter().map(|p| p.bytes).sum(),
        total: 1 << 30,
        rate: 64 << 20,
        providers,
        files: FileCount { whole: 12, all: 340 },
        ..Progress::default()
    }
}

fn shown(progress: &Progress, width: usize) -> Vec<String> {
    lines(progress, &Names::default(), frame(width))
}

#[test]
fn everything_has_room_at_120_columns() {
    let mut progress = fetching(2);
    (progress.providers[0].rate, progress.providers[0].why) = (0, Some(Why::Silent));
    let short = |n: u8| NodeId::from_bytes([n; 32]).short();
    let lines = shown(&progress, 120);
    let [head, bar, heading, first, second] = &lines[..] else { panic!("{lines:#?}") };
    let expected = " fetching papers/physics/on-computable-numbers.pdf  512 MiB of 1.0 GiB  12 of 340 files  42 s";
    assert!(head.ends_with(expected), "{head}");
    assert_eq!(bar, &format!("  [{}>{}]   50 %   64.0 MiB/s  8.0 s left", "=".repeat(20), " ".repeat(19)));
    assert_eq!(heading, "  PROVIDER  ADDRESS             RATE  SHARE");
    assert_eq!(first, &format!("  {}  10.0.0.2:4918  2.0 MiB/s   67 %", short(2)));
    assert_eq!(second, &format!("  {}  10.0.0.1:4918      0 B/s   33 %  {}", short(1), Why::Silent));
}

#[test]
fn parts_drop_out_where_there_is_no_room_and_nothing_is_wider() {
    let progress = fetching(30);
    for width in [39, 59, 79, 119, 199] {
        let lines = shown(&progress, width);
        assert!(lines.iter().all(|line| measure_text_width(line) <= width), "{width}: {lines:#?}");
        assert_eq!(lines.len(), 2 + 1 + 12 + 1, "the rest is one line");
        assert!(lines[15].contains("18 others"), "{lines:#?}");
    }
    let narrow = shown(&progress, 39);
    assert!(narrow[0].contains("papers/p…bers.pdf  512 MiB of 1.0 GiB"), "the name is shortened: {narrow:#?}");
    assert!(narrow[1].ends_with("]   50 %   64.0 MiB/s"), "the bar stays: {narrow:#?}");
    assert!(!narrow[2].contains("ADDRESS"), "{narrow:#?}");
    let wide = shown(&progress, 79);
    assert!(wide[0].contains("fetching papers/") && wide[2].contains("ADDRESS"), "{wide:#?}");
}

#[test]
fn few_lines_are_left_to_those_who_give_most() {
    let frame = Frame { height: 11, ..frame(79) };
    let lines = lines(&fetching(30), &Names::default(), frame);
    assert_eq!(lines.len(), 2 + 1 + 3 + 1);
    assert!(lines[3].contains(&NodeId::from_bytes([30; 32]).short()) && lines[6].contains("27 others"), "{lines:#?}");
    let three = super::lines(&fetching(4), &Names::default(), frame);
    assert_eq!(three.len(), 2 + 1 + 4, "nobody is `1 others`");
}

#[test]
fn a_wait_says_how_long_it_is_borne() {
    let waiting = Progress { gives_up: Some(Duration::from_secs(108)), rate: 0, ..fetching(0) };
    let of = |width| shown(&waiting, width).pop().expect("a line");
    assert_eq!(of(79), "  waiting for a provider, gives up in 1 m 48 s");
    assert_eq!(of(39), "  no provider, gives up in 1 m 48 s");
    assert_eq!(shown(&waiting, 79).len(), 3);
}

#[test]
fn before_a_name_is_known_it_says_what_it_does() {
    let looking = shown(&Progress::default(), 79);
    assert_eq!(looking.len(), 1);
    assert!(looking[0].ends_with("looking for providers  42 s"), "{looking:#?}");
}
