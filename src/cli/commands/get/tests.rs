use std::time::Duration;

use super::*;
use crate::model::{Kind, NodeId, SafePath};
use crate::node::ProviderProgress;

fn arguments(line: &[&str]) -> GetArgs {
    let line = ["qshare", "get"].iter().chain(line).map(std::ffi::OsString::from);
    match crate::cli::args::parse(line).expect("parsed").1 {
        crate::cli::args::Command::Get(arguments) => arguments,
        other => panic!("{other:?}"),
    }
}

fn outcome(bytes: u64, fetched: u64) -> Outcome {
    let addr = "127.0.0.1:1".parse().expect("addr");
    let given =
        |key: &[u8], bytes| ProviderProgress { bytes, ..ProviderProgress::new(NodeId::of_public_key(key), addr) };
    Outcome {
        id: ContentId::of(b"x"),
        kind: Kind::File,
        name: SafePath::parse("f").expect("a name"),
        path: Some("/d/f".into()),
        bytes,
        fetched,
        part: false,
        copied: 0,
        replaced: 0,
        left: 0,
        elapsed: Duration::from_secs(2),
        providers: vec![given(b"a", fetched), given(b"b", 0)],
        plane: Some(crate::node::Plane::Lan),
        preview: None,
        shares: Vec::new(),
        seeding: false,
        lacks: false,
        waited: Duration::ZERO,
    }
}

#[test]
fn words_that_are_all_ids_are_so_many_things() {
    let context = Context::of_nobody();
    let wants = |line: &[&str]| {
        wants(&context, &arguments(line)).map(|wants| wants.into_iter().map(|want| want.what).collect::<Vec<_>>())
    };
    let (x, y) = (ContentId::of(b"x"), ContentId::of(b"y"));
    assert_eq!(wants(&[&x.to_string()]).expect("one"), [What::Id(x)]);
    assert_eq!(wants(&[&x.to_string(), &y.to_string()]).expect("two"), [What::Id(x), What::Id(y)]);
    assert_eq!(wants(&[&x.to_string(), "more"]).expect_err("neither ids nor words").exit().code(), 2);
    assert!(matches!(&wants(&["two words"]).expect("words")[..], [What::Words(q)] if q.words() == ["two", "words"]));
    assert_eq!(wants(&[" "]).expect_err("refused").exit(), Exit::USAGE);
    let to_a_file = wants(&[&x.to_string(), &y.to_string(), "-o", "f"]).expect_err("two to one file");
    assert_eq!(to_a_file.exit(), Exit::USAGE);
}

#[test]
fn all_means_all_that_are_known_and_hashed() {
    let hit = |id| Hit {
        id,
        kind: Kind::File,
        size: 1,
        files: 1,
        locked: false,
        executable: false,
        modified: None,
        names: vec![SafePath::parse("f").expect("a name")],
        providers: Vec::new(),
    };
    let (x, y) = (ContentId::of(b"x"), ContentId::of(b"y"));
    assert_eq!(every("f", &[hit(Some(x)), hit(Some(y))], Beyond::default()).expect("both"), [x, y]);
    let unhashed = every("f", &[hit(Some(x)), hit(None)], Beyond::default()).expect_err("one is not hashed");
    let beyond = every("f", &[hit(Some(x))], Beyond { more: 3, at_least: false }).expect_err("others are not known");
    assert_eq!((unhashed.exit().code(), beyond.exit().code()), (4, 4));
    let silent = Beyond { more: 0, at_least: true };
    assert_eq!(every("f", &[hit(Some(x))], silent).expect("what those who answer know"), [x]);
}

#[test]
fn of_several_some_are_not_all_and_none_is_a_failure() {
    assert_eq!((some(1, 2).exit().code(), some(2, 2).exit().code()), (6, 1));
}

#[test]
fn a_hyphen_is_standard_output() {
    assert!(is_stream(&arguments(&["x", "-o", "-"])));
    assert!(!is_stream(&arguments(&["x", "-o", "./-"])) && !is_stream(&arguments(&["x"])));
}

#[test]
fn the_summary_tells_what_came_now() {
    assert_eq!(summary(&outcome(8 << 20, 0)), "/d/f: 8.0 MiB were here already and are proven");
    let waited = Outcome { waited: Duration::from_secs(9), ..outcome(8 << 20, 0) };
    assert_eq!(summary(&waited), "/d/f: 8.0 MiB were fetched by another get meanwhile and are proven");
    let replaced = Outcome { replaced: 2, ..outcome(8 << 20, 8 << 20) };
    assert!(summary(&replaced).ends_with(", replaced 2 files"), "{}", summary(&replaced));
    let whole = summary(&outcome(8 << 20, 8 << 20));
    assert_eq!(
        whole,
        "/d/f: 8.0 MiB fetched and proven in 2.0 s (4.0 MiB/s) from 1 provider, found on the local network"
    );
    let copied = Outcome { copied: 8 << 20, ..outcome(8 << 20, 0) };
    assert!(summary(&copied).contains("copied from another transfer"), "{}", summary(&copied));
    assert!(summary(&outcome(8 << 20, 2 << 20)).starts_with("/d/f: 2.0 MiB of 8.0 MiB fetched"));
    assert!(
        summary(&outcome(8 << 20, (8 << 20) - 1)).starts_with("/d/f: 8.0 MiB fetched"),
        "no less, as far as one sees"
    );
    let part = Outcome { part: true, ..outcome(8 << 20, 8 << 20) };
    assert!(summary(&part).starts_with("/d/f (a part of it): 8.0 MiB fetched"), "{}", summary(&part));
    let left = Outcome { left: 1, ..outcome(0, 0) };
    assert_eq!(summary(&left), "/d/f: left as it is, which is not older");
    let here = Outcome { left: 1, kind: Kind::Collection, ..outcome(8 << 20, 0) };
    assert_eq!(summary(&here), "/d/f: 8.0 MiB were here already and are proven, left 1 file that is not older");
    let all = Outcome { left: 3, kind: Kind::Collection, ..outcome(0, 0) };
    assert_eq!(summary(&all), "/d/f: nothing to fetch, left 3 files that are not older");
    let some = Outcome { left: 2, kind: Kind::Collection, ..outcome(8 << 20, 8 << 20) };
    assert!(summary(&some).ends_with(", left 2 files that are not older"), "{}", summary(&some));
}

#[test]
fn what_has_no_bytes_has_no_rate() {
    let file = outcome(0, 0);
    assert_eq!(summary(&file), "/d/f: there, and empty as it is to be");
    let tree = Outcome { kind: Kind::Collection, elapsed: Duration::ZERO, ..outcome(0, 0) };
    assert_eq!(summary(&tree), "/d/f: there, with no bytes to fetch");
}
