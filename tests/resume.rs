//! What was proven once is not fetched again: not under a new id, not under another name; and what is left unfinished
//! is told of. Zeros take no room, whenever they come.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use common::{Ended, Lab, Mounted, Node, assert_same_tree, noise};
use rustix::process::Signal;

const MIB: usize = 1 << 20;

/// Fetches until so many bytes are proven, and is interrupted.
fn interrupted(lab: &Lab, tracker: &Node, arguments: &[&str], bytes: usize) {
    let mut get = lab.getting(tracker, &[arguments, &["--limit", "3MiB/s"]].concat());
    get.event_that("progress", |e| e["bytes"].as_u64() >= Some(bytes as u64));
    get.signal(Signal::INT);
    get.end().error(130);
}

fn unfinished(dir: &Path) -> Vec<String> {
    let names =
        fs::read_dir(dir).expect("readable").map(|e| e.expect("entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".qshare-")).collect()
}

fn fetched(ended: &Ended) -> usize {
    usize::try_from(ended.done()["fetched"].as_u64().expect("a number")).expect("small")
}

fn warnings(ended: &Ended) -> Vec<String> {
    let told = ended.events.iter().filter(|event| event["event"] == "warning");
    told.map(|event| event["message"].as_str().expect("text").to_owned()).collect()
}

/// The ids of what the provider offers under these names.
fn ids(provider: &mut Node, names: &[&str]) -> Vec<String> {
    let id = |name: &&str| {
        let of = |e: &serde_json::Value| e["event"] == "offer" && e["name"] == **name;
        let offer = provider.process.events.iter().find(|event| of(event)).cloned();
        offer.unwrap_or_else(|| provider.process.event_that("offer", of))["id"].as_str().expect("an id").to_owned()
    };
    names.iter().map(id).collect()
}

#[test]
fn a_tree_of_which_a_little_has_changed_is_not_fetched_again() {
    let lab = Lab::new();
    for (version, notes) in [("one", "v1"), ("two", "v2")] {
        for n in 0..6 {
            // One file has another name in the second.
            let name = if (n, version) == (0, "two") { "moved/f0".to_owned() } else { format!("f{n}") };
            lab.file(&format!("{version}/{name}"), &noise(n, 2 * MIB));
        }
        lab.file(&format!("{version}/notes.txt"), notes.as_bytes());
    }
    let tracker = lab.tracker();
    let mut provider = lab.share(&tracker, &[&lab.path("one"), &lab.path("two")], &[]);
    let ids = ids(&mut provider, &["one", "two"]);
    interrupted(&lab, &tracker, &[&ids[0], "-o", "out"], 6 * MIB);
    let dry = lab.get(&tracker, &[&ids[1], "-o", "out", "-n"]);
    let number = |key: &str| usize::try_from(dry.done()[key].as_u64().expect("a number")).expect("small");
    assert!(number("kept") >= 6 * MIB && number("to_come") + number("kept") == 12 * MIB + 2, "{dry:#?}");
    let ended = lab.get(&tracker, &[&ids[1], "-o", "out"]);
    assert!(fetched(&ended) <= 7 * MIB, "{ended:#?}");
    assert_eq!(fetched(&ended), number("to_come"), "it is what was said before");
    assert_same_tree(&lab.path("two"), &lab.path("out"));
    assert_eq!(unfinished(&lab.path(".")), Vec::<String>::new());
    let told = warnings(&ended);
    assert!(told.iter().any(|line| line.contains("unfinished") && line.contains(&ids[0])), "{told:?}");
}

#[test]
fn of_a_file_that_has_grown_only_what_is_new_is_fetched() {
    let lab = Lab::new();
    let bytes = noise(1, 12 * MIB);
    lab.file("one.log", &bytes);
    let grown = [&bytes[..], &noise(2, MIB)].concat();
    lab.file("two.log", &grown);
    let tracker = lab.tracker();
    let mut provider = lab.share(&tracker, &[&lab.path("one.log"), &lab.path("two.log")], &[]);
    let ids = ids(&mut provider, &["one.log", "two.log"]);
    interrupted(&lab, &tracker, &[&ids[0], "-o", "out.log"], 6 * MIB);
    let ended = lab.get(&tracker, &[&ids[1], "-o", "out.log"]);
    assert!(fetched(&ended) <= 8 * MIB, "{ended:#?}");
    assert!(fs::read(lab.path("out.log")).expect("published") == grown);
    assert_eq!(unfinished(&lab.path(".")), Vec::<String>::new());
}

#[test]
fn what_was_asked_for_of_a_tree_is_kept_with_it_and_told_with_how_to_go_on() {
    let lab = Lab::new();
    for (n, name) in
        ["tree/a b.bin", "tree/c.bin", "tree/d.txt", "other/tree-notes.txt", "other/tree.md"].iter().enumerate()
    {
        lab.file(name, &noise(n as u64, if name.starts_with("tree/") { 4 * MIB } else { 10 }));
    }
    let tracker = lab.tracker();
    let mut provider = lab.share(&tracker, &[&lab.path("tree")], &[]);
    let id = ids(&mut provider, &["tree"]).remove(0);
    let dry = |more: &[&str]| lab.get(&tracker, &[&["tree", "-n", "-o", "out/"], more].concat());
    assert_eq!(dry(&[]).done()["busy"], false);
    let mut first = lab.getting(&tracker, &["tree", "-o", "out/", "--only", "*.bin", "--limit", "1MiB/s"]);
    first.event_that("progress", |e| e["bytes"].as_u64() >= Some(MIB as u64 / 2));
    let busy = dry(&["--only", "*.bin"]);
    assert_eq!((&busy.done()["busy"], &busy.done()["kept"]), (&true.into(), &0.into()), "{busy:#?}");
    // Whoever fetches it is a provider too, and has parts of it.
    let whole = |ended: &Ended| {
        let all = ended.done()["holders"].as_array().expect("a list").clone();
        all.iter().map(|one| one["whole"].as_bool().expect("asked")).collect::<std::collections::BTreeSet<_>>()
    };
    let both = || whole(&lab.get(&tracker, &[&id, "-n", "-o", "else/"])) == [false, true].into();
    common::until("the transfer under way is told of", both);
    first.signal(Signal::INT);
    first.end().error(130);
    let status = common::Process::start(lab.qshare().current_dir(lab.path("out")).arg("status")).end();
    assert_eq!(status.event("status")["partials"][0]["only"], serde_json::json!(["*.bin"]), "{status:#?}");
    let mut people = Command::new(env!("CARGO_BIN_EXE_qshare"));
    let output =
        people.arg("--home").arg(lab.home()).arg("status").current_dir(lab.path("out")).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains(&format!("go on: qshare get {id} -o tree --only '*.bin'")), "{text}");
    // Where only other things match the words now, what is kept is told with the command that goes on with it.
    provider.process.signal(Signal::TERM);
    assert_eq!(provider.process.end().code, Some(0));
    let mut other = lab.share(&tracker, &[&lab.path("other")], &[]);
    ids(&mut other, &["other"]);
    let ended = lab.get(&tracker, &["tree", "-o", "out/", "--only", "*.bin"]);
    ended.error(4);
    let command = format!("`qshare get {id} -o out/ --only '*.bin'`");
    assert!(warnings(&ended).iter().any(|line| line.contains(&command)), "{ended:#?}");
}

#[test]
fn what_is_unfinished_elsewhere_is_copied_from_and_told_by_status() {
    let lab = Lab::new();
    lab.file("one/a.bin", &noise(1, 6 * MIB));
    lab.file("one/b.bin", &noise(2, 3 * MIB));
    lab.file("two/elsewhere/a.bin", &noise(1, 6 * MIB));
    let tracker = lab.tracker();
    let mut provider = lab.share(&tracker, &[&lab.path("one"), &lab.path("two")], &[]);
    let ids = ids(&mut provider, &["one", "two"]);
    let (dir, home) = (lab.dir("it's here"), lab.home());
    let at = |home: &Path, arguments: &[&str]| {
        let mut command = lab.qshare_at(home);
        command.args(arguments);
        common::Process::start(&mut command)
    };
    let get = |id: &str, to: &Path, more: &[&str]| {
        let to = to.display().to_string();
        at(&home, &[&["get", "--tracker", &tracker.addr, id, "-o", &to], more].concat())
    };
    let mut first = get(&ids[0], &dir.join("first"), &["--limit", "3MiB/s"]);
    first.event_that("progress", |e| e["bytes"].as_u64() >= Some(4 * MIB as u64));
    let running = at(&home, &["status"]).end();
    assert_eq!(running.event("status")["partials"][0]["in_use"], true, "{running:#?}");
    first.signal(Signal::INT);
    first.end().error(130);

    let ended = get(&ids[1], &dir.join("second"), &[]).end();
    assert!(fetched(&ended) <= 5 * MIB && warnings(&ended).is_empty(), "{ended:#?}");
    assert_same_tree(&lab.path("two"), &dir.join("second"));
    assert_eq!(unfinished(&dir).len(), 3, "what was to have another name stays, with its journal and its givers");

    // From anywhere, as the home knows where it began.
    let status = at(&home, &["status"]).end();
    let partial = &status.event("status")["partials"][0];
    assert_eq!((&partial["id"], &partial["in_use"]), (&ids[0].as_str().into(), &false.into()));
    assert_eq!(partial["target"], dir.canonicalize().expect("there").join("first").display().to_string());
    assert!(partial["have"].as_u64() >= Some(4 * MIB as u64) && partial["size"] == 9 * MIB, "{partial}");
    let mut people = Command::new(env!("CARGO_BIN_EXE_qshare"));
    let output = people.arg("--home").arg(&home).arg("status").current_dir("/").output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let command =
        |of: &str| text.lines().find_map(|line| line.trim().strip_prefix(of)).unwrap_or_else(|| panic!("{text}"));
    let go_on = command("go on: ").replace("qshare", &format!("{} --no-lan --json", env!("CARGO_BIN_EXE_qshare")));
    let go_on = format!("{go_on} --tracker {}", tracker.addr);
    let output = Command::new("sh").args(["-c", &go_on]).env("QSHARE_HOME", &home).output().expect("it runs");
    assert!(output.status.success(), "{go_on}: {output:?}");
    assert_same_tree(&lab.path("one"), &dir.join("first"));

    interrupted(&lab, &tracker, &[&ids[0], "-o", "third"], MIB);
    let here = at(&home, &["status"]).end();
    assert_eq!(here.event("status")["partials"].as_array().map(Vec::len), Some(1), "{here:#?}");
    let mut people = Command::new(env!("CARGO_BIN_EXE_qshare"));
    let output = people.arg("--home").arg(&home).arg("status").current_dir(lab.path(".")).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let remove = text.lines().find_map(|line| line.trim().strip_prefix("remove it: ")).expect("told");
    assert!(Command::new("sh").args(["-c", remove]).current_dir(lab.path(".")).status().expect("it runs").success());
    assert_eq!(unfinished(&lab.path(".")), Vec::<String>::new());
}

impl Mounted {
    /// A small file system of this kind, if one can be had.
    fn new(lab: &Lab, kind: &str) -> Option<Self> {
        let (image, at) = (lab.path(&format!("{kind}.img")), lab.dir(kind));
        let run = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        fs::File::create(&image).and_then(|file| file.set_len(400 << 20)).expect("made");
        let made = run(Command::new(format!("mkfs.{kind}")).arg(&image));
        if made && run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at)) {
            return Some(Self(at));
        }
        eprintln!("skipped: no {kind} can be mounted here");
        None
    }
}

fn used(path: &Path) -> u64 {
    fs::File::open(path).expect("there").sync_all().expect("synced");
    fs::metadata(path).expect("there").blocks() * 512
}

#[test]
fn holes_stay_holes_on_disks_too() {
    let lab = Lab::new();
    // The front has bytes, so that the transfer can be stopped between them and the zeros.
    let mut image = noise(1, 72 * MIB);
    image[12 * MIB..70 * MIB].fill(0);
    image[40 * MIB] = 1;
    let file = lab.file("disk.img", &image);
    lab.file("tree/small.bin", &vec![0; MIB / 4]);
    lab.file("tree/large.bin", &image[11 * MIB..13 * MIB]);
    lab.file("tree/twice.bin", &image[11 * MIB..13 * MIB]);
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file, &lab.path("tree")], &[]);
    for kind in ["ext4", "xfs"] {
        let Some(disk) = Mounted::new(&lab, kind) else { continue };
        let to = format!("{}/", disk.0.display());
        interrupted(&lab, &tracker, &["disk.img", "-o", &to], 4 * MIB);
        lab.get(&tracker, &["disk.img", "-o", &to]).done();
        assert!(fs::read(disk.0.join("disk.img")).expect("published") == image, "{kind}");
        // 14 MiB of bytes, and the chunk around the one byte.
        let most = 16 * MIB as u64;
        assert!(used(&disk.0.join("disk.img")) < most, "{kind}: {} bytes used", used(&disk.0.join("disk.img")));
        lab.get(&tracker, &["tree", "-o", &to]).done();
        assert_same_tree(&lab.path("tree"), &disk.0.join("tree"));
        for (name, most) in [("small.bin", 0), ("large.bin", MIB), ("twice.bin", MIB)] {
            let used = used(&disk.0.join("tree").join(name));
            assert!(used <= most as u64, "{kind}: {name} uses {used}");
        }
    }
}

#[test]
fn what_is_kept_of_it_is_told_where_nobody_is_found() {
    let lab = Lab::new();
    lab.file("data.bin", &noise(3, 6 * MIB));
    let tracker = lab.tracker();
    let mut provider = lab.share(&tracker, &[&lab.path("data.bin")], &[]);
    let id = ids(&mut provider, &["data.bin"]).remove(0);
    interrupted(&lab, &tracker, &["data.bin", "-o", "out/"], MIB);
    provider.process.signal(Signal::TERM);
    assert_eq!(provider.process.end().code, Some(0));
    let kept = |ended: &Ended| {
        let told = warnings(ended);
        told.iter().any(|line| line.contains("of `data.bin` are kept in out") && line.contains(&id))
    };
    for what in ["data.bin", "data", id.as_str()] {
        let ended = lab.get(&tracker, &[what, "-o", "out/"]);
        ended.error(3);
        assert!(kept(&ended), "{what}: {ended:#?}");
    }
    // Not of anything else, nor elsewhere.
    for arguments in [["other", "-o", "out/"], ["data.bin", "-o", "elsewhere/"]] {
        let ended = lab.get(&tracker, &arguments);
        ended.error(3);
        assert_eq!(warnings(&ended), Vec::<String>::new());
    }
    // Where nobody could even be asked.
    let addr = tracker.addr.clone();
    drop(tracker);
    let get = ["get", "--tracker", &addr, "data.bin", "-o", "out/"];
    let ended = common::Process::start(lab.qshare().args(get)).end();
    ended.error(1);
    assert!(kept(&ended), "{ended:#?}");
}
