//! What people type in place of a whole id, one name or one path: several things at once, directories of collections, names for
//! `ls` and `locate`, beginnings of ids, what is left out and what is only brought up to date.

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Ended, Lab, Node, Process};

/// A tracker and somebody who shares `papers`, with a directory `physics` in it.
fn papers(lab: &Lab) -> (Node, Node) {
    for name in ["physics/a.pdf", "physics/deep/b.pdf", "physics/deep/c.txt", "turing.pdf", "Turing 1936.pdf"] {
        lab.file(&format!("shared/papers/{name}"), name.as_bytes());
    }
    let tracker = lab.tracker();
    let provider = lab.share(&tracker, &[&lab.path("shared/papers")], &[]);
    (tracker, provider)
}

fn id(of: &str) -> String {
    blake3::hash(of.as_bytes()).to_string()
}

fn hits(ended: &Ended) -> Vec<String> {
    let hits = ended.events.iter().filter(|event| event["event"] == "hit");
    hits.map(|hit| hit["name"].as_str().expect("a name").to_owned()).collect()
}

fn is_there(lab: &Lab, path: &str) -> bool {
    lab.path(path).exists()
}

#[test]
fn a_directory_of_a_collection_is_fetched_and_listed_by_its_path() {
    let lab = Lab::new();
    let (tracker, _provider) = papers(&lab);
    lab.get(&tracker, &["papers/physics", "-o", "out/"]).done();
    assert!(is_there(&lab, "out/papers/physics/deep/b.pdf") && !is_there(&lab, "out/papers/turing.pdf"));
    lab.get(&tracker, &["Papers/Physics/", "--only", "*.pdf", "--exclude", "deep", "-o", "some/"]).done();
    assert!(is_there(&lab, "some/papers/physics/a.pdf") && !is_there(&lab, "some/papers/physics/deep"));
    lab.get(&tracker, &["papers", "--exclude", "physics/", "-o", "rest/"]).done();
    assert!(is_there(&lab, "rest/papers/turing.pdf") && !is_there(&lab, "rest/papers/physics"));
    let at = |words: &[&str]| Process::start(lab.qshare().args(["--tracker", &tracker.addr, "ls"]).args(words)).end();
    assert_eq!(hits(&at(&["papers/physics/deep"])), ["physics/deep/b.pdf", "physics/deep/c.txt"]);
    assert_eq!(hits(&at(&["papers"])).len(), 5);
    assert_eq!(hits(&at(&["turing", "1936"])), ["papers/Turing 1936.pdf"]);
    at(&["nobody-of-this-name"]).error(3);
}

#[test]
fn a_directory_that_one_of_two_has_is_meant_and_of_both_either_can_be_had() {
    let lab = Lab::new();
    let (tracker, _provider) = papers(&lab);
    lab.file("maths/papers/maths/a.txt", b"maths");
    let _maths = lab.share(&tracker, &[&lab.path("maths/papers")], &[]);
    lab.get(&tracker, &["papers/physics", "-o", "one/"]).done();
    assert!(is_there(&lab, "one/papers/physics/a.pdf") && !is_there(&lab, "one/papers/maths"));
    lab.file("more/papers/physics/z.txt", b"more physics");
    let _more = lab.share(&tracker, &[&lab.path("more/papers")], &[]);
    let two = lab.get(&tracker, &["papers/physics"]);
    let told = two.error(4);
    assert!(
        told.contains("matches 2 different things") && told.contains("`qshare get ID --only 'physics/*'`"),
        "{told}"
    );
    for (n, hit) in two.events.iter().filter(|event| event["event"] == "hit").enumerate() {
        let (id, to) = (hit["id"].as_str().expect("an id"), format!("each{n}/"));
        lab.get(&tracker, &[id, "--only", "physics/*", "-o", &to]).done();
        assert!(is_there(&lab, &format!("{to}papers/physics")) && !is_there(&lab, &format!("{to}papers/turing.pdf")));
    }
}

#[test]
fn a_directory_that_holds_a_collection_already_is_that_collection() {
    let lab = Lab::new();
    let (tracker, _provider) = papers(&lab);
    lab.get(&tracker, &["papers", "-o", "fresh"]).done();
    fs::remove_file(lab.path("fresh/turing.pdf")).expect("removed");
    let again = lab.get(&tracker, &["papers", "-o", "fresh"]);
    again.done();
    assert!(
        again.event("warning")["message"].as_str().is_some_and(|text| text.starts_with("fresh holds most of papers"))
    );
    assert!(is_there(&lab, "fresh/turing.pdf") && !is_there(&lab, "fresh/papers"));
    lab.get(&tracker, &["papers", "-o", "fresh/"]).done();
    assert!(is_there(&lab, "fresh/papers/turing.pdf"));
}

#[test]
fn several_things_come_at_once() {
    let lab = Lab::new();
    let (tracker, _provider) = papers(&lab);
    let (a, b) = (id("physics/a.pdf"), id("turing.pdf"));
    let both = lab.get(&tracker, &[&a, &b, "-o", "both/"]);
    assert_eq!((both.code, both.events.iter().filter(|e| e["event"] == "done").count()), (Some(0), 2), "{both:#?}");
    assert!(is_there(&lab, "both/a.pdf") && is_there(&lab, "both/turing.pdf"));
    lab.get(&tracker, &[&a, &b, "-o", "one-file"]).error(2);
    // One that nobody has does not keep the others from coming.
    let some = lab.get(&tracker, &[&id("nobody has it"), &a, "-o", "some/"]);
    assert_eq!(some.code, Some(6), "{some:#?}");
    assert!(is_there(&lab, "some/a.pdf"));
    // One that is no id is not looked for as a word.
    let refused = lab.get(&tracker, &[&a, "turing.pdf", "-o", "neither/"]);
    assert!(refused.error(2).contains("`turing.pdf` is not an id"));
    assert!(!is_there(&lab, "neither"));
    // Of what words match without being its name, all; and then of an exact name that alone.
    lab.get(&tracker, &["uring"]).error(4);
    assert_eq!(lab.get(&tracker, &["uring", "--all", "-o", "all/"]).code, Some(0));
    assert!(is_there(&lab, "all/turing.pdf") && is_there(&lab, "all/Turing 1936.pdf"));
    lab.get(&tracker, &["turing.pdf", "--all", "-o", "exact/"]).done();
    assert!(!is_there(&lab, "exact/Turing 1936.pdf"));
}

#[test]
fn a_name_is_located_and_the_beginning_of_an_id_stands_for_it() {
    let lab = Lab::new();
    let (tracker, provider) = papers(&lab);
    let (home, id) = (lab.home(), id("turing.pdf"));
    let run = |line: &[&str]| Process::start(lab.qshare_at(&home).args(["--tracker", &tracker.addr]).args(line)).end();
    // This home has not been shown any id: it is looked for.
    assert_eq!(run(&["get", &id[..12], "-o", "unseen/"]).done()["id"], id);
    fs::remove_file(home.join("seen")).expect("it was shown");
    run(&["get", &id[..7], "-o", "too-short/"]).error(3);
    assert!(run(&["get", "0123456789", "-o", "nobodys/"]).error(3).contains("no id begins so"));
    let other = self::id("physics/a.pdf");
    let both = run(&["get", &id[..9], &other[..9], "-o", "both/"]);
    assert_eq!(both.events.iter().filter(|event| event["event"] == "done").count(), 2, "{both:#?}");
    assert_eq!(hits(&run(&["search", &id[..10].to_uppercase()])), ["papers/turing.pdf"]);
    fs::remove_file(home.join("seen")).expect("it was shown");
    let located = run(&["locate", "turing.pdf"]);
    let hit = located.event("hit");
    assert_eq!((&hit["id"], &hit["providers"][0]["node"]), (&id.as_str().into(), &provider.id.as_str().into()));
    assert_eq!(run(&["get", &id[..8], "-o", "short/"]).done()["id"], id);
    assert_eq!(hits(&run(&["locate", &id[..10].to_uppercase()])), ["papers/turing.pdf"]);
    // Two that begin alike, as a lie or by chance: never picked silently.
    let seen = home.join("seen");
    let line = format!("{}{} other\n", &id[..20], "0".repeat(44));
    fs::write(&seen, fs::read_to_string(&seen).expect("written") + &line).expect("written");
    assert!(run(&["get", &id[..8]]).error(4).contains("(other)"));
    assert_eq!(run(&["get", &id[..40], "-o", "more/"]).done()["id"], id);
}

#[test]
fn what_is_older_is_replaced_after_it_was_told_and_the_rest_is_left() {
    let lab = Lab::new();
    let (tracker, _provider) = papers(&lab);
    let own = [("papers/turing.pdf", 1), ("papers/physics/a.pdf", -1)];
    for (name, hours) in own {
        let path = lab.file(name, b"my own");
        let hour = Duration::from_secs(3600);
        let shared = fs::metadata(lab.path("shared").join(name)).and_then(|meta| meta.modified()).expect("there");
        let time = if hours > 0 { shared + hour } else { shared - hour };
        fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("own file");
    }
    lab.get(&tracker, &["papers"]).error(1);
    let plan = lab.get(&tracker, &["papers", "--update", "-n"]);
    let states = |state: &str| {
        let plan = plan.done()["plan"].as_array().expect("a plan").clone();
        plan.iter()
            .filter(|file| file["state"] == state)
            .map(|file| file["name"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((states("older"), states("newer")), (vec!["physics/a.pdf".into()], vec!["turing.pdf".to_owned()]));
    let ended = lab.get(&tracker, &["papers", "--update"]);
    ended.done();
    let place = |what: &str| ended.events.iter().position(|event| event.to_string().contains(what)).expect(what);
    assert!(place("physics/a.pdf is there with other content, older") < place(r#""event":"done""#), "{ended:#?}");
    place("turing.pdf is there with other content, not older");
    assert_eq!(fs::read(lab.path("papers/physics/a.pdf")).expect("there"), b"physics/a.pdf");
    assert_eq!(fs::read(lab.path("papers/turing.pdf")).expect("there"), b"my own");
    // A file by itself as one in a tree.
    let plan = lab.get(&tracker, &["turing.pdf", "--update", "-o", "papers/", "-n"]);
    assert_eq!(plan.done()["plan"][0]["state"], "newer");
    let alone = lab.get(&tracker, &["turing.pdf", "--update", "-o", "papers/"]);
    assert_eq!((&alone.done()["left"], &alone.done()["fetched"]), (&1.into(), &0.into()));
    assert!(alone.event("warning")["message"].as_str().is_some_and(|told| told.contains("not older")), "{alone:#?}");
    assert_eq!(fs::read(lab.path("papers/turing.pdf")).expect("there"), b"my own");
}

#[test]
fn nothing_is_put_where_the_same_command_has_put_another_thing() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    for name in ["one/notes/a.txt", "two/notes/b.txt", "one/same.txt", "two/same.txt"] {
        lab.file(&format!("shared/{name}"), name.as_bytes());
    }
    let _providers = ["one", "two"].map(|name| {
        let paths = ["notes", "same.txt"].map(|path| lab.path(&format!("shared/{name}/{path}")));
        lab.share(&tracker, &[&paths[0], &paths[1]], &[])
    });
    for (words, alone) in [("notes", "notes"), ("same.txt", "same.txt")] {
        let refused = lab.get(&tracker, &[words, "--all", "-o", "all/"]);
        let told = refused.error(4);
        assert!(told.contains(&format!("both be put to `{alone}`")) && told.contains("qshare get "), "{told}");
    }
    assert!(!is_there(&lab, "all"), "refused before anything came");
    let ids = ["one", "two"].map(|name| id(&format!("{name}/same.txt")));
    let both = lab.get(&tracker, &[&ids[0], &ids[1], &ids[0], "-o", "ids/"]);
    assert_eq!(both.code, Some(6), "{both:#?}");
    assert_eq!(both.events.iter().filter(|event| event["event"] == "done").count(), 1);
    let told = both.event("error")["message"].as_str().expect("text");
    assert!(
        told.contains("another thing of this command") && told.contains(&format!("qshare get {} -o", ids[1])),
        "{told}"
    );
    assert_eq!(fs::read(lab.path("ids/same.txt")).expect("the first"), b"one/same.txt");
}

#[test]
fn words_may_be_written_as_paths_and_several_are_told_to_be_of_one() {
    let lab = Lab::new();
    let (tracker, _provider) = papers(&lab);
    lab.get(&tracker, &["./papers/", "-o", "dot/"]).done();
    lab.get(&tracker, &["./papers//physics/", "-o", "below/"]).done();
    assert!(is_there(&lab, "dot/papers/turing.pdf") && is_there(&lab, "below/papers/physics/a.pdf"));
    let two = lab.get(&tracker, &["papers/turing.pdf", "papers/physics/a.pdf"]);
    assert!(two.error(3).contains("all words have to be in one path"), "{two:#?}");
    let short = lab.get(&tracker, &[&id("turing.pdf")[..7]]);
    assert!(short.error(3).contains("at least 8 characters"), "{short:#?}");
}

#[test]
fn what_has_several_names_comes_under_the_one_that_was_shown() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let _providers = ["aaa.txt", "zzzzzz.txt"].map(|name| {
        let path = lab.file(&format!("shared/{name}"), b"one content");
        lab.share(&tracker, &[&path], &[])
    });
    let home = lab.home();
    let run = |line: &[&str]| Process::start(lab.qshare_at(&home).args(["--tracker", &tracker.addr]).args(line)).end();
    let id = id("one content");
    for name in ["aaa.txt", "zzzzzz.txt"] {
        assert_eq!(hits(&run(&["search", name])), [name]);
        assert_eq!(run(&["get", &id[..10], "-o", "out/"]).done()["name"], name);
    }
}

#[test]
fn a_shell_is_answered_with_what_the_home_knows() {
    let lab = Lab::new();
    let (tracker, _provider) = papers(&lab);
    let (home, id) = (lab.home(), id("turing.pdf"));
    Process::start(lab.qshare_at(&home).args(["--tracker", &tracker.addr, "search", "turing"])).end();
    for shell in ["bash", "zsh", "fish"] {
        let program = env!("CARGO_BIN_EXE_qshare");
        let script = Command::new(program).args(["completions", shell]).output().expect("it runs");
        assert!(script.status.success() && String::from_utf8_lossy(&script.stdout).contains("qshare"), "{script:?}");
        let mut asking = Command::new(program);
        asking.env("QSHARE_COMPLETE", shell).env("QSHARE_HOME", &home).env("_CLAP_COMPLETE_INDEX", "2");
        let line = ["--", "qshare", "get", &id[..5]];
        let answer = asking.args(line).stdin(Stdio::null()).output().expect("it runs");
        assert!(String::from_utf8_lossy(&answer.stdout).contains(&id), "{shell}: {answer:?}");
    }
}

#[test]
fn all_of_one_content_are_all_its_names_that_match() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let dir = lab.dir("logs");
    for (name, text) in [("a.log", "same"), ("b.log", "same"), ("c.log", "other"), ("d.txt", "same")] {
        fs::write(dir.join(name), text).expect("written");
    }
    let _share = lab.share(&tracker, &[&dir], &[]);
    let names = |dir: &str| {
        let all = fs::read_dir(lab.path(dir)).expect("made");
        let mut all: Vec<_> = all.map(|entry| entry.expect("read").file_name().into_string().expect("text")).collect();
        all.sort();
        all
    };
    assert_eq!(lab.get(&tracker, &["*.log", "--all", "-o", "three/"]).code, Some(0));
    assert_eq!(names("three"), ["a.log", "b.log", "c.log"]);
    let mut plain = Command::new(env!("CARGO_BIN_EXE_qshare"));
    plain.args(["--no-lan", "search", ".log", "--tracker", &tracker.addr]).env("QSHARE_HOME", lab.home());
    let found = String::from_utf8(plain.output().expect("it runs").stdout).expect("text");
    assert!(["logs/a.log", "logs/b.log", "logs/c.log"].iter().all(|name| found.contains(name)), "{found}");
    assert!(!found.contains("d.txt"), "{found}");
    // One content alone is asked for.
    assert_eq!(lab.get(&tracker, &["[ab].log", "--all", "-o", "two/"]).code, Some(0));
    assert_eq!(names("two"), ["a.log", "b.log"]);
    assert_eq!(lab.get(&tracker, &["[ab].log", "--all", "-o", "file"]).code, Some(2));
}
