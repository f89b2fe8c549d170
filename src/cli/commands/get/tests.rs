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
        copied: 0,
        elapsed: Duration::from_secs(2),
        providers: vec![given(b"a", fetched), given(b"b", 0)],
        plane: Some(crate::node::Plane::Lan),
        preview: None,
        shares: Vec::new(),
        seeding: false,
    }
}

#[test]
fn one_word_that_is_an_id_is_an_id() {
    let id = ContentId::of(b"x").to_string();
    assert_eq!(what(&arguments(&[&id])).expect("what"), What::Id(ContentId::of(b"x")));
    assert!(matches!(what(&arguments(&[&id, "more"])), Ok(What::Words(_))));
    assert!(matches!(what(&arguments(&["two words"])), Ok(What::Words(q)) if q.words() == ["two", "words"]));
    assert_eq!(what(&arguments(&[" "])).expect_err("refused").exit(), Exit::USAGE);
}

#[test]
fn a_hyphen_is_standard_output() {
    assert!(is_stream(&arguments(&["x", "-o", "-"])));
    assert!(!is_stream(&arguments(&["x", "-o", "./-"])) && !is_stream(&arguments(&["x"])));
}

#[test]
fn the_summary_tells_what_came_now() {
    assert_eq!(summary(&outcome(8 << 20, 0)), "/d/f: 8.0 MiB were here already and are proven");
    let whole = summary(&outcome(8 << 20, 8 << 20));
    assert_eq!(
        whole,
        "/d/f: 8.0 MiB fetched and proven in 2.0 s (4.0 MiB/s) from 1 provider, found on the local network"
    );
    let copied = Outcome { copied: 8 << 20, ..outcome(8 << 20, 0) };
    assert!(summary(&copied).contains("copied from another transfer"), "{}", summary(&copied));
    assert!(summary(&outcome(8 << 20, 2 << 20)).starts_with("/d/f: 2.0 MiB of 8.0 MiB fetched"));
}

#[test]
fn what_has_no_bytes_has_no_rate() {
    let file = outcome(0, 0);
    assert_eq!(summary(&file), "/d/f: there, and empty as it is to be");
    let tree = Outcome { kind: Kind::Collection, elapsed: Duration::ZERO, ..outcome(0, 0) };
    assert_eq!(summary(&tree), "/d/f: there, with no bytes to fetch");
}
