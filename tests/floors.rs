//! The floors and their rooms: which module may import which, which words a floor may not use, how much a file may hold.
//! `docs/architecture.md` says why.

#[path = "floors/circles.rs"]
mod circles;

use std::fs;
use std::path::{Path, PathBuf};

/// A floor, what it may import of this crate, and words that its code may not use.
const FLOORS: [(&str, &[&str], &[&str]); 9] = [
    ("model", &["model"], &["tokio", "quinn", "ractor", "async ", "std::fs", "std::net::Udp", "Instant", "SystemTime"]),
    ("wire", &["wire", "model"], &["tokio", "quinn", "ractor", "async ", "std::fs", "Instant", "SystemTime"]),
    (
        "logic",
        &["logic", "wire", "model"],
        &[
            "tokio",
            "quinn",
            "ractor",
            "async ",
            "std::fs",
            "Instant",
            "SystemTime",
            "Mutex",
            "thread_rng",
            "rand::rng(",
        ],
    ),
    ("io", &["io", "wire", "model"], &["ractor", "clap", "indicatif"]),
    ("config", &["config", "model"], &["ractor", "quinn", "clap", "indicatif"]),
    ("actors", &["actors", "io", "logic", "wire", "model"], &["clap", "indicatif"]),
    ("node", &["node", "actors", "io", "logic", "wire", "model", "config"], &["clap", "indicatif"]),
    ("cli", &["cli", "node", "actors", "io", "logic", "wire", "model", "config"], &[]),
    ("main", &["cli"], &[]),
];

/// The rooms of a floor, the lowest first: a room may import those before it, and so none is in a circle. What stands in
/// a floor's own file is no room.
const ROOMS: [(&str, &[&str]); 7] = [
    (
        "model",
        &[
            "address",
            "counts",
            "friend",
            "id",
            "list",
            "obstacle",
            "rate",
            "text",
            "plane",
            "query",
            "offer",
            "safe_path",
            "collection",
            "units",
            "content",
        ],
    ),
    (
        "wire",
        &[
            "code",
            "limits",
            "names",
            "heard",
            "measure",
            "neighbour",
            "directory",
            "content",
            "put",
            "control",
            "message",
            "bounded",
            "codec",
            "record",
        ],
    ),
    (
        "logic",
        &[
            "addresses",
            "explain",
            "look",
            "patience",
            "offers",
            "changes",
            "publication",
            "limits",
            "picker",
            "transfer",
            "trials",
            "uploads",
            "directory",
            "flood",
            "neighbours",
        ],
    ),
    ("io", &["clock", "cpu", "desktop", "ignored", "positional", "share", "receive", "home", "net"]),
    (
        "actors",
        &[
            "start",
            "access",
            "limits",
            "node",
            "index",
            "connections",
            "directory",
            "shelf",
            "uploads",
            "announcer",
            "neighbours",
            "download",
            "serve",
            "bench",
            "lab",
        ],
    ),
    (
        "node",
        &[
            "types",
            "error",
            "host",
            "following",
            "report",
            "look",
            "inner",
            "allowed",
            "tracker",
            "arrivals",
            "start",
            "get",
            "doctor",
            "bench",
            "control",
        ],
    ),
    (
        "cli",
        &[
            "args", "exit", "signals", "failure", "settings", "service", "say", "render", "context", "named", "choose",
            "explain", "follow", "commands",
        ],
    ),
];

/// The most files directly in a folder; commands are a list.
const MAX_FILES: usize = 15;

/// Words that only `cli` may use, wherever they stand.
const PRINTING: [&str; 5] = ["println!", "eprintln!", "print!(", "eprint!(", "process::exit"];

/// The most lines of code of a source file: tests, comments and empty lines are not counted.
const MAX_LINES: usize = 400;

/// How a person at a terminal calls the program: only `cli` says that.
const COMMAND: &str = "`qshare ";

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// A file's path below `src`, and its code without comments and without the test module at its bottom.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 20, "the walk found the sources");
    let mut all = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("readable");
        let name = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
        if name.ends_with("tests.rs") {
            continue;
        }
        let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = body.lines().filter(|line| !line.trim_start().starts_with("//"));
        all.push((name, lines.collect::<Vec<_>>().join("\n")));
    }
    all
}

fn floor_of(name: &str) -> Option<(&'static [&'static str], &'static [&'static str])> {
    let top = name.split(['/', '.']).next()?;
    FLOORS.iter().find(|(floor, ..)| *floor == top).map(|(_, imports, forbidden)| (*imports, *forbidden))
}

fn imported_floors(code: &str) -> Vec<&str> {
    let modules = code.split("crate::").skip(1);
    modules.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()).collect()
}

#[test]
fn a_module_imports_only_from_its_own_floor_and_those_below() {
    for (name, code) in code() {
        if name == "lib.rs" {
            continue;
        }
        let (allowed, _) = floor_of(&name).unwrap_or_else(|| panic!("src/{name} belongs to no floor"));
        for floor in imported_floors(&code) {
            assert!(allowed.contains(&floor), "src/{name} imports crate::{floor}, which is not below it");
        }
    }
}

#[test]
fn a_floor_does_not_use_what_belongs_to_another() {
    for (name, code) in code() {
        let Some((_, forbidden)) = floor_of(&name) else { continue };
        for word in forbidden {
            assert!(!code.contains(word), "src/{name} uses `{word}`");
        }
        if !name.starts_with("cli/") && name != "main.rs" {
            for word in PRINTING {
                assert!(!code.contains(word), "src/{name} uses `{word}`: only cli prints");
            }
        }
    }
}

/// The string literals of code, as they are written.
fn literals(code: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), code);
    while let Some(start) = rest.find('"') {
        let (before, literal) = rest.split_at(start);
        rest = &literal[1..];
        // The character `"`.
        if before.ends_with('\'') || before.ends_with("'\\") {
            continue;
        }
        let (mut end, mut escaped) = (rest.len(), false);
        for (at, c) in rest.char_indices() {
            if c == '"' && !escaped {
                end = at;
                break;
            }
            escaped = c == '\\' && !escaped;
        }
        found.push(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    found
}

/// Whether a text names a flag or a command of the command line.
fn names_the_command_line(text: &str) -> bool {
    let flag = |word: &str| {
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '-');
        let long = word.strip_prefix("--").is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
        long || word.trim_end_matches(|c: char| !c.is_alphanumeric()) == "-o"
    };
    text.contains(COMMAND) || text.split_whitespace().any(flag)
}

#[test]
fn only_cli_speaks_of_flags_and_commands() {
    for (name, code) in code() {
        if name.starts_with("cli/") || name == "main.rs" || name == "cli.rs" {
            continue;
        }
        for literal in literals(&code) {
            assert!(!names_the_command_line(literal), "src/{name} has {literal:?}: hints stand in cli/say");
        }
    }
}

#[test]
fn a_room_imports_only_from_rooms_below_it() {
    for (name, code) in code() {
        let Some((floor, rest)) = name.trim_end_matches(".rs").split_once('/') else { continue };
        let Some((_, rooms)) = ROOMS.iter().find(|(other, _)| *other == floor) else { continue };
        let place = |room: &str| rooms.iter().position(|other| *other == room);
        let own = rest.split('/').next().unwrap_or_default();
        let row = place(own).unwrap_or_else(|| panic!("src/{name} belongs to no room of {floor}"));
        for imported in code.split(&format!("crate::{floor}::")).skip(1) {
            let room = imported.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            assert!(
                place(room).is_none_or(|at| at <= row),
                "src/{name} imports crate::{floor}::{room}, which is not below {own}"
            );
        }
    }
}

#[test]
fn files_are_in_no_circle_but_with_their_parents() {
    let arrows = circles::arrows(&code());
    assert!(arrows.values().filter(|others| others.len() > 3).count() > 50, "imports are found");
    let circles = circles::circles(&arrows);
    assert!(circles.is_empty(), "these import each other: {circles:#?}");
}

#[test]
fn a_folder_has_few_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = std::collections::HashMap::<PathBuf, usize>::new();
    for file in sources(&root) {
        *folders.entry(file.parent().expect("below src").to_owned()).or_default() += 1;
    }
    folders.remove(&root.join("cli/commands"));
    for (folder, files) in folders {
        assert!(files <= MAX_FILES, "{} has {files} files; make rooms", folder.display());
    }
}

/// Modules beside `module` whose messages or state this code names; others are to be used by their handles.
fn sideways<'c>(module: &str, code: &'c str) -> Vec<&'c str> {
    let not_word = |c: char| !c.is_alphanumeric() && c != '_';
    let mut found = Vec::new();
    for rest in code.split("crate::actors::").skip(1) {
        let used = rest.split(';').next().unwrap_or_default();
        if used.split(not_word).any(|word| word.ends_with("Message") || word.ends_with("State")) {
            found.extend(rest.split(not_word).next());
        }
    }
    for (at, _) in code.match_indices("::Message").chain(code.match_indices("::State")) {
        found.extend(code[..at].rsplit(not_word).next());
    }
    found.retain(|other| *other != module && !other.chars().any(char::is_uppercase));
    found
}

#[test]
fn actors_know_each_other_by_handles_only() {
    for (name, code) in code() {
        let Some(rest) = name.strip_prefix("actors/") else { continue };
        let module = rest.split(['/', '.']).next().unwrap_or_default();
        for other in sideways(module, &code) {
            let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/actors").join(module);
            let own = room.join(format!("{other}.rs")).exists() || other == "super";
            assert!(own, "src/{name} names messages or state of actors::{other}: use its handle");
        }
    }
}

/// Another engine can stand behind the directory's handle: nobody else knows the one that does.
#[test]
fn only_its_handle_knows_the_directorys_engine() {
    for (name, code) in code() {
        let mut uses = code.split("logic::directory").skip(1);
        match name.as_str() {
            "actors/directory.rs" => assert!(uses.next().is_some(), "it is found"),
            name if name.starts_with("logic/directory") => {}
            // How much it takes is for people to say.
            name => {
                assert!(uses.all(|used| used.starts_with("::Quotas")), "src/{name} goes round the directory's handle")
            }
        }
    }
}

#[test]
fn files_stay_small() {
    for (name, code) in code() {
        let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
        assert!(lines <= MAX_LINES, "src/{name} has {lines} lines of code; split it");
    }
}

#[test]
fn the_check_itself_finds_what_it_looks_for() {
    assert_eq!(imported_floors("use crate::io::net::link; crate::cli::run()"), ["io", "cli"]);
    assert!(floor_of("logic/picker.rs").is_some_and(|(imports, _)| !imports.contains(&"io")));
    assert!(floor_of("elsewhere/x.rs").is_none());
    assert_eq!(literals(r#"a("b \" c", '"', "d\\") // e"#), [r#"b \" c"#, r"d\\"]);
    for text in ["give --wait", "x\n   --no-lan", "see `qshare ls X`", "(--only GLOB)", "another with -o, or"] {
        assert!(names_the_command_line(text), "{text}");
    }
    for text in ["a -- b", "no-lan", "x--y", "qshare/1", "to-one", "-0"] {
        assert!(!names_the_command_line(text), "{text}");
    }
    let code = "use crate::actors::index::{IndexMessage, IndexRef}; ActorRef<uploads::Message>";
    assert_eq!(sideways("download", code), ["index", "uploads"]);
    assert_eq!(sideways("index", "use crate::actors::index::State; use crate::actors::uploads::UploadsRef;"), [""; 0]);
}
