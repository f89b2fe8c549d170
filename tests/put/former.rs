//! What was for everybody once and is given to single nodes, or to friends alone, now: nobody else learns that.

use std::fs;
use std::path::Path;

use qshare::model::ContentId;

use crate::common::own::{self, Ending, Own, map, number, tagged};
use crate::common::{Lab, noise, until};
use crate::{Person, nobody, putting};

const CHANGED: Ending = Ending::Refused(4);
const NOT_FOUND: Ending = Ending::Refused(8);

/// Three contents: two were for everybody and have changed, of which the first is then given to others; so is the last,
/// which never was.
struct Former<'a> {
    lab: &'a Lab,
    files: [&'a [u8]; 3],
    stranger: Own,
}

impl Former<'_> {
    /// What a stranger is answered about each of them.
    fn answers(&self, person: &Person) -> [Ending; 3] {
        let (link, _) = self.stranger.dial(&person.node.addr).expect("let in");
        self.files.map(|file| {
            let id = own::bytes(ContentId::of(file).as_bytes());
            let watch = map([("id", id), ("size", number(file.len() as u64))]);
            self.stranger.ask(&link, &tagged("Watch", watch).frame())
        })
    }

    /// The first two are shared with everybody, and then change.
    fn change(&self, person: &Person, name: &str) {
        let paths = [0, 1].map(|n| self.lab.file(&format!("{name}/{n}.bin"), self.files[n]));
        for path in &paths {
            let shared = person.run(self.lab, &["share", "--keep", &path.display().to_string()]);
            assert_eq!(shared.code, Some(0), "{shared:#?}");
        }
        until("they are shared", || matches!(self.answers(person), [Ending::Answer(_), Ending::Answer(_), NOT_FOUND]));
        paths.iter().for_each(|path| fs::write(path, b"another thing").expect("written"));
        until("they have changed", || self.is_as_ever(person));
    }

    fn is_as_ever(&self, person: &Person) -> bool {
        self.answers(person) == [CHANGED, CHANGED, NOT_FOUND]
    }

    fn assert_as_ever(&self, person: &Person, when: &str) {
        assert_eq!(self.answers(person), [CHANGED, CHANGED, NOT_FOUND], "{when}");
    }

    /// Copies of what is given to others.
    fn copies(&self) -> [std::path::PathBuf; 2] {
        [0, 2].map(|n| self.lab.file(&format!("copies/given-{n}.bin"), self.files[n]))
    }
}

#[test]
fn whether_it_is_sent_to_somebody_now_is_not_told_by_what_has_become_of_it() {
    let lab = Lab::new();
    let bytes = [1, 2, 3].map(|n| noise(n, 300_000));
    let former = Former { lab: &lab, files: bytes.each_ref().map(Vec::as_slice), stranger: Own::new() };
    let (anna, bob) = (Person::new(&lab, "ask", &[]), Person::new(&lab, "always", &[]));
    former.change(&anna, "anna");
    former.change(&bob, "bob");
    let copies = former.copies();
    let what = copies.each_ref().map(|path| path.as_path());
    // To one who is away, as long as it waits and when it is cancelled.
    let away = format!("{}@{}", Own::new().target.split('@').next().expect("an id"), nobody());
    let left = putting(&lab, &anna.home, &what, &[], &["--to", &away, "--detach"]).end();
    assert_eq!(left.code, Some(0), "{left:#?}");
    former.assert_as_ever(&anna, "while it waits");
    anna.run(&lab, &["put", "--cancel", "all"]).event("put");
    until("it is forgotten", || anna.run(&lab, &["put"]).events.is_empty());
    former.assert_as_ever(&anna, "after it was cancelled");
    // To one who takes it, at both ends.
    let mut put = putting(&lab, &anna.home, &what, &[&bob], &[]);
    put.event_that("put", |put| put["state"] == "done");
    former.assert_as_ever(&anna, "at the sender");
    assert_eq!(put.end().code, Some(0));
    assert!(fs::read(bob.into.join("given-0.bin")).expect("there") == bytes[0]);
    former.assert_as_ever(&bob, "at the receiver");
    former.assert_as_ever(&anna, "afterwards");
}

#[test]
fn whether_friends_have_it_now_is_not_told_by_what_has_become_of_it() {
    let lab = Lab::new();
    let bytes = [4, 5, 6].map(|n| noise(n, 300_000));
    let former = Former { lab: &lab, files: bytes.each_ref().map(Vec::as_slice), stranger: Own::new() };
    let anna = Person::new(&lab, "ask", &[]);
    former.change(&anna, "anna");
    let copies = former.copies();
    let share = |path: &Path| anna.run(&lab, &["share", "--keep", "--friends-only", &path.display().to_string()]);
    copies.iter().for_each(|path| assert_eq!(share(path).code, Some(0)));
    let offers = || anna.run(&lab, &["share"]).events;
    let hashed = |name: &str| offers().iter().any(|offer| offer["name"] == name && offer["id"].is_string());
    until("they are hashed", || hashed("given-0.bin") && hashed("given-2.bin"));
    former.assert_as_ever(&anna, "while friends have it");
    copies.iter().for_each(|path| fs::write(path, b"a third thing").expect("written"));
    until("they have changed", || {
        let old = ContentId::of(&bytes[2]).to_string();
        offers().iter().all(|offer| offer["id"].is_string() && offer["id"] != old.as_str())
    });
    former.assert_as_ever(&anna, "when theirs has changed, too");
}
