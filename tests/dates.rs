//! When something was last changed: told by who shares it, through tracker and neighbours, by peers of this version and of the
//! one before; what is no date is none.

mod common;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::own::{Own, Script, Talk, Value, address, bytes, list, map, number, tagged, text};
use common::{Ended, Lab, Process, at_peers};

/// 2001-09-09 and 2017-07-14.
const OLD: u64 = 1_000_000_000;
const YOUNG: u64 = 1_500_000_000;

fn date(path: &Path, seconds: u64) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().write(true).open(path).and_then(|file| file.set_modified(at)).expect("a file's date");
}

/// Name and date of each hit.
fn dates(ended: &Ended) -> Vec<(&str, Option<u64>)> {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let hits = ended.events.iter().filter(|event| event["event"] == "hit");
    let mut dates: Vec<_> = hits.map(|hit| (hit["name"].as_str().expect("a name"), hit["modified"].as_u64())).collect();
    dates.sort_unstable();
    dates
}

#[test]
fn files_and_trees_have_the_dates_of_their_bytes_wherever_they_are_looked_up() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let [old, young] = ["old.txt", "young.txt"].map(|name| lab.file(&format!("shared/tree/{name}"), name.as_bytes()));
    date(&old, OLD);
    date(&young, YOUNG);
    let undated = lab.file("shared/undated.txt", b"undated");
    date(&undated, 1);
    let node = lab.share(&tracker, &[&lab.path("shared/tree"), &undated], &[]);
    let at_tracker = |line: &[&str]| Process::start(lab.qshare().args(["--tracker", &tracker.addr]).args(line)).end();
    let all =
        [("tree", Some(YOUNG)), ("tree/old.txt", Some(OLD)), ("tree/young.txt", Some(YOUNG)), ("undated.txt", None)];
    assert_eq!(dates(&at_tracker(&["ls", &node.id])), all);
    assert_eq!(dates(&at_tracker(&["search", "t"])), all);
    assert_eq!(dates(&at_tracker(&["locate", "old.txt"])), [all[1]]);
    assert_eq!(at_tracker(&["get", "tree", "-n"]).done()["modified"], YOUNG);
    assert!(at_tracker(&["get", "undated.txt", "-n"]).done()["modified"].is_null());
    let near = Process::start(lab.qshare().args(["search", "old.txt"]).args(at_peers(&[&node]))).end();
    assert_eq!(dates(&near), [all[1]]);
    // A date that changes alone is told, too.
    date(&old, YOUNG + 1);
    common::until("the later date", || {
        dates(&at_tracker(&["search", "t"]))[..2] == [("tree", Some(YOUNG + 1)), ("tree/old.txt", Some(YOUNG + 1))]
    });
}

/// Finds one file, of one byte, at all who give it, and its date where there is one.
fn finding(modified: Option<u64>) -> Script {
    let provider = map([("node", bytes([7; 32])), ("addrs", list([address(([127, 0, 0, 1], 9).into())]))]);
    let hit = [
        ("id", bytes([5; 32])),
        ("kind", text("file")),
        ("size", number(1)),
        ("files", number(1)),
        ("names", list([text("thing")])),
        ("providers", list([provider])),
    ];
    let Value::Map(mut hit) = map(hit) else { panic!("a map") };
    hit.extend(modified.map(|seconds| ("modified".to_owned(), number(seconds))));
    let page = tagged("Ok", map([("hits", list([Value::Map(hit)])), ("more", number(0))])).frame();
    Arc::new(move |request: Value, mut talk: Talk| {
        let page = page.clone();
        Box::pin(async move {
            match request.tag() {
                "Search" => talk.say(&page).await,
                _ => talk.say(&tagged("Err", map([("code", number(13))])).frame()).await,
            }
            talk.end();
        })
    })
}

#[test]
fn who_is_of_version_5_tells_none_and_of_several_the_earliest_counts() {
    for (told, expected) in [
        (&[(5, None)][..], None),
        (&[(6, Some(YOUNG))], Some(YOUNG)),
        (&[(5, None), (6, Some(YOUNG))], Some(YOUNG)),
        (&[(6, Some(YOUNG)), (6, Some(OLD))], Some(OLD)),
        (&[(6, Some(u64::MAX))], None),
        (&[(6, Some(0)), (6, Some(OLD))], Some(OLD)),
    ] {
        let lab = Lab::new();
        let trackers: Vec<Own> = told
            .iter()
            .map(|(version, modified)| {
                let own = Own::new();
                let welcome =
                    [("version", number(*version)), ("role", text("tracker")), ("observed", address(own.addr))];
                own.serve(&map(welcome), finding(*modified));
                own
            })
            .collect();
        let named = trackers.iter().flat_map(|own| ["--tracker".to_owned(), own.addr.to_string()]);
        let ended = Process::start(lab.qshare().args(["search", "thing"]).args(named)).end();
        assert_eq!(dates(&ended), [("thing", expected)], "{told:?}");
    }
}
