//! Whose word counts for how much: whoever was named is believed alike, the beginning of an id is nobody's word, and what this
//! home was shown before is one candidate. What a `get` would do is what it says with `-n`.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::own::{
    Own, Script, Value, answering, hit, list, map, neighbour, neighbour_after, number, ok, tagged, welcome,
};
use common::{Ended, Lab, Process, until};

/// Two ids that begin alike, in their first 8 digits and more.
const ONE: [u8; 32] = [5; 32];
const OTHER: [u8; 32] = {
    let mut id = ONE;
    id[9] = 6;
    id
};
const ALIKE: &str = "05050505";

fn text_of(id: [u8; 32]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn serving(role: &str, script: Script) -> Own {
    let own = Own::new();
    own.serve(&welcome(5, role, own.addr), script);
    own
}

fn telling(role: &str, hits: Vec<Value>) -> Own {
    serving(role, answering(hits, channel().0))
}

fn run(lab: &Lab, home: &Path, at: &[&str], line: &[&str]) -> Ended {
    Process::start(lab.qshare_at(home).args(line).args(at)).end()
}

/// Ends with 4, with both ids shown, whether it is tried or only asked for, and nothing is fetched.
#[track_caller]
fn is_never_picked(lab: &Lab, at: &[&str], what: &str) {
    for dry in [&[][..], &["-n"]] {
        let ended = run(lab, &lab.home(), at, &[&["get", what], dry].concat());
        let told = ended.error(4);
        let ids = ended.events.iter().filter(|event| event["event"] == "hit").map(|hit| hit["id"].clone());
        let ids: Vec<_> = ids.filter_map(|id| Some(id.as_str()?.to_owned())).collect();
        assert!([ONE, OTHER].iter().all(|id| ids.contains(&text_of(*id))), "{what} {dry:?}: {told} {ended:#?}");
    }
}

#[test]
fn a_tracker_and_a_peer_that_were_named_have_the_same_word() {
    let lab = Lab::new();
    for (trackers, peers) in [(1, 1), (2, 0), (0, 2)] {
        let told = |n: usize| vec![hit("same.bin", if n == 0 { ONE } else { OTHER }, Vec::new())];
        let trackers: Vec<Own> = (0..trackers).map(|n| telling("tracker", told(n))).collect();
        let peers: Vec<Own> = (0..peers).map(|n| telling("node", told(n + trackers.len()))).collect();
        let of = |option, all: &[Own]| all.iter().flat_map(|own| [option, &*own.target].map(str::to_owned)).collect();
        let at: [Vec<String>; 2] = [of("--tracker", &trackers), of("--peer", &peers)];
        let at: Vec<&str> = at.iter().flatten().map(String::as_str).chain(["--only-peers"]).collect();
        is_never_picked(&lab, &at, "same.bin");
        is_never_picked(&lab, &at, ALIKE);
    }
}

#[test]
fn the_beginning_of_an_id_is_nobodys_word_not_even_beside_one_who_was_named() {
    let lab = Lab::new();
    let tracker = telling("tracker", vec![hit("one.bin", ONE, Vec::new())]);
    let near = neighbour(5, vec![hit("other.bin", OTHER, Vec::new())], channel().0);
    let mut hub = lab.qshare();
    hub.args(["share", "--listen", "127.0.0.1:0", "--peer", &near.target]).arg(lab.file("hub/x.bin", b"x"));
    let hub = lab.start(&mut hub);
    let at = ["--tracker", &tracker.target, "--peer", &hub.addr];
    until("the hub has its neighbour", || run(&lab, &lab.home(), &at[2..], &["search", "other.bin"]).code == Some(0));
    is_never_picked(&lab, &at, ALIKE);
}

/// Found with liars beside the honest one at a hub: two hundred copies of one lie took all places of its answer.
#[test]
fn copies_of_one_lie_do_not_push_out_an_honest_one_behind_the_same_hub() {
    let lab = Lab::new();
    let lie = vec![hit("one.bin", ONE, Vec::new()); 200];
    let liars: Vec<Own> = (0..3).map(|_| neighbour(5, lie.clone(), channel().0)).collect();
    let honest = neighbour_after(Duration::from_millis(50), 5, vec![hit("other.bin", OTHER, Vec::new())], channel().0);
    let mut hub = lab.qshare();
    hub.args(["share", "--listen", "127.0.0.1:0"]).arg(lab.file("hub/x.bin", b"x"));
    for own in liars.iter().chain([&honest]) {
        hub.args(["--peer", &own.target]);
    }
    let hub = lab.start(&mut hub);
    let at = ["--peer", &hub.addr, "--only-peers"];
    until("the hub has the honest one", || run(&lab, &lab.home(), &at, &["search", "other.bin"]).code == Some(0));
    until("and a liar", || run(&lab, &lab.home(), &at, &["search", "one.bin"]).code == Some(0));
    is_never_picked(&lab, &at, ALIKE);
}

/// Found with a peer that answered after a second: it was said not to answer, and the other one's thing was taken.
#[test]
fn the_beginning_of_an_id_waits_for_a_peer_that_was_named_and_is_slow() {
    let lab = Lab::new();
    let slow: Script = {
        let answer = answering(vec![hit("other.bin", OTHER, Vec::new())], channel().0);
        Arc::new(move |request, talk| {
            let answer = answer(request, talk);
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(1200)).await;
                answer.await;
            })
        })
    };
    let (fast, slow) = (telling("node", vec![hit("one.bin", ONE, Vec::new())]), serving("node", slow));
    is_never_picked(&lab, &["--peer", &fast.target, "--peer", &slow.target, "--only-peers"], ALIKE);
}

/// Found where a liar had answered once: what it showed stood for its beginning from then on.
#[test]
fn what_was_shown_before_is_one_candidate_and_never_the_only_one() {
    let lab = Lab::new();
    let shown = |what: &str| {
        let home = lab.home();
        fs::create_dir(&home).expect("made");
        fs::write(home.join("seen"), format!("{} {what}\n", text_of(ONE))).expect("written");
        home
    };
    // Whoever showed it is there: two.
    let both = telling("tracker", vec![hit("one", ONE, Vec::new()), hit("other", OTHER, Vec::new())]);
    let ended = run(&lab, &shown("one"), &["--tracker", &both.target], &["get", ALIKE]);
    assert!(ended.error(4).contains("matches 2 different things"), "{ended:#?}");
    // It has gone: which of them was copied from here, and which told by somebody, nobody but a person knows.
    let other = telling("tracker", vec![hit("other", OTHER, Vec::new())]);
    for dry in [&[][..], &["-n"]] {
        let ended = run(&lab, &shown("one"), &["--tracker", &other.target], &[&["get", ALIKE], dry].concat());
        let told = ended.error(4);
        let named = [(ONE, "one"), (OTHER, "other")].map(|(id, name)| format!("{} ({name})", text_of(id)));
        assert!(named.iter().all(|name| told.contains(name)), "{told}");
    }
    let listed = run(&lab, &shown("one"), &["--tracker", &other.target], &["ls", ALIKE]);
    assert!(listed.error(4).contains(&text_of(ONE)), "{listed:#?}");
    // So it is for who only asks where it is.
    let ended = run(&lab, &shown("one"), &["--tracker", &other.target], &["locate", ALIKE]);
    assert!(ended.error(4).contains(&text_of(ONE)), "{ended:#?}");
    // More characters tell them apart.
    let enough = &text_of(OTHER)[..20];
    let ended = run(&lab, &shown("one"), &["--tracker", &other.target], &["locate", enough]);
    assert_eq!(ended.event("hit")["id"], text_of(OTHER), "{ended:#?}");
}

/// What has no name now, since it is being fetched, is found by what was shown of it.
#[test]
fn what_was_shown_before_is_asked_for_by_its_whole_id_too() {
    let lab = Lab::new();
    let home = lab.home();
    fs::create_dir(&home).expect("made");
    fs::write(home.join("seen"), format!("{} one\n", text_of(ONE))).expect("written");
    let fetching = serving(
        "tracker",
        Arc::new(|request, mut talk| {
            Box::pin(async move {
                let hits = if request.tag() == "Locate" { vec![hit("one", ONE, Vec::new())] } else { Vec::new() };
                let page = map([("hits", list(hits)), ("more", number(0))]);
                let refused = tagged("Err", map([("code", number(13))])).frame();
                talk.say(&if ["Locate", "Search"].contains(&request.tag()) { ok(page) } else { refused }).await;
                talk.end();
            })
        }),
    );
    let ended = run(&lab, &home, &["--tracker", &fetching.target], &["locate", ALIKE]);
    assert_eq!(ended.event("hit")["id"], text_of(ONE), "{ended:#?}");
}

/// Two that begin alike are shown in a terminal as far as they differ, and asked about.
#[cfg(unix)]
#[test]
fn a_person_at_a_terminal_sees_where_two_ids_differ() {
    let lab = Lab::new();
    let Some(tmux) = common::tmux::Tmux::new(&lab) else { return };
    let tracker = telling("tracker", vec![hit("report.pdf", ONE, Vec::new())]);
    let peer = telling("node", vec![hit("report.pdf", OTHER, Vec::new())]);
    let home = lab.home();
    let at = format!("--tracker {} --peer {} --only-peers --no-lan", tracker.target, peer.target);
    let program = env!("CARGO_BIN_EXE_qshare");
    let command =
        format!("cd {}; QSHARE_HOME={} {program} get {ALIKE} {at}", lab.dir("here").display(), home.display());
    let terminal = tmux.start("choice", (100, 30), &command);
    terminal.wait_for("Which? (1 to 2");
    let screen = terminal.all();
    assert!([ONE, OTHER].iter().all(|id| screen.contains(&text_of(*id)[..20])), "{screen}");
    terminal.interrupt();
    terminal.wait_for("exit 130");
}
