//! Patterns, words that are nearly spelled right, and beginnings of ids, through the wire: what is found, that nothing is
//! fetched that was not asked for, that lies are left out, and what peers of an earlier version are asked.

mod common;

use std::sync::mpsc::channel;

use common::own::{Own, Value, address, answering, bytes, hit, list, map, neighbour, text, welcome};
use common::{Ended, Lab, Node, Process, at_peers};

const NAMES: [&str; 6] =
    ["turing.pdf", "Turing 1936.PDF", "physics/a.pdf", "physics/notes.txt", "Show [1080p].mkv", "lovelace.djvu"];

/// Somebody who shares `papers`, at a tracker if there is one.
fn papers(lab: &Lab, tracker: Option<&Node>) -> Node {
    for name in NAMES {
        lab.file(&format!("shared/papers/{name}"), name.as_bytes());
    }
    let path = lab.path("shared/papers");
    match tracker {
        Some(tracker) => lab.share(tracker, &[&path], &[]),
        None => lab.near(&path, &[], &[]),
    }
}

fn hits_of(ended: &Ended) -> Vec<&str> {
    let hits = ended.events.iter().filter(|event| event["event"] == "hit");
    let mut names: Vec<_> = hits.map(|hit| hit["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    names
}

/// What is nearly spelled so, as it was told: words, hits.
fn near(ended: &Ended) -> Vec<(&str, u64)> {
    let near = ended.events.iter().filter(|event| event["event"] == "near");
    near.map(|near| (near["words"].as_str().expect("words"), near["hits"].as_u64().expect("a number"))).collect()
}

/// What patterns find, asked in this way.
fn patterns(ask: impl Fn(&[&str]) -> Ended) {
    let pdfs = ["papers/Turing 1936.PDF", "papers/physics/a.pdf", "papers/turing.pdf"];
    assert_eq!(hits_of(&ask(&["search", "*.pdf"])), pdfs);
    assert_eq!(hits_of(&ask(&["search", "turing", "*.pdf"])), ["papers/Turing 1936.PDF", "papers/turing.pdf"]);
    assert_eq!(hits_of(&ask(&["search", "papers/physics/*"])), ["papers/physics/a.pdf", "papers/physics/notes.txt"]);
    assert_eq!(hits_of(&ask(&["search", "**/physics/[!n]*"])), ["papers/physics/a.pdf"]);
    assert_eq!(hits_of(&ask(&["search", "love*.{djvu,ps}"])), ["papers/lovelace.djvu"]);
    assert_eq!(hits_of(&ask(&["search", "Show [1080p].mkv"])), ["papers/Show [1080p].mkv"], "a name with brackets");
    assert_eq!(hits_of(&ask(&["locate", "papers/phys*/a.pdf"])), ["papers/physics/a.pdf"]);
    ask(&["get", "*.pdf", "-o", "several/"]).error(4);
    assert_eq!(ask(&["get", "*.txt", "-o", "one/"]).done()["name"], "notes.txt");
    assert_eq!(
        ask(&["get", "papers/t*.pdf", "--all", "-o", "all/"]).events.iter().filter(|e| e["event"] == "done").count(),
        2
    );
    ask(&["get", "*.exe"]).error(3);
    ask(&["search", &"?".repeat(255), "?"]).error(2);
}

/// What is nearly spelled right.
fn misspelled(ask: impl Fn(&[&str]) -> Ended) {
    let searched = ask(&["search", "turinng"]);
    let told = searched.error(3);
    assert!(told.contains("`turing` (2 things)"), "{told}");
    assert_eq!((hits_of(&searched), near(&searched)), (vec![], vec![("turing", 2)]));
    assert!(searched.event("near")["names"].to_string().contains("papers/turing.pdf"));
    let fetched = ask(&["get", "lovelcae", "djvu", "-o", "never/"]);
    assert!(fetched.error(3).contains("`lovelace djvu` (1 thing)"));
    assert_eq!(near(&ask(&["locate", "physcis"])), [("physics", 2)]);
    assert_eq!(near(&ask(&["search", "nothing-like-it"])), []);
    assert_eq!(near(&ask(&["search", "tur"])), [], "what is found is not guessed at");
}

#[test]
fn a_tracker_finds_patterns_and_what_is_nearly_spelled_so() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let _provider = papers(&lab, Some(&tracker));
    let ask = |line: &[&str]| Process::start(lab.qshare().args(["--tracker", &tracker.addr]).args(line)).end();
    patterns(ask);
    misspelled(ask);
    assert!(!lab.path("never").exists(), "what was only nearly asked for is not fetched");
}

#[test]
fn a_peer_and_the_neighbours_find_them_too() {
    let lab = Lab::new();
    let provider = papers(&lab, None);
    let middle = lab.near(&lab.file("other.bin", b"other"), &[&provider], &[]);
    for peer in [&provider, &middle] {
        let ask = |line: &[&str]| {
            let mut command = lab.qshare();
            Process::start(command.args(at_peers(&[peer])).args(line)).end()
        };
        common::until("both are neighbours", || !hits_of(&ask(&["search", "love*"])).is_empty());
        misspelled(ask);
        let id = blake3::hash(b"turing.pdf").to_string();
        assert_eq!(ask(&["get", &id[..8], "-o", "by-id/"]).done()["id"], id);
        std::fs::remove_dir_all(lab.path("by-id")).expect("fetched");
    }
    patterns(|line| {
        let mut command = lab.qshare();
        Process::start(command.args(at_peers(&[&middle])).args(line)).end()
    });
}

#[test]
fn hits_that_do_not_match_are_left_out_and_told() {
    let lab = Lab::new();
    let provider =
        map([("node", bytes([7; 32])), ("addrs", list([address("127.0.0.1:9".parse().expect("an address"))]))]);
    let lies = ["a.exe", "turing.pdf.exe", "papers.pdf/x"].map(|name| hit(name, [5; 32], vec![provider.clone()]));
    for (line, finds) in [
        (&["search", "*.pdf"][..], false),
        (&["get", "*.pdf"], false),
        (&["search", "*.pdfx"], false),
        (&["get", "0123456789"], false),
        (&["search", "papers"], true),
        (&["search", "turinng"], false),
        (&["search", "05050505"], true),
    ] {
        let liar = Own::new();
        liar.serve(&welcome(5, "tracker", liar.addr), answering(lies.to_vec(), channel().0));
        let ended = Process::start(lab.qshare().args(["--tracker", &liar.addr.to_string()]).args(line)).end();
        assert_eq!(ended.code, Some(if finds { 0 } else { 3 }), "{line:?} {ended:#?}");
        let told =
            ended.events.iter().any(|event| event["event"] == "warning" && event.to_string().contains("do not match"));
        assert!(told || line[1] == "05050505", "{line:?} {ended:#?}");
    }
}

#[test]
fn ids_that_begin_alike_are_chosen_from() {
    let (lab, tracker) = (Lab::new(), Own::new());
    let mut other = [5; 32];
    other[31] = 6;
    // The last one has the very word for a name, and as good a right to it.
    let hits = vec![hit("a", [5; 32], vec![]), hit("b", other, vec![]), hit("05050505", [7; 32], vec![])];
    tracker.serve(&welcome(5, "tracker", tracker.addr), answering(hits, channel().0));
    let run =
        |line: &[&str]| Process::start(lab.qshare().args(["--tracker", &tracker.addr.to_string()]).args(line)).end();
    let ended = run(&["get", "05050505"]);
    ended.error(4);
    assert_eq!(hits_of(&ended), ["05050505", "a", "b"]);
    assert_eq!(hits_of(&run(&["locate", "0505050505"])), ["a", "b"]);
}

#[test]
fn what_a_neighbour_says_that_does_not_match_is_left_out_and_told() {
    for (word, finds) in [("need*", false), ("*.exe", true), ("05050505", true), ("01234567", false)] {
        let lab = Lab::new();
        let own = neighbour(5, vec![hit("a.exe", [5; 32], Vec::new())], channel().0);
        let ended = Process::start(lab.qshare().args(["--peer", &own.target, "search", word])).end();
        assert_eq!(ended.code, Some(if finds { 0 } else { 3 }), "{word} {ended:#?}");
        let told =
            ended.events.iter().any(|event| event["event"] == "warning" && event.to_string().contains("do not match"));
        assert_eq!(told, !finds, "{word} {ended:#?}");
    }
}

#[test]
fn who_is_misspelled_is_not_taken_from_a_liar() {
    let (lab, liar) = (Lab::new(), Own::new());
    // Two mistakes in six characters are one too many.
    let lies = vec![hit("tunning", [5; 32], Vec::new()), hit("turing", [6; 32], Vec::new())];
    liar.serve(&welcome(5, "tracker", liar.addr), answering(lies, channel().0));
    let ended = Process::start(lab.qshare().args(["--tracker", &liar.addr.to_string(), "search", "turign"])).end();
    assert_eq!((ended.code, near(&ended)), (Some(3), vec![("turing", 1)]), "{ended:#?}");
}

#[test]
fn a_tracker_of_version_4_is_asked_for_the_words_and_what_it_finds_counts() {
    for (line, hits, finds) in [
        (&["search", "*.pdf"][..], vec![], false),
        (&["search", "Show [1080p].mkv"], vec![hit("Show [1080p].mkv", [5; 32], Vec::new())], true),
        (&["search", "20241129"], vec![hit("notes 20241129", [5; 32], Vec::new())], true),
    ] {
        let (lab, own, (told, asked)) = (Lab::new(), Own::new(), channel());
        own.serve(&welcome(4, "tracker", own.addr), answering(hits, told));
        let ended = Process::start(lab.qshare().args(["--tracker", &own.addr.to_string()]).args(line)).end();
        assert_eq!(ended.code, Some(if finds { 0 } else { 3 }), "{ended:#?}");
        let search = asked.recv_timeout(common::DEADLINE).expect("it was asked");
        let words = list(line[1].to_lowercase().split(' ').map(text));
        assert_eq!(search.get("words"), Some(&words), "all that version 4 reads");
        assert!(search.get("limit").is_some() && search.get("skip").is_some());
    }
}

#[test]
fn a_neighbour_of_version_4_is_asked_for_words_where_one_of_version_5_is_asked_for_names() {
    for (version, name) in [(4, "Words"), (5, "Names")] {
        for (word, flag) in [("need*", "glob"), ("01234567", "ids")] {
            let (lab, (told, asked)) = (Lab::new(), channel());
            let own = neighbour(version, Vec::new(), told);
            Process::start(lab.qshare().args(["--peer", &own.target, "search", word])).end();
            let what: Vec<Value> = asked.try_iter().filter(|what| what.tag() != "Nodes").collect();
            assert!(!what.is_empty() && what.iter().all(|what| what.tag() == name), "{version}: {what:?}");
            let names = what[0].get(name).expect("it");
            match version {
                4 => assert_eq!(names, &list([text(word)])),
                _ => assert_eq!(
                    (names.get("words"), names.get(flag)),
                    (Some(&list([text(word)])), Some(&Value::Flag(true)))
                ),
            }
        }
        // What needs no more than words is the same for both.
        let (lab, (told, asked)) = (Lab::new(), channel());
        let own = neighbour(version, Vec::new(), told);
        Process::start(lab.qshare().args(["--peer", &own.target, "search", "cat"])).end();
        assert!(asked.try_iter().any(|what| what.tag() == "Words"), "version {version}");
    }
}
