//! One provider, one downloader: what arrives, where it lands, and what every bad input gets.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use common::{Lab, Process, assert_same_tree, noise};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

#[test]
fn a_file_is_found_by_words_and_arrives_proven() {
    let lab = Lab::new();
    let bytes = noise(1, 3 * MIB + 7);
    let file = lab.file("shared/Turing 1936.pdf", &bytes);
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&file], &[]);

    let ended = lab.get(&tracker, &["turing", "1936"]);
    let done = ended.done();
    assert_eq!(done["id"], blake3::hash(&bytes).to_string());
    assert_eq!(
        (done["bytes"].as_u64(), done["fetched"].as_u64()),
        (Some(bytes.len() as u64), Some(bytes.len() as u64))
    );
    assert_eq!(done["providers"][0]["node"], provider.id);
    assert_eq!(fs::read(lab.path("Turing 1936.pdf")).expect("published"), bytes);
}

#[test]
fn a_transfers_log_says_whom_each_line_is_about() {
    let lab = Lab::new();
    let bytes = noise(4, 3 * MIB);
    let (one, other) = (lab.file("one/x.bin", &bytes), lab.file("other/x.bin", &bytes));
    let tracker = lab.tracker();
    let providers = [lab.share(&tracker, &[&one], &[]), lab.share(&tracker, &[&other], &[])];
    let ended = lab.get(&tracker, &["x.bin", "-vvv"]);
    ended.done();
    let of = |at: &str| ended.stderr.lines().filter(|line| line.contains(at)).collect::<Vec<_>>();
    let known = |line: &&str| providers.iter().any(|node| line.contains(&format!("provider={}", &node.id[..8])));
    for (at, what) in [("fetch{content=", "units=["), ("list{content=", "file=0")] {
        let lines = of(at);
        assert!(lines.iter().any(|line| line.contains("asked")), "{}", ended.stderr);
        assert!(lines.iter().any(|line| line.contains("ended=\"whole\"")), "{}", ended.stderr);
        assert!(lines.iter().all(|line| known(line) && line.contains(what)), "{lines:#?}");
    }
    assert!(of("qshare::actors::download::fetch:").iter().all(known), "{}", ended.stderr);
}

#[test]
fn ids_are_those_of_b3sum_around_every_chunk_boundary() {
    let lab = Lab::new();
    let sizes = [0, 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 512 * KIB, 768 * KIB + 1];
    for size in sizes {
        lab.file(&format!("shared/{size}.bin"), &noise(size as u64, size));
    }
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&lab.path("shared")], &[]);
    for size in sizes {
        let id = blake3::hash(&noise(size as u64, size)).to_string();
        let ended = lab.get(&tracker, &[&id, "-o", &format!("{size}.out")]);
        assert_eq!(ended.done()["id"], id, "size {size}");
        assert_eq!(fs::read(lab.path(&format!("{size}.out"))).expect("published").len(), size);
    }
}

#[test]
fn a_tree_arrives_with_empty_files_directories_and_executable_bits() {
    let lab = Lab::new();
    lab.file("tree/a/one.txt", b"one");
    lab.file("tree/a/copy of one.txt", b"one");
    lab.file("tree/empty.txt", b"");
    lab.file("tree/big.bin", &noise(2, 2 * MIB));
    lab.dir("tree/no/files/here");
    let script = lab.file("tree/bin/run", b"#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("own file");
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&lab.path("tree")], &[]);

    let ended = lab.get(&tracker, &["tree", "-o", "out/"]);
    assert_eq!(ended.done()["name"], "tree");
    assert_same_tree(&lab.path("tree"), &lab.path("out/tree"));

    let again = lab.get(&tracker, &["tree", "-o", "out/"]);
    assert_eq!(again.done()["fetched"], 0);

    fs::remove_file(lab.path("out/tree/big.bin")).expect("there");
    let repaired = lab.get(&tracker, &["tree", "-o", "out/"]);
    assert_eq!(repaired.done()["fetched"].as_u64(), Some(2 * MIB as u64));
    assert_same_tree(&lab.path("tree"), &lab.path("out/tree"));
}

#[test]
fn explain_accounts_for_all_the_time_and_names_a_slow_provider() {
    let lab = Lab::new();
    let file = lab.file("slow.bin", &noise(3, 6 * MIB));
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&file], &["--limit", "3MiB/s"]);

    let ended = lab.get(&tracker, &["slow", "-o", "out/", "--explain"]);
    let explain = ended.event("explain");
    let shares = explain["shares"].as_array().expect("shares");
    let whole: f64 = shares.iter().filter_map(|share| share["share"].as_f64()).sum();
    assert!((whole - 1.0).abs() < 1e-9, "{explain}");
    assert_eq!(
        (&explain["limit"], &shares[0]["node"]),
        (&"provider".into(), &provider.id.as_str().into()),
        "{explain}"
    );
    assert!(explain["paths"][0]["mtu"].as_u64() >= Some(1200), "{explain}");

    let limited = lab.get(&tracker, &["slow", "-o", "limited/", "--explain", "--limit", "1MiB/s"]);
    assert_eq!(limited.event("explain")["limit"], "limit");
}

#[test]
fn a_provider_is_reached_over_as_many_connections_as_were_asked_for() {
    let lab = Lab::new();
    let bytes = noise(4, 6 * MIB);
    let file = lab.file("wide.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &["--limit", "6MiB/s"]);

    let ended = lab.get(&tracker, &["wide", "-o", "out/", "--explain", "--connections", "3"]);
    assert_eq!(ended.event("explain")["paths"][0]["connections"], 3);
    assert!(fs::read(lab.path("out/wide.bin")).expect("fetched") == bytes);

    let usual = lab.get(&tracker, &["wide", "-o", "usual/", "--explain"]);
    assert_eq!(usual.event("explain")["paths"][0]["connections"], 1, "one is enough for what is slow");
}

#[test]
fn only_and_dry_run_take_a_part_or_nothing() {
    let lab = Lab::new();
    lab.file("tree/a.pdf", b"pdf");
    lab.file("tree/b/c.pdf", b"another");
    lab.file("tree/d.txt", b"text");
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&lab.path("tree")], &[]);

    assert_eq!(lab.get(&tracker, &["tree", "-n", "-o", "out/"]).done()["fetched"], 0);
    assert!(!lab.path("out").exists(), "a dry run writes nothing");
    lab.get(&tracker, &["tree", "--only", "*.pdf", "-o", "out/"]).done();
    assert!(lab.path("out/tree/a.pdf").exists() && lab.path("out/tree/b/c.pdf").exists());
    assert!(!lab.path("out/tree/d.txt").exists());
}

#[test]
fn a_file_goes_to_standard_output_in_order() {
    let lab = Lab::new();
    let bytes = noise(3, 2 * MIB + 5);
    let file = lab.file("shared/stream.bin", &bytes);
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &[]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qshare"));
    let output = command
        .env("QSHARE_HOME", lab.home())
        .current_dir(lab.dir("elsewhere"))
        .args(["get", "stream.bin", "-o", "-", "-q", "--tracker", &tracker.addr])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == bytes, "the bytes on standard output are the file's");
    assert_eq!(fs::read_dir(lab.path("elsewhere")).expect("there").count(), 0, "nothing is left behind");
}

#[test]
fn the_line_to_paste_works_without_tracker() {
    let lab = Lab::new();
    let bytes = noise(4, 300 * KIB);
    let file = lab.file("shared/paste me.bin", &bytes);
    let mut provider = lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0"]).arg(&file));
    let offer = provider.process.event("offer");
    let line = offer["get"].as_str().expect("text").to_owned();
    let mut words = line.split(' ');
    assert_eq!((words.next(), words.next()), (Some("qshare"), Some("get")));
    let ended = Process::start(lab.qshare().arg("get").args(words).args(["-o", "out.bin"])).end();
    ended.done();
    assert_eq!(fs::read(lab.path("out.bin")).expect("published"), bytes);
}

#[test]
fn what_exists_is_kept_unless_forced() {
    let lab = Lab::new();
    let file = lab.file("shared/x.bin", b"new bytes");
    lab.file("x.bin", b"older and other bytes");
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &[]);

    let refused = lab.get(&tracker, &["x.bin"]).error(1);
    assert!(refused.contains("x.bin") && refused.contains("--force"), "{refused}");
    assert_eq!(fs::read(lab.path("x.bin")).expect("there"), b"older and other bytes");
    lab.get(&tracker, &["x.bin", "--force"]).done();
    assert_eq!(fs::read(lab.path("x.bin")).expect("there"), b"new bytes");
}

#[test]
fn several_ids_of_one_name_are_listed_and_never_chosen() {
    let lab = Lab::new();
    let (one, two) = (lab.file("one/report.pdf", b"one"), lab.file("two/report.pdf", b"two, longer"));
    let tracker = lab.tracker();
    let _first = lab.share(&tracker, &[&one], &[]);
    let _second = lab.share(&tracker, &[&two], &[]);
    let ended = lab.get(&tracker, &["report.pdf"]);
    ended.error(4);
    assert_eq!(ended.events.iter().filter(|e| e["event"] == "hit").count(), 2, "{ended:#?}");
    let id = blake3::hash(b"one").to_string();
    lab.get(&tracker, &[&id]).done();
    assert_eq!(fs::read(lab.path("report.pdf")).expect("published"), b"one");
}

#[test]
fn nothing_found_and_nobody_there_have_their_own_exit_codes() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let nothing = lab.get(&tracker, &["no-such-thing"]).error(3);
    assert!(nothing.contains("no-such-thing"), "{nothing}");
    let id = blake3::hash(b"never offered").to_string();
    assert!(lab.get(&tracker, &[&id]).error(3).contains(&id));
    let nowhere = Process::start(lab.qshare().args(["get", "x"])).end().error(2);
    assert!(nowhere.contains("--tracker"), "{nowhere}");
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").to_string();
    let silent = Process::start(lab.qshare().args(["get", "x", "--tracker", &closed])).end().error(1);
    assert!(silent.contains(&closed), "{silent}");
}

#[test]
fn a_destination_that_cannot_be_written_is_named() {
    let lab = Lab::new();
    let file = lab.file("shared/x.bin", b"bytes");
    lab.file("occupied", b"a file, not a directory");
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&file], &[]);
    let blocked = lab.get(&tracker, &["x.bin", "-o", "occupied/x.bin"]).error(1);
    assert!(blocked.contains("occupied"), "{blocked}");
    let absent = lab.get(&tracker, &["x.bin", "-o", "no/such/dir/x.bin"]).error(1);
    assert!(absent.contains("no/such/dir"), "{absent}");
}

#[test]
fn a_link_in_the_destination_is_not_followed() {
    let lab = Lab::new();
    lab.file("tree/sub/x.bin", b"bytes");
    let outside = lab.dir("outside");
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&lab.path("tree")], &[]);
    lab.dir("out/tree");
    std::os::unix::fs::symlink(&outside, lab.path("out/tree/sub")).expect("linked");
    let refused = lab.get(&tracker, &["tree", "-o", "out/"]).error(1);
    assert!(refused.contains("sub"), "{refused}");
    assert_eq!(fs::read_dir(outside).expect("there").count(), 0);
}

#[test]
fn times_travel_beside_the_id_and_are_applied_on_request() {
    let lab = Lab::new();
    let set = |path: &Path, nanos: u64| {
        let file = fs::File::options().write(true).open(path).expect("own file");
        file.set_modified(UNIX_EPOCH + Duration::from_nanos(nanos)).expect("set");
    };
    let modified = |name: &str| fs::metadata(lab.path(name)).and_then(|meta| meta.modified()).expect("there");
    let names = ["tree/a/one.txt", "tree/a/same as one.txt", "tree/big.bin", "tree/empty.txt"];
    let contents = [b"one".to_vec(), b"one".to_vec(), noise(5, MIB), Vec::new()];
    for (index, (name, bytes)) in names.iter().zip(&contents).enumerate() {
        set(&lab.file(name, bytes), 1_000_000_000_123_456_789 + index as u64);
    }
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&lab.path("tree")], &[]);

    lab.get(&tracker, &["tree", "-o", "fresh/"]).done();
    lab.get(&tracker, &["tree", "-o", "timed/", "--times"]).done();
    for name in names {
        assert_ne!(modified(&format!("fresh/{name}")), modified(name), "{name} has the time of its arrival");
        assert_eq!(modified(&format!("timed/{name}")), modified(name), "{name}");
    }
    let big = blake3::hash(&contents[2]).to_string();
    lab.get(&tracker, &[&big, "-o", "one.bin", "--times"]).done();
    assert_eq!(modified("one.bin"), modified(names[2]));

    // What is there already gets its time too, whether anything is fetched or not.
    fs::remove_file(lab.path("fresh/tree/big.bin")).expect("there");
    for fetched in [MIB as u64, 0] {
        set(&lab.path("fresh/tree/a/one.txt"), 7);
        assert_eq!(lab.get(&tracker, &["tree", "-o", "fresh/", "--times"]).done()["fetched"], fetched);
        assert_eq!(modified("fresh/tree/a/one.txt"), modified(names[0]));
        assert_eq!(modified("fresh/tree/big.bin"), modified(names[2]));
    }
    drop(provider);
}

#[test]
fn an_empty_collection_arrives_as_an_empty_directory() {
    let lab = Lab::new();
    let empty = lab.dir("nothing in here");
    let tracker = lab.tracker();
    let _provider = lab.share(&tracker, &[&empty], &[]);
    for _ in 0..2 {
        lab.get(&tracker, &["nothing in here", "-o", "out/"]).done();
        assert_same_tree(&empty, &lab.path("out/nothing in here"));
    }
}

#[test]
fn a_target_that_cannot_be_is_refused_before_anything_is_looked_for() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    // Asked, it would say that there is nothing, which has another exit code.
    lab.dir(".qshare-0123456789abcdef.part");
    for target in ["journal", "part", "part/", "part/below"].map(|name| format!(".qshare-0123456789abcdef.{name}")) {
        let ended = lab.get(&tracker, &["whatever", "-o", &target]);
        assert!(ended.error(1).contains("uses for unfinished transfers"), "{target}: {ended:#?}");
    }
}

#[test]
fn only_on_a_single_file_takes_it_or_says_that_it_does_not_match() {
    let lab = Lab::new();
    lab.file("src/one.txt", b"one");
    let tracker = lab.tracker();
    let _node = lab.share(&tracker, &[&lab.path("src")], &[]);
    for (n, glob) in ["*.txt", "one.*", "src/*"].iter().enumerate() {
        lab.get(&tracker, &["one.txt", "--only", glob, "-o", &n.to_string()]).done();
        assert_eq!(fs::read(lab.path(&n.to_string())).expect("fetched"), b"one");
    }
    let sentence = lab.get(&tracker, &["one.txt", "--only", "*.pdf"]).error(3);
    assert!(sentence.contains("one.txt") && sentence.contains("--only or --exclude leaves it out"), "{sentence}");
}

#[test]
fn a_file_or_a_circle_of_links_on_the_way_to_the_target_has_its_own_advice() {
    let lab = Lab::new();
    lab.file("file", b"in the way");
    for (from, to) in [("a", "b"), ("b", "a")] {
        std::os::unix::fs::symlink(from, lab.path(to)).expect("linked");
    }
    let tracker = lab.tracker();
    let _node = lab.share(&tracker, &[&lab.file("x.bin", b"x")], &[]);
    for (target, advice) in [("file/", "part of it is a file"), ("file/y/", "part of it is a file"), ("a/", "circle")] {
        let sentence = lab.get(&tracker, &["x.bin", "-o", target]).error(1);
        assert!(sentence.contains(advice) && !sentence.contains("--force"), "{target}: {sentence}");
    }
    for (path, advice) in [("file/y", "part of it is a file"), ("a", "circle"), ("/dev/null", "a device, not a file")] {
        let ended = Process::start(lab.qshare().args(["share", "--listen", "127.0.0.1:0", path])).end();
        assert!(ended.error(1).contains(advice), "{path}: {ended:#?}");
    }
}
