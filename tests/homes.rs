//! Homes that cannot be used: what needs none goes on without, told; what needs one says why it cannot.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Lab, Mounted, Node, heeding};

/// What a command says when its home is this one, and what it came to.
fn at_home(mut command: Command, home: &Path, line: &[&str]) -> Output {
    command.env("QSHARE_HOME", home).args(["--no-lan", "--no-progress"]).args(line).output().expect("it runs")
}

/// A finite command goes on, told in one sentence; who needs the home is refused, with the cause and what to do about it.
fn assert_homeless(lab: &Lab, source: &Node, command: impl Fn() -> Command, home: &Path, says: &[&str]) {
    let says_all = |output: &Output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(says.iter().all(|words| said.contains(words)), "{}: {output:?}", home.display());
        assert!(said.contains("permission") == says.iter().any(|words| words.contains("permission")), "{said}");
        said
    };
    let file = lab.file("own/mine.bin", b"mine");
    let file = file.to_string_lossy();
    for line in [&["search", "theirs", "--peer", &source.addr][..], &["ls", &source.addr]] {
        let output = at_home(command(), home, line);
        assert!(output.status.success() && !output.stdout.is_empty(), "{line:?}: {output:?}");
        assert_eq!(says_all(&output).matches("warning").count(), 1, "{output:?}");
    }
    let target = lab.dir("homeless");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o777)).expect("own");
    let target = target.join("theirs.bin");
    let get = ["get", "theirs.bin", "--peer", &source.addr, "-o", &target.to_string_lossy()];
    let output = at_home(command(), home, &get);
    assert!(output.status.success() && fs::read(&target).is_ok_and(|bytes| bytes == b"theirs.bin"), "{output:?}");
    assert_eq!(says_all(&output).matches("warning").count(), 1, "{output:?}");
    fs::remove_file(&target).expect("published");
    for line in [
        &["share", "--listen", "127.0.0.1:0", &file][..],
        &["tracker", "--listen", "127.0.0.1:0"],
        &["bench", "--listen", "127.0.0.1:0"],
    ] {
        let output = at_home(command(), home, line);
        assert_eq!(output.status.code(), Some(1), "{line:?}: {output:?}");
        says_all(&output);
    }
    assert_eq!(at_home(command(), home, &["id"]).status.code(), Some(1));
}

fn here(lab: &Lab) -> impl Fn() -> Command {
    let dir = lab.path("");
    move || {
        let mut command = heeding(env!("CARGO_BIN_EXE_qshare").as_ref());
        command.current_dir(&dir).env_remove("QSHARE_TRACKER");
        command
    }
}

#[test]
fn a_home_that_is_a_file_does_not_hinder_a_finite_command() {
    let lab = Lab::new();
    let source = lab.offering("theirs.bin");
    let file = lab.file("home", b"");
    for home in [file.clone(), file.join("below")] {
        assert_homeless(&lab, &source, here(&lab), &home, &["not a directory", "a part of it is a file"]);
    }
}

impl Mounted {
    /// `None`, and a word about it, where none can be made.
    fn tmpfs(place: PathBuf, options: &str) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&place).output();
        if !mount.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no file system can be mounted here");
            return None;
        }
        Some(Self(place))
    }
}

#[test]
fn a_home_on_a_full_or_read_only_disk_does_not_hinder_a_finite_command() {
    let lab = Lab::new();
    let Some(disk) = Mounted::tmpfs(lab.dir("full"), "size=16k") else { return };
    let source = lab.offering("theirs.bin");
    fs::write(disk.0.join("filler"), [0; 1 << 16]).expect_err("16 KiB is all");
    assert_homeless(&lab, &source, here(&lab), &disk.0.join("home"), &["no space left on device", "free some space"]);
    // A home that was made before, and whose disk is full now.
    fs::remove_file(disk.0.join("filler")).expect("there");
    let first = at_home(here(&lab)(), &disk.0.join("home"), &["id"]);
    assert!(first.status.success(), "{first:?}");
    fs::write(disk.0.join("filler"), [0; 1 << 16]).expect_err("16 KiB is all");
    let ls = at_home(here(&lab)(), &disk.0.join("home"), &["ls", &source.addr]);
    assert!(ls.status.success(), "{ls:?}");

    let Some(disk) = Mounted::tmpfs(lab.dir("read-only"), "ro") else { return };
    assert_homeless(&lab, &source, here(&lab), &disk.0.join("home"), &["read-only file system", "writable"]);
}

/// As another user than root, from whom nothing is kept.
fn nobody(lab: &Lab) -> Option<impl Fn() -> Command> {
    fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755)).expect("own");
    let program = lab.path("qshare");
    fs::copy(env!("CARGO_BIN_EXE_qshare"), &program).expect("copied");
    let dir = lab.path("");
    let command = move || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "54321", "--regid", "54321", "--clear-groups"]).arg(&program);
        command.current_dir(&dir).env_remove("QSHARE_TRACKER").env_remove("HOME");
        command
    };
    if !command().arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: nobody else can run a program here");
        return None;
    }
    Some(command)
}

#[test]
fn a_home_without_permission_and_a_user_without_home_do_not_hinder_a_finite_command() {
    let lab = Lab::new();
    let Some(nobody) = nobody(&lab) else { return };
    let source = lab.offering("theirs.bin");
    let closed = lab.dir("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("own");
    for home in [closed.clone(), closed.join("home")] {
        assert_homeless(&lab, &source, &nobody, &home, &["permission denied", "check its permissions"]);
    }
    let none = |line: &[&str]| nobody().args(["--no-lan", "--no-progress"]).args(line).output().expect("it runs");
    let ls = none(&["ls", &source.addr]);
    let said = String::from_utf8_lossy(&ls.stderr);
    assert!(ls.status.success() && said.matches("no home directory").count() == 1, "{ls:?}");
    for line in [&["id"][..], &["tracker", "--listen", "127.0.0.1:0"], &["friends", "list"], &["trust", "list"]] {
        let output = none(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("give one with --home"), "{line:?}: {output:?}");
    }
}
