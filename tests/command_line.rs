//! The program as a process: what reaches which stream, and how it ends. Nothing here touches the network.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn qshare(home: &Path, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qshare"));
    command.args(line).env("QSHARE_HOME", home).env_remove("QSHARE_TRACKER").env_remove("RUST_LOG");
    command.current_dir(home).stdin(Stdio::null());
    command
}

fn run(home: &Path, line: &[&str]) -> Output {
    qshare(home, line).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn json(bytes: &[u8]) -> Vec<Value> {
    text(bytes).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn hashes_are_those_of_blake3_and_what_fails_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("a"), b"some bytes").expect("written");
    std::fs::write(home.path().join("empty"), b"").expect("written");
    let output = run(home.path(), &["hash", "a", "absent", "empty"]);
    let expected = format!("{}  a\n{}  empty\n", blake3::hash(b"some bytes"), blake3::hash(b""));
    assert_eq!(text(&output.stdout), expected);
    assert!(text(&output.stderr).starts_with("qshare: absent cannot be hashed: "), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_list_of_ids_is_checked_as_b3sum_does() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(home.path().join("d")).expect("made");
    for name in ["d/a", "d/b", "d/c"] {
        std::fs::write(home.path().join(name), name).expect("written");
    }
    let sums = run(home.path(), &["hash", "d"]);
    assert_eq!((text(&sums.stdout).lines().count(), sums.status.code()), (3, Some(0)));
    std::fs::write(home.path().join("sums"), &sums.stdout).expect("written");
    let good = run(home.path(), &["hash", "--check", "sums"]);
    assert_eq!((text(&good.stdout), good.status.code()), ("d/a: OK\nd/b: OK\nd/c: OK\n", Some(0)));
    std::fs::write(home.path().join("d/b"), "other").expect("written");
    std::fs::remove_file(home.path().join("d/c")).expect("removed");
    let bad = run(home.path(), &["hash", "-c", "sums"]);
    assert!(text(&bad.stdout).starts_with("d/a: OK\nd/b: FAILED\nd/c: FAILED ("), "{bad:?}");
    assert_eq!(bad.status.code(), Some(1));
    let none = run(home.path(), &["hash", "-c", "d/a"]);
    assert!(text(&none.stderr).starts_with("qshare: d/a has no line of an id"), "{none:?}");
    assert_eq!(none.status.code(), Some(1));
    let told = json(&run(home.path(), &["hash", "-c", "sums", "--json"]).stdout);
    let ok: Vec<_> = told.iter().filter(|line| line["event"] == "checked").map(|line| line["ok"].clone()).collect();
    assert_eq!(ok, [true, false, false]);
    let mut piped = qshare(home.path(), &["hash"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    std::io::Write::write_all(&mut piped.stdin.take().expect("a pipe"), b"some bytes").expect("written");
    let piped = piped.wait_with_output().expect("ends");
    assert_eq!(text(&piped.stdout), format!("{}  -\n", blake3::hash(b"some bytes")));
}

#[test]
fn what_is_wrong_with_the_line_is_told_with_exit_2() {
    let home = tempfile::tempdir().expect("a directory");
    let lines: [&[&str]; 6] = [
        &["get"],
        &["search", "x", "--no-lan"],
        &["share"],
        &["--config", "absent", "id"],
        &["get", "x", "--peer", "h:1", "-o", "-", "--json"],
        &["locate"],
    ];
    for line in lines {
        let output = run(home.path(), line);
        let told = output.stdout.len() + output.stderr.len();
        assert!(output.status.code() == Some(2) && told > 0, "{line:?}: {output:?}");
    }
    let output = run(home.path(), &["get", "--json"]);
    let line = &json(&output.stdout)[0];
    assert_eq!((&line["event"], &line["code"], &line["exit"]), (&"error".into(), &"usage".into(), &2.into()));
    assert_eq!((output.stderr.len(), output.status.code()), (0, Some(2)));
}

#[test]
fn a_home_has_one_identity_and_status_shows_it() {
    let home = tempfile::tempdir().expect("a directory");
    let first = run(home.path(), &["id"]);
    assert_eq!(text(&first.stdout).trim_end().len(), 52);
    let again = json(&run(home.path(), &["--json", "id"]).stdout);
    assert_eq!(again[0]["node"], text(&first.stdout).trim_end());
    let status = json(&run(home.path(), &["status", "--json"]).stdout);
    assert_eq!((&status[0]["event"], &status[0]["roles"][0]["node"]), (&"status".into(), &again[0]["node"]));
    let elsewhere = tempfile::tempdir().expect("a directory");
    let other = run(home.path(), &["id", "--home", &elsewhere.path().to_string_lossy()]);
    assert_ne!(other.stdout, first.stdout);
}

#[test]
fn forgetting_what_is_not_remembered_finds_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let output = run(home.path(), &["trust", "forget", "lab:4917"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("lab:4917"), "{output:?}");
}

#[test]
fn who_closes_the_output_ends_the_program_quietly() {
    let home = tempfile::tempdir().expect("a directory");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = qshare(home.path(), &["id"]).stdout(writer).stderr(Stdio::piped()).output().expect("the program runs");
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
}

#[test]
fn a_page_is_had_by_the_words_and_by_its_file_name() {
    let home = tempfile::tempdir().expect("a directory");
    let [words, joined] = [&["man", "friends", "add"][..], &["man", "friends-add"]].map(|line| run(home.path(), line));
    assert!(text(&words.stdout).contains("friends\\-add"), "{words:?}");
    assert_eq!(words.stdout, joined.stdout);
    let wrong = run(home.path(), &["man", "friends", "multiply"]);
    assert_eq!(text(&wrong.stderr), "qshare: `friends multiply` is no command; `qshare --help` lists them\n");
    assert_eq!(wrong.status.code(), Some(2));
}
