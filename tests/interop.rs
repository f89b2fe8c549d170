//! The independent peer of `tests/interop` against the built binary, where Python can be had.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Python with what the peer needs, made once for a target directory; or why not.
fn python(sources: &Path) -> Result<PathBuf, String> {
    let wanted = std::fs::read_to_string(sources.join("requirements.txt")).expect("in the tree");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-venv");
    let (python, made) = (home.join("bin/python"), home.join("made"));
    if std::fs::read_to_string(&made).is_ok_and(|has| has == wanted) {
        return Ok(python);
    }
    run("python3", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "5",
        "-r",
    ]);
    run("pip", pip.arg(sources.join("requirements.txt")))?;
    std::fs::write(&made, wanted).expect("written");
    Ok(python)
}

fn run(what: &str, command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{what}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(output) } else { Err(format!("{what}: {}", said.trim())) }
}

#[test]
fn an_independent_peer_lists_fetches_proves_serves_and_announces() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = root.join("tests/interop");
    let python = match python(&sources) {
        Ok(python) => python,
        Err(cause) => return println!("skipped: no Python with aioquic here: {cause}"),
    };
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let mut peer = Command::new(python);
    peer.arg("-B").arg(sources.join("interop.py")).arg(env!("CARGO_BIN_EXE_qshare")).arg(scratch.path());
    let output = run("interop.py", peer.arg(root.join("docs/protocol.md"))).expect("all is as the document says");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}
