//! What of uploads is shown in how much room.

use console::measure_text_width;

use super::*;
use crate::cli::render::fit::Paint;
use crate::model::{ContentId, Friend, Friends, NodeId, SafePath};

fn frame(width: usize) -> Frame {
    Frame { width, height: 24, paint: Paint::default(), now: Duration::from_secs(65) }
}

fn upload(n: u8) -> Upload {
    Upload {
        number: n.into(),
        node: NodeId::from_bytes([n; 32]),
        addr: format!("10.0.0.{n}:40000").parse().expect("an address"),
        id: ContentId::of(b"x"),
        name: SafePath::parse("papers/physics/on-computable-numbers.pdf").ok(),
        size: 1 << 30,
        bytes: 256 << 20,
        rate: u64::from(n) << 20,
        elapsed: Duration::from_secs(12),
    }
}

fn uploads(many: u8) -> Uploads {
    let over = Upload { bytes: 1 << 30, ..upload(9) };
    Uploads {
        under_way: (1..=many).map(upload).collect(),
        recent: vec![Past { upload: over, ago: Duration::from_secs(20) }],
        ended: 4,
        bytes: 5 << 30,
        nodes: 3,
    }
}

fn names() -> Names {
    let friend = Friend { name: "anna".parse().expect("a name"), node: NodeId::from_bytes([2; 32]), at: None };
    Names::new(Friends::new([friend]))
}

#[test]
fn each_upload_has_its_line() {
    let lines = lines(&uploads(2), Duration::from_secs(5), "sharing", &names(), frame(119));
    let [head, heading, anna, other, over] = &lines[..] else { panic!("{lines:#?}") };
    assert!(head.ends_with(" sharing, 2 uploads  3.0 MiB/s  5.0 GiB sent  to 3 nodes  1 m 05 s"), "{head}");
    let [one, two, nine] = [1, 2, 9].map(|n| NodeId::from_bytes([n; 32]).short());
    assert!(heading.starts_with("  NODE             ADDRESS         WHAT"), "{heading}");
    let of = "papers/physics/on-computable-numbers.pdf  25 % of 1.0 GiB";
    assert_eq!(anna, &format!("  anna ({two})  10.0.0.2:40000  {of}  2.0 MiB/s"));
    assert_eq!(other, &format!("  {one}         10.0.0.1:40000  {of}  1.0 MiB/s"));
    let took = "took papers/physics/on-computable-numbers.pdf: 1.0 GiB in 12 s (85.3 MiB/s)";
    assert_eq!(over, &format!("  25 s ago: {nine} at 10.0.0.9:40000 {took}"));
}

#[test]
fn of_what_is_over_the_amount_and_the_name_are_left_last() {
    let part = Upload { bytes: 36 << 20, size: 58 << 20, ..upload(9) };
    let past = Past { upload: part, ago: Duration::from_secs(12) };
    let nine = NodeId::from_bytes([9; 32]).short();
    let at = |width| over(&past, Duration::ZERO, &names(), frame(width));
    let of = "36.0 MiB of papers/physics/on-computable-numbers.pdf (58.0 MiB)";
    assert_eq!(at(119), format!("  12 s ago: {nine} took {of} in 12 s (3.0 MiB/s)"));
    assert_eq!(at(90), format!("  12 s ago: {nine} took {of}"));
    let short = at(75);
    assert!(short.contains("36.0 MiB of papers/") && short.ends_with(".pdf (58.0 MiB)"), "{short}");
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    for width in [39, 59, 79, 119, 199] {
        for many in [0, 1, 4, 30] {
            let lines = lines(&uploads(many), Duration::ZERO, "sharing", &names(), frame(width));
            assert!(lines.iter().all(|line| measure_text_width(line) <= width), "{width}: {lines:#?}");
            let rows = match many {
                0 => 0,
                30 => 1 + 12 + 1,
                few => 1 + usize::from(few),
            };
            assert_eq!(lines.len(), 1 + rows + 1, "{lines:#?}");
        }
    }
    let narrow = lines(&uploads(30), Duration::ZERO, "sharing", &names(), frame(39));
    assert!(narrow[14].contains("18 more"), "{narrow:#?}");
}

#[test]
fn how_it_went_is_one_sentence() {
    assert_eq!(summary(&uploads(2)), "sent 5.0 GiB in 6 uploads to 3 nodes");
    assert_eq!(summary(&Uploads::default()), "nobody has fetched anything from here");
    let short = NodeId::from_bytes([2; 32]).short();
    let part = "took 256 MiB of papers/physics/on-computable-numbers.pdf (1.0 GiB) in 12 s (21.3 MiB/s)";
    assert_eq!(taken(&upload(2), &names()), format!("anna ({short}) {part}"));
    let nameless = Upload { name: None, ..upload(2) };
    assert!(taken(&nameless, &names()).contains(&format!("256 MiB of {} (1.0 GiB)", ContentId::of(b"x").short())));
}
