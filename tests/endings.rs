//! How a `get` ends or waits when its provider changes, goes away, hashes or when the `get` itself is stopped: at once when
//! the cause is known and nobody is left, with that cause; and never while it can still go on.

mod common;

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use qshare::actors::serve::Stream;
use qshare::model::{Kind, Offer, SafePath};
use qshare::wire::{Code, Delta, Refusal, Request, ResolveEvent, limits};
use rustix::process::Signal;

use common::scripted::{Answering, Content, Guise, Script, Scripted, honest};
use common::{Ended, Lab, Node, Process, Writer, noise, until};

const MIB: u64 = 1 << 20;

/// Less than a connection may be silent (10 s).
const PATIENCE: &str = "8s";

/// Far beyond the deadline of a test: whoever waits for it has not ended by its cause.
const FOREVER: &str = "1h";

/// Shares a path at a tracker, slowly.
fn slow(lab: &Lab, tracker: &Node, path: &Path) -> Node {
    lab.share(tracker, &[path], &["--limit", "4MiB/s"])
}

/// A `get` of which something has come.
fn begun(lab: &Lab, tracker: &Node, what: &str, wait: &str) -> Process {
    let mut get = lab.getting(tracker, &[what, "--wait", wait, "-o", "result"]);
    get.event_that("progress", |e| e["fetched"].as_u64() >= Some(MIB));
    get
}

fn reopen(path: &Path) -> fs::File {
    OpenOptions::new().write(true).open(path).expect("opened")
}

#[test]
fn a_source_that_is_cut_short_ends_its_get_with_that_cause() {
    let lab = Lab::new();
    let file = lab.file("shared/cut.bin", &noise(1, 16 * MIB as usize));
    let tracker = lab.tracker();
    let provider = slow(&lab, &tracker, &file);
    let get = begun(&lab, &tracker, "cut.bin", FOREVER);
    reopen(&file).set_len(1000).expect("cut");
    let sentence = get.end().error(6);
    assert!(sentence.contains("changed") && sentence.contains(&provider.id[..8]), "{sentence}");
    assert!(sentence.contains("by its name") && sentence.contains("proven and kept"), "{sentence}");
}

#[test]
fn a_source_with_other_bytes_ends_its_get_and_the_new_content_is_to_be_had() {
    let lab = Lab::new();
    let file = lab.file("shared/other.bin", &noise(2, 16 * MIB as usize));
    let tracker = lab.tracker();
    let mut provider = slow(&lab, &tracker, &file);
    let get = begun(&lab, &tracker, "other.bin", FOREVER);
    fs::write(&file, b"something else").expect("written");
    let sentence = get.end().error(6);
    assert!(sentence.contains("changed"), "{sentence}");
    provider.process.event_that("offer", |e| e["name"] == "other.bin");
    provider.wait_hashed();
    lab.get(&tracker, &["other.bin", "-o", "new"]).done();
    assert_eq!(fs::read(lab.path("new")).expect("there"), b"something else");
}

#[test]
fn a_source_that_is_removed_ends_its_get_with_that_cause() {
    let lab = Lab::new();
    let file = lab.file("shared/gone.bin", &noise(3, 16 * MIB as usize));
    let tracker = lab.tracker();
    let _provider = slow(&lab, &tracker, &lab.path("shared"));
    let get = begun(&lab, &tracker, "gone.bin", FOREVER);
    fs::remove_file(&file).expect("removed");
    let sentence = get.end().error(6);
    assert!(sentence.contains("any more") || sentence.contains("changed"), "{sentence}");
}

#[test]
fn one_file_of_a_tree_that_changes_does_not_end_in_silence() {
    let lab = Lab::new();
    lab.file("tree/a", &noise(4, 12 * MIB as usize));
    let file = lab.file("tree/c", b"c");
    let tracker = lab.tracker();
    let _provider = slow(&lab, &tracker, &lab.path("tree"));
    let get = begun(&lab, &tracker, "tree", FOREVER);
    fs::write(file, b"changed").expect("written");
    let ended = get.end();
    // The file was here before it changed, or its change is told.
    if ended.code != Some(0) {
        let sentence = ended.error(6);
        assert!(sentence.contains("changed"), "{sentence}");
    }
}

#[test]
fn a_file_that_is_only_touched_is_fetched_to_its_end() {
    let lab = Lab::new();
    let bytes = noise(5, 16 * MIB as usize);
    let file = lab.file("shared/touched.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = slow(&lab, &tracker, &file);
    // A rest of a minute would end it.
    let get = begun(&lab, &tracker, "touched.bin", "30s");
    let modified = fs::metadata(&file).and_then(|meta| meta.modified()).expect("there");
    reopen(&file).set_modified(modified + Duration::from_secs(1)).expect("touched");
    get.end().done();
    assert!(fs::read(lab.path("result")).expect("published") == bytes);
}

#[test]
fn a_get_that_was_stopped_for_longer_than_it_waits_goes_on() {
    let lab = Lab::new();
    let bytes = noise(6, 16 * MIB as usize);
    let file = lab.file("shared/stopped.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = slow(&lab, &tracker, &file);
    // One more that it is linked with, and that gives nothing.
    let script = refusing(u32::MAX, BUSY, is_fetch);
    let witness = Scripted::start(&tracker, &Guise::file("stopped.bin"), Content::file(&bytes), script);
    let get = begun(&lab, &tracker, "stopped.bin", PATIENCE);
    until("it is linked with both", || witness.asked.watches() > 0);
    let before = witness.asked.ended();
    get.signal(Signal::STOP);
    until("its connections were silent for longer than they may be", || witness.asked.ended() > before);
    get.signal(Signal::CONT);
    get.end().done();
    assert!(fs::read(lab.path("result")).expect("published") == bytes);
}

#[test]
fn a_provider_that_was_killed_is_found_again_at_another_port() {
    let lab = Lab::new();
    let bytes = noise(7, 16 * MIB as usize);
    let file = lab.file("shared/killed.bin", &bytes);
    let tracker = lab.tracker();
    let home = lab.home();
    let share = |listen: &str, limit: &str| {
        let mut command = lab.qshare_at(&home);
        command.args(["share", "--listen", listen, "--limit", limit, "--tracker", &tracker.addr]).arg(&file);
        lab.start(&mut command)
    };
    let mut provider = share("127.0.0.1:0", "4MiB/s");
    provider.wait_hashed();
    let get = begun(&lab, &tracker, "killed.bin", "60s");
    provider.process.kill();
    let again = share("127.0.0.1:0", "64MiB/s");
    assert_eq!(provider.id, again.id);
    get.end().done();
    assert!(fs::read(lab.path("result")).expect("published") == bytes);
}

#[test]
fn without_a_tracker_one_that_was_killed_is_dialled_where_it_was() {
    let lab = Lab::new();
    let bytes = noise(8, 16 * MIB as usize);
    let file = lab.file("shared/back.bin", &bytes);
    let home = lab.home();
    let share = |listen: &str, limit: &str| {
        let mut command = lab.qshare_at(&home);
        command.args(["share", "--only-peers", "--listen", listen, "--limit", limit]).arg(&file);
        lab.start(&mut command)
    };
    let mut provider = share("127.0.0.1:0", "4MiB/s");
    provider.process.event("offer");
    let mut command = lab.qshare();
    command.args(["--only-peers", "--peer", &provider.addr, "get", "back.bin", "--wait", "60s", "-o", "result"]);
    let mut get = Process::start(&mut command);
    get.event_that("progress", |e| e["fetched"].as_u64() >= Some(MIB));
    provider.process.kill();
    let _again = share(&provider.addr, "64MiB/s");
    get.end().done();
    assert!(fs::read(lab.path("result")).expect("published") == bytes);
}

/// A node with nothing of its own, through which a file is offered slowly: the node, its home, and the command that offers.
fn offered_through(lab: &Lab, tracker: &Node, file: &Path) -> (Node, PathBuf, Process) {
    let (home, own) = (lab.home(), lab.file("first/first.txt", b"first"));
    let mut command = lab.qshare_at(&home);
    command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(own);
    let node = lab.start(&mut command);
    let share = offered_again(lab, &home, file);
    (node, home, share)
}

fn offered_again(lab: &Lab, home: &Path, file: &Path) -> Process {
    let mut share = Process::start(lab.qshare_at(home).args(["share", "--limit", "4MiB/s"]).arg(file));
    share.event_that("offer", |offer| offer["id"].is_string());
    share
}

#[test]
fn an_offer_that_is_taken_back_is_waited_for_and_told_as_that() {
    let lab = Lab::new();
    let file = lab.file("shared/back.bin", &noise(21, 16 * MIB as usize));
    let tracker = lab.tracker();
    let (_node, home, _share) = offered_through(&lab, &tracker, &file);
    // Longer than all are asked once more when what is missing is nowhere.
    let get = begun(&lab, &tracker, "back.bin", "7s");
    assert_eq!(Process::start(lab.qshare_at(&home).args(["unshare", "back.bin"])).end().code, Some(0));
    let sentence = get.end().error(6);
    assert!(sentence.contains("nothing came for 7s"), "{sentence}");
    assert!(sentence.contains("does not offer it any more") && !sentence.contains("changed"), "{sentence}");
}

#[test]
fn an_offer_that_ended_with_its_command_and_is_made_again_is_fetched_to_its_end() {
    let lab = Lab::new();
    let bytes = noise(22, 16 * MIB as usize);
    let file = lab.file("shared/again.bin", &bytes);
    let tracker = lab.tracker();
    let (_node, home, share) = offered_through(&lab, &tracker, &file);
    let mut get = begun(&lab, &tracker, "again.bin", "60s");
    share.signal(Signal::TERM);
    assert_eq!(share.end().code, Some(0));
    get.event_that("progress", |now| now["providers"].as_array().is_some_and(Vec::is_empty) || now["rate"] == 0);
    let _again = offered_again(&lab, &home, &file);
    get.end().done();
    assert!(fs::read(lab.path("result")).expect("published") == bytes);
}

#[test]
fn one_that_comes_back_with_other_bytes_under_the_name_is_not_waited_for() {
    let lab = Lab::new();
    let file = lab.file("shared/other.bin", &noise(23, 16 * MIB as usize));
    let tracker = lab.tracker();
    let home = lab.home();
    let share = || {
        let mut command = lab.qshare_at(&home);
        command.args(["share", "--listen", "127.0.0.1:0", "--limit", "4MiB/s", "--tracker", &tracker.addr]).arg(&file);
        let mut node = lab.start(&mut command);
        node.wait_hashed();
        node
    };
    let mut before = share();
    let get = begun(&lab, &tracker, "other.bin", FOREVER);
    before.process.kill();
    fs::write(&file, b"something else").expect("written");
    let _after = share();
    let sentence = get.end().error(6);
    assert!(sentence.contains("changed its copy"), "{sentence}");
}

/// A file that is written to all the time, with a tracker that knows its name.
fn written_to(lab: &Lab, name: &str) -> (Writer, Node, Node) {
    let log = lab.file(&format!("shared/{name}"), &noise(9, 300_000));
    let writer = Writer::of(log.clone());
    let tracker = lab.tracker();
    let mut command = lab.qshare();
    command.args(["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr]).arg(&log);
    let mut provider = lab.start(&mut command);
    provider.process.event("announced");
    (writer, tracker, provider)
}

#[test]
fn a_file_that_is_written_to_all_the_time_does_not_keep_a_get_waiting_for_ever() {
    let lab = Lab::new();
    let (_writer, tracker, _provider) = written_to(&lab, "busy.log");
    let ended = lab.get(&tracker, &["busy.log", "--wait", "3s", "-o", "result"]);
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:#?}");
    let sentence = ended.event("error")["message"].as_str().expect("text");
    assert!(sentence.contains("busy.log"), "{sentence}");
    let proven = ended.events.iter().filter(|e| e["event"] == "progress").filter_map(|e| e["bytes"].as_u64()).max();
    assert_eq!(proven, Some(0), "what is hashed elsewhere is not proven here");
}

#[test]
fn interrupted_while_a_provider_hashes_nothing_is_said_to_be_kept() {
    let lab = Lab::new();
    let (_writer, tracker, _provider) = written_to(&lab, "live.log");
    let mut get = lab.getting(&tracker, &["live.log", "-o", "result"]);
    get.event_that("phase", |e| e["name"] == "hashing");
    get.signal(Signal::INT);
    let sentence = get.end().error(130);
    assert!(sentence.contains("nothing") && !sentence.contains("kept"), "{sentence}");
}

/// Honest but for the first `times` requests of some sort, which are refused.
fn refusing(times: u32, refusal: Refusal, sort: fn(&Request) -> bool) -> Script {
    let left = Arc::new(AtomicU32::new(times));
    Arc::new(move |request, content, stream| {
        let refused =
            sort(&request) && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        match refused {
            true => Box::pin(stream.refuse(refusal.clone())) as Answering,
            false => Box::pin(honest(request, content, stream)),
        }
    })
}

fn is_watch(request: &Request) -> bool {
    matches!(request, Request::Watch(_))
}

fn is_fetch(request: &Request) -> bool {
    matches!(request, Request::Fetch(_) | Request::List(_))
}

fn is_manifest(request: &Request) -> bool {
    matches!(request, Request::Manifest(_))
}

const BUSY: Refusal = Refusal { code: Code::Busy, retry_ms: 200 };

/// A file at the only provider, which refuses so at first; a rest of a minute would end the `get`.
fn is_fetched_though(name: &'static str, times: u32, refusal: Refusal, sort: fn(&Request) -> bool) -> Ended {
    let lab = Lab::new();
    let bytes = noise(12, 700_000);
    let tracker = lab.tracker();
    let script = refusing(times, refusal, sort);
    let _only = Scripted::start(&tracker, &Guise::file(name), Content::file(&bytes), script);
    let ended = lab.get(&tracker, &[name, "--wait", "30s", "-o", "result"]);
    ended.done();
    assert!(fs::read(lab.path("result")).expect("published") == bytes);
    ended
}

#[test]
fn the_only_provider_that_is_busy_or_has_it_not_for_a_moment_is_asked_again_soon() {
    let missing = || Refusal::from(Code::NotFound);
    is_fetched_though("watch-busy.bin", 4, BUSY, is_watch);
    is_fetched_though("fetch-busy.bin", 6, BUSY, is_fetch);
    is_fetched_though("watch-missing.bin", 3, missing(), is_watch);
    is_fetched_though("fetch-missing.bin", 3, missing(), is_fetch);
    is_fetched_though("changed.bin", 3, Refusal::from(Code::Changed), is_watch);
    is_fetched_though("closing.bin", 3, Refusal::from(Code::Closing), is_fetch);
}

/// Whatever is asked anew in the moment of the end: what its provider said last is the cause.
#[test]
fn one_that_is_busy_to_the_end_is_told_so() {
    let often = || Refusal { code: Code::Busy, retry_ms: 50 };
    for sort in [is_watch, is_fetch] {
        let lab = Lab::new();
        let tracker = lab.tracker();
        let script = refusing(u32::MAX, often(), sort);
        let only = Scripted::start(&tracker, &Guise::file("f"), Content::file(&noise(14, 700_000)), script);
        let sentence = lab.get(&tracker, &["f", "--wait", "2s", "-o", "result"]).error(6);
        assert!(sentence.contains("is busy") && sentence.contains(&only.node.short()), "{sentence}");
    }
}

/// A tree whose list its only provider refuses `times` times.
fn tree_refusing(times: u32, refusal: Refusal, wait: &str) -> (Ended, Scripted) {
    let lab = Lab::new();
    let line = format!("f 1 {} a", blake3::hash(b"a"));
    let manifest = format!("qshare-collection-1\n{line}\n").into_bytes();
    let tracker = lab.tracker();
    let script = refusing(times, refusal, is_manifest);
    let only = Scripted::start(&tracker, &Guise::tree("tree"), Content::tree(&manifest, &[b"a"]), script);
    (lab.get(&tracker, &["tree", "--wait", wait, "-o", "out/"]), only)
}

#[test]
fn the_list_of_a_tree_is_waited_for_too_and_ends_with_its_cause() {
    for refusal in [BUSY, Refusal::from(Code::NotFound)] {
        let (ended, only) = tree_refusing(3, refusal, "30s");
        ended.done();
        assert_eq!(only.asked.manifests(), 4);
    }
    let (ended, only) = tree_refusing(u32::MAX, BUSY, "2s");
    let sentence = ended.error(6);
    assert!(sentence.contains("busy") && sentence.contains(&only.node.short()), "{sentence}");
    let (ended, only) = tree_refusing(u32::MAX, Refusal::from(Code::NotFound), FOREVER);
    let sentence = ended.error(1);
    assert!(sentence.contains("any more") && sentence.contains(&only.node.short()), "{sentence}");
}

/// Hashes for ever, or says why it does not, at the only provider of something without an id.
fn resolving(event: ResolveEvent, wait: &str) -> (Ended, Scripted) {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let script: Script = Arc::new(move |request, content, mut stream: Stream| {
        let event = event.clone();
        match request {
            Request::Resolve(_) => Box::pin(async move {
                let _ = stream.grant((), limits::CONTROL).await;
                let _ = qshare::io::net::frames::send(&mut stream.send, &event, limits::CONTROL).await;
                let _ = stream.send.stopped().await;
            }) as Answering,
            other => Box::pin(honest(other, content, stream)),
        }
    });
    let name = SafePath::parse("growing.log").expect("a name");
    let offer = Offer::file(name, 10, None);
    let delta = Delta { add: vec![offer], ..Delta::default() };
    let only = Scripted::announcing(&tracker, &delta, false, Content::file(b"0123456789"), script);
    (lab.get(&tracker, &["growing.log", "--wait", wait]), only)
}

#[test]
fn hashing_that_does_not_get_on_ends_with_the_wait_and_names_who_hashes() {
    let (ended, only) = resolving(ResolveEvent::Hashing(5, 10), "2s");
    let sentence = ended.error(6);
    assert!(sentence.contains("growing.log") && sentence.contains("hashes"), "{sentence}");
    assert!(sentence.contains(&only.node.short()), "{sentence}");
    let (ended, only) = resolving(ResolveEvent::Failed(Refusal::from(Code::NotFound)), FOREVER);
    let sentence = ended.error(1);
    assert!(sentence.contains("any more") && sentence.contains(&only.node.short()), "{sentence}");
}

#[test]
fn what_has_become_another_kind_of_thing_is_refused_with_that_cause() {
    let name = SafePath::parse("growing.log").expect("a name");
    let id = Some(qshare::model::ContentId::of(b"a tree"));
    let tree = Offer { kind: Kind::Collection, files: 2, ..Offer::file(name, 10, id) };
    let (ended, only) = resolving(ResolveEvent::Done(tree), FOREVER);
    let sentence = ended.error(1);
    assert!(sentence.contains("growing.log") && sentence.contains("has changed its copy"), "{sentence}");
    assert!(sentence.contains(&only.node.short()), "{sentence}");
}
