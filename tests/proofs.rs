//! What was never proven is not proven: a claim about a size, a name that somebody else has put in the place of ours, a file
//! that was touched, an output that nobody reads. Liars write their own bytes here.
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use qshare::wire::{Request, limits};
use rustix::fs::{CWD, FileType, mknodat};
use serde::{Serialize, Serializer};

use common::scripted::{Content, Guise, Script, Scripted, honest, list_of, record, units};
use common::{Ended, Lab, Node, Process, noise};

const MIB: usize = 1 << 20;

/// An announcement as it travels, from no code of the node.
#[derive(Serialize)]
struct RawDelta {
    add: Vec<RawOffer>,
    remove: Vec<()>,
    join: Vec<()>,
    leave: Vec<()>,
}

#[derive(Serialize)]
struct RawOffer {
    name: &'static str,
    size: u64,
    id: Bin,
    kind: &'static str,
    files: u32,
    locked: bool,
}

struct Bin([u8; 32]);

impl Serialize for Bin {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

fn claims(name: &'static str, bytes: &[u8], size: u64, kind: &'static str) -> RawDelta {
    let id = Bin(*blake3::hash(bytes).as_bytes());
    let add = vec![RawOffer { name, size, id, kind, files: 1, locked: false }];
    RawDelta { add, remove: Vec::new(), join: Vec::new(), leave: Vec::new() }
}

fn honestly() -> Script {
    Arc::new(|request, content, stream| Box::pin(honest(request, content, stream)))
}

fn search_finds(lab: &Lab, tracker: &Node, words: &str, id: &str) {
    let found = Process::start(lab.qshare().args(["search", words, "--tracker", &tracker.addr])).end();
    assert!(found.events.iter().any(|event| event["event"] == "hit" && event["id"] == id), "{found:#?}");
}

fn left(lab: &Lab) -> Vec<String> {
    let names = fs::read_dir(lab.path("")).expect("readable").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(".qshare-")).collect()
}

#[test]
fn nothing_is_not_the_content_of_any_id() {
    let lab = Lab::new();
    let bytes = noise(1, MIB + 7);
    let (id, tracker) = (blake3::hash(&bytes).to_string(), lab.tracker());
    let _liar = Scripted::announcing(
        &tracker,
        &claims("real.bin", &bytes, 0, "file"),
        false,
        Content::file(&bytes),
        honestly(),
    );
    let refused = |arguments: &[&str]| {
        let ended = lab.get(&tracker, arguments);
        assert!(ended.code.is_some_and(|code| code != 0), "{arguments:?}: {ended:#?}");
        assert!(ended.events.iter().any(|e| e.to_string().contains("0 bytes")), "it is told: {ended:#?}");
        assert!(ended.events.iter().all(|e| e["event"] != "done"), "{ended:#?}");
    };
    let kept = lab.file("here/real.bin", b"what was here before");
    for what in [&id[..], "real.bin"] {
        refused(&[what]);
        refused(&[what, "-n"]);
        refused(&[what, "--seed"]);
        refused(&[what, "-o", "here/real.bin", "--force"]);
        let mut stream = Command::new(env!("CARGO_BIN_EXE_qshare"));
        stream.env("QSHARE_HOME", lab.home()).args(["--no-lan", "get", what, "-o", "-", "--tracker", &tracker.addr]);
        let stream = stream.output().expect("run");
        assert!(!stream.status.success() && stream.stdout.is_empty(), "{stream:?}");
    }
    assert_eq!(fs::read(&kept).expect("there"), b"what was here before");
    assert!(!lab.path("real.bin").exists() && left(&lab).is_empty());
    // An honest one beside the liar, and an honest empty file.
    let (file, empty) = (lab.file("shared/real.bin", &bytes), lab.file("shared/empty.bin", b""));
    let _honest = lab.share(&tracker, &[&file, &empty], &[]);
    search_finds(&lab, &tracker, "real", &id);
    for what in [&id[..], "real.bin"] {
        lab.get(&tracker, &[what, "-o", "out/"]).done();
        assert!(fs::read(lab.path("out/real.bin")).expect("published") == bytes);
        fs::remove_dir_all(lab.path("out")).expect("removed");
    }
    lab.get(&tracker, &["empty.bin"]).done();
    assert_eq!(fs::read(lab.path("empty.bin")).expect("published"), b"");
}

#[test]
fn a_collection_with_a_file_of_no_bytes_and_an_id_of_some_is_refused_whole() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (some, none) = (blake3::hash(b"some"), blake3::hash(b""));
    for (number, line) in
        [format!("f 0 {some} b\n"), format!("x 0 {some} b\n"), format!("f 1 {none} b\n")].iter().enumerate()
    {
        let manifest = format!("qshare-collection-1\nf 4 {some} a\n{line}");
        let name = ["tree0", "tree1", "tree2"][number];
        let content = Content::tree(manifest.as_bytes(), &[b"some"]);
        let _liar = Scripted::start(&tracker, &Guise::tree(name), content, honestly());
        let sentence = lab.get(&tracker, &[name]).error(1);
        assert!(sentence.contains("refused whole") && sentence.contains(" b "), "{sentence}");
        assert!(!lab.path(name).exists() && left(&lab).is_empty());
    }
}

/// Honest but for the size that it claims and the last chunk, which it keeps to itself.
fn keeps_the_last() -> Script {
    Arc::new(|request, content, mut stream| {
        Box::pin(async move {
            let last = content.map.units() - 1;
            match request {
                Request::List(_) => {
                    let whole: Vec<u8> = (0..=last).flat_map(|unit| content.unit(unit).to_vec()).collect();
                    let list = list_of(&whole);
                    let head = qshare::wire::ListHead { chunks: last + 1 };
                    let _ = stream.grant(head, limits::CONTROL).await;
                    let _ = stream.send.write_all(list.as_bytes()).await;
                    let _ = stream.send.stopped().await;
                }
                Request::Fetch(fetch) => {
                    let _ = stream.grant((), limits::CONTROL).await;
                    for unit in units(&fetch).into_iter().filter(|unit| *unit != last) {
                        let _ = stream.send.write_all(&record(unit, content.unit(unit))).await;
                    }
                    let _ = stream.send.stopped().await;
                }
                other => honest(other, content, stream).await,
            }
        })
    })
}

/// Two liars in turn, each killed with what it made be proven, then an honest run: what was proven is content.
#[test]
fn a_wrong_size_costs_nothing_but_the_unit_that_it_bends() {
    let lab = Lab::new();
    let bytes = noise(2, 6 * MIB + 5);
    let (id, size) = (blake3::hash(&bytes).to_string(), bytes.len() as u64);
    let mut proven = 0;
    for lie in [size + 1, size - 1] {
        let tracker = lab.tracker();
        let delta = claims("poison.bin", &bytes, lie, "file");
        let _liar = Scripted::announcing(&tracker, &delta, false, Content::file(&bytes), keeps_the_last());
        let mut get = lab.getting(&tracker, &[&id, "-o", "poison.bin"]);
        get.event_that("progress", |event| event["bytes"].as_u64() >= Some(2 * MIB as u64).max(Some(proven)));
        let progress = get.event_that("progress", |event| event["bytes"].as_u64() > Some(4 * MIB as u64));
        proven = progress["bytes"].as_u64().expect("a number");
        get.kill();
    }
    let tracker = lab.tracker();
    let file = lab.file("shared/poison.bin", &bytes);
    let _honest = lab.share(&tracker, &[&file], &[]);
    let ended = lab.get(&tracker, &[&id, "-o", "poison.bin"]);
    let fetched = ended.done()["fetched"].as_u64().expect("a number");
    assert!(fetched <= size - 4 * MIB as u64, "{proven} were proven and {fetched} fetched");
    assert!(fs::read(lab.path("poison.bin")).expect("published") == bytes);
    assert!(left(&lab).is_empty());
}

fn names_of(id: &str) -> [String; 3] {
    ["part", "journal", "givers"].map(|kind| format!(".qshare-{}.{kind}", &id[..16]))
}

#[test]
fn what_is_planted_at_the_destination_is_not_written_through() {
    let lab = Lab::new();
    let bytes = noise(3, MIB + 9);
    let (id, tracker) = (blake3::hash(&bytes).to_string(), lab.tracker());
    let _honest = lab.share(&tracker, &[&lab.file("shared/planted.bin", &bytes)], &[]);
    let victim = lab.file("outside/victim", b"precious");
    let names = names_of(&id);
    for name in &names[..2] {
        for what in ["fifo", "hard link", "directory"] {
            let at = lab.path(name);
            match what {
                "fifo" => mknodat(CWD, &at, FileType::Fifo, 0o600.into(), 0).expect("made"),
                "hard link" => fs::hard_link(&victim, &at).expect("linked"),
                _ => fs::create_dir(&at).expect("made"),
            }
            let sentence = lab.get(&tracker, &["planted.bin"]).error(1);
            assert!(sentence.contains(name.as_str()), "{what} at {name}: {sentence}");
            assert_eq!(fs::read(&victim).expect("there"), b"precious");
            assert!(!lab.path("planted.bin").exists());
            fs::remove_dir(&at).or_else(|_| fs::remove_file(&at)).expect("removed");
            left(&lab).iter().for_each(|name| drop(fs::remove_file(lab.path(name))));
        }
    }
    // A hint is done without.
    fs::hard_link(&victim, lab.path(&names[2])).expect("linked");
    lab.get(&tracker, &["planted.bin"]).done();
    assert_eq!(fs::read(&victim).expect("there"), b"precious");
    assert!(fs::read(lab.path("planted.bin")).expect("published") == bytes);
}

/// How much of it is kept is known to the next run alone.
#[test]
fn of_a_part_that_is_cut_in_mid_transfer_no_count_is_told() {
    let lab = Lab::new();
    let bytes = noise(6, 12 * MIB);
    let (id, tracker) = (blake3::hash(&bytes).to_string(), lab.tracker());
    let _honest = lab.share(&tracker, &[&lab.file("shared/cut.bin", &bytes)], &["--limit", "8MiB/s"]);
    let mut get = lab.getting(&tracker, &["cut.bin"]);
    get.event_that("progress", |event| event["bytes"].as_u64() > Some(4 * MIB as u64));
    let part = fs::OpenOptions::new().write(true).open(lab.path(&names_of(&id)[0])).expect("opened");
    part.set_len(100).expect("cut");
    let sentence = get.end().error(6);
    assert!(sentence.contains("what is right is kept") && !sentence.contains("MiB"), "{sentence}");
    lab.get(&tracker, &["cut.bin"]).done();
    assert!(fs::read(lab.path("cut.bin")).expect("published") == bytes);
}

#[test]
fn a_part_that_is_replaced_or_bent_in_mid_transfer_is_not_published() {
    let lab = Lab::new();
    let bytes = noise(4, 12 * MIB);
    let (id, tracker) = (blake3::hash(&bytes).to_string(), lab.tracker());
    let _honest = lab.share(&tracker, &[&lab.file("shared/bent.bin", &bytes)], &["--limit", "8MiB/s"]);
    let victim = lab.file("outside/victim", &noise(5, 12 * MIB));
    let part = lab.path(&names_of(&id)[0]);
    let deeds: [fn(&Path, &Path); 3] = [
        |part, victim| {
            fs::remove_file(part).expect("removed");
            fs::copy(victim, part).expect("copied");
        },
        |part, victim| {
            fs::remove_file(part).expect("removed");
            std::os::unix::fs::symlink(victim, part).expect("linked");
        },
        |part, _| {
            let bytes = fs::read(part).expect("there");
            let at = bytes.iter().position(|byte| *byte != 0).expect("something is written");
            let file = fs::OpenOptions::new().write(true).open(part).expect("opened");
            // Not within one tick of the file system's clock alone.
            for _ in 0..5 {
                file.write_all_at(&[!bytes[at]], at as u64).expect("written");
                std::thread::sleep(std::time::Duration::from_millis(11));
            }
        },
    ];
    for deed in deeds {
        let mut get = lab.getting(&tracker, &["bent.bin"]);
        get.event_that("progress", |event| event["bytes"].as_u64() > Some(4 * MIB as u64));
        deed(&part, &victim);
        let sentence = get.end().error(6);
        assert!(sentence.contains("changed by another program"), "{sentence}");
        assert!(sentence.contains("what is right is kept") && !sentence.contains("MiB"), "no count: {sentence}");
        assert!(!lab.path("bent.bin").exists());
        if part.is_symlink() {
            fs::remove_file(&part).expect("removed");
        }
    }
    let fetched = lab.get(&tracker, &["bent.bin"]).done()["fetched"].as_u64();
    assert!(fetched <= Some(MIB as u64), "only what is bent comes again: {fetched:?}");
    assert!(fs::read(lab.path("bent.bin")).expect("published") == bytes);
    assert!(fs::read(&victim).expect("there") == noise(5, 12 * MIB));
}

/// A shell that limits the size of files to so many KiB, and becomes what is given.
fn limited(lab: &Lab, home: &Path, kib: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    let script = format!("ulimit -f {kib}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_qshare"), "--json", "--no-lan"]).args(arguments);
    command.current_dir(lab.path("")).env("QSHARE_HOME", home).env_remove("QSHARE_TRACKER");
    command
}

#[test]
fn a_limit_of_file_sizes_is_an_error_like_any_other() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let tree = lab.dir("shared/tree");
    for n in 0..3 {
        lab.file(&format!("shared/tree/{n}.bin"), &noise(n + 6, 3 * MIB / 2));
    }
    let big = lab.file("shared/big.bin", &noise(9, 5 * MIB));
    let _honest = lab.share(&tracker, &[&big, &tree], &[]);
    for what in ["big.bin", "tree"] {
        let mut command = limited(&lab, &lab.home(), 1024, &["get", what, "--tracker", &tracker.addr]);
        let sentence = Process::start(&mut command).end().error(1);
        assert!(sentence.contains("ulimit -f"), "{sentence}");
        assert!(!lab.path(what).exists());
        lab.get(&tracker, &[what]).done();
    }
    // A node that shares under such a limit goes on, too, though it cannot keep what it has hashed.
    let more = lab.file("more/more.bin", &noise(10, 2 * MIB));
    let more = more.to_str().expect("text");
    let arguments = ["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr, more];
    let mut node = lab.start(&mut limited(&lab, &lab.home(), 16, &arguments));
    node.wait_hashed();
    lab.get(&tracker, &["more.bin"]).done();
}

#[test]
fn a_run_that_ended_before_it_cleared_up_is_finished_where_it_was() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    lab.file("tree/a.bin", &noise(11, 3 * MIB));
    lab.file("tree/b.bin", &noise(12, 3 * MIB));
    let _honest = lab.share(&tracker, &[&lab.path("tree")], &["--limit", "4MiB/s"]);
    let found = Process::start(lab.qshare().args(["search", "tree", "--tracker", &tracker.addr])).end();
    let hit = found.events.iter().find(|event| event["kind"] == "collection").expect("found");
    let id = hit["id"].as_str().expect("hashed").to_owned();
    let mut get = lab.getting(&tracker, &[&id, "-o", "NEW"]);
    get.event_that("progress", |event| event["bytes"].as_u64() > Some(MIB as u64));
    get.kill();
    let journal = lab.path(&names_of(&id)[1]);
    let kept = fs::read(&journal).expect("there");
    lab.get(&tracker, &[&id, "-o", "NEW"]).done();
    // As if it had been killed between the last two steps.
    fs::write(&journal, kept).expect("written");
    let again = lab.get(&tracker, &[&id, "-o", "NEW"]);
    assert_eq!((&again.done()["path"], &again.done()["fetched"]), (&"NEW".into(), &0.into()));
    common::assert_same_tree(&lab.path("tree"), &lab.path("NEW"));
    assert!(left(&lab).is_empty());
    // A directory that is only a directory is one to put it into.
    lab.dir("into");
    assert_eq!(lab.get(&tracker, &[&id, "-o", "into"]).done()["path"], "into/tree");
}

#[test]
fn an_output_that_nobody_reads_is_no_success() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let (file, empty) = (lab.file("shared/some.bin", &noise(13, MIB)), lab.file("shared/empty.bin", b""));
    let _honest = lab.share(&tracker, &[&file, &empty], &[]);
    let shell = |script: &str, name: &str| {
        let mut command = Command::new("bash");
        command.args([
            "-c",
            &format!("set -o pipefail; \"$0\" --no-lan get {name} -o - --tracker {} {script}", tracker.addr),
        ]);
        command.arg(env!("CARGO_BIN_EXE_qshare")).env("QSHARE_HOME", lab.home()).stdin(Stdio::null());
        command.output().expect("run")
    };
    for name in ["some.bin", "empty.bin"] {
        let closed = shell(">&-", name);
        assert!(!closed.status.success(), "{closed:?}");
        assert!(String::from_utf8_lossy(&closed.stderr).contains("standard output is closed"), "{closed:?}");
        assert!(shell("> /dev/null", name).status.success() && shell("| cat", name).status.success());
        let mut broken = Command::new(env!("CARGO_BIN_EXE_qshare"));
        broken.args(["--no-lan", "get", name, "-o", "-", "--tracker", &tracker.addr]).env("QSHARE_HOME", lab.home());
        let mut broken = broken.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("run");
        drop(broken.stdout.take());
        assert!(!broken.wait().expect("ended").success(), "{name}");
    }
}

#[test]
fn small_files_of_the_home_that_are_torn_are_told_of_and_stop_nothing() {
    let lab = Lab::new();
    let home = lab.home();
    let tracker = lab.tracker();
    let file = lab.file("shared/home.bin", b"bytes");
    let arguments = ["share", "--listen", "127.0.0.1:0", "--tracker", &tracker.addr];
    let share = || lab.start(lab.qshare_at(&home).args(arguments).arg(&file));
    let friend = blake3::hash(b"x");
    drop(share());
    fs::write(home.join("node/transport.key"), b"").expect("torn");
    fs::write(home.join("friends"), format!("anna {friend}\n\0\0\0")).expect("torn");
    fs::write(home.join("trust"), b"127.0.0.1:9 abc").expect("torn");
    for name in ["met", "begun", "node/neighbours"] {
        let _ = fs::remove_file(home.join(name));
        mknodat(CWD, home.join(name), FileType::Fifo, 0o600.into(), 0).expect("made");
    }
    let mut node = share();
    for name in ["transport.key", "friends", "trust"] {
        let known =
            |node: &Node| node.process.events.iter().any(|e| e["event"] == "warning" && e.to_string().contains(name));
        if !known(&node) {
            node.process.event_that("warning", |event| event.to_string().contains(name));
        }
    }
    node.wait_hashed();
    let get: Ended = Process::start(lab.qshare_at(&home).args(["get", "home.bin", "--tracker", &tracker.addr])).end();
    get.done();
    drop(node);
    let friends = Process::start(lab.qshare_at(&home).args(["friends", "list"])).end();
    assert_eq!(friends.code, Some(0), "{friends:#?}");
    // Whose key it was cannot be told from an empty file: that is not made anew.
    fs::write(home.join("node/identity.key"), b"").expect("torn");
    let sentence = Process::start(lab.qshare_at(&home).args(arguments).arg(&file)).end().error(1);
    assert!(sentence.contains("identity.key") && sentence.contains("empty"), "{sentence}");
}
