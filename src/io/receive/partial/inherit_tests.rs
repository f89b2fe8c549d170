//! What one unfinished transfer gives to another, and that no bytes are lost or bent on the way, whenever it ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::tests::{Sample, at, bytes, mounted, names, path, place, read};
use super::*;
use crate::io::receive::dest::Access;
use crate::io::receive::journal::{Reader, replay};
use crate::io::receive::publish::PublishPlan;

const CHUNK: usize = 256 << 10;

fn named(target: &str, mut content: Sample) -> Sample {
    content.spec.target = Some(path(target));
    content
}

fn first() -> Sample {
    let entries = [
        ("a/one", Some(bytes(10, 1))),
        ("a/two", Some(bytes(20, 2))),
        ("big", Some(bytes(3 * CHUNK + 1, 3))),
        ("changed", Some(bytes(30, 4))),
        ("log", Some(bytes(3 * CHUNK + 9, 5))),
    ];
    named("t", Sample::tree(&entries))
}

/// `a/two` has another path, `changed` other bytes, `log` has grown.
fn second() -> Sample {
    let entries = [
        ("a/one", Some(bytes(10, 1))),
        ("b/zwei", Some(bytes(20, 2))),
        ("big", Some(bytes(3 * CHUNK + 1, 3))),
        ("changed", Some(bytes(31, 6))),
        ("log", Some(bytes(5 * CHUNK, 5))),
    ];
    named("t", Sample::tree(&entries))
}

/// Writes and notes these units of it, and ends.
fn left(content: &Sample, parent: &SafeDir, units: impl IntoIterator<Item = u32>) {
    let (partial, _) = content.open(parent);
    content.put(&partial, units);
    end(content, parent, partial);
}

/// Ends it. A child that another test starts just now has the lock as well, until it has begun its own program.
fn end(content: &Sample, parent: &SafeDir, partial: Partial) {
    drop(partial);
    free(content, parent);
}

fn free(content: &Sample, parent: &SafeDir) {
    let names = Names::of(content.spec.wanted.content.id);
    while parent.stat(&names.journal).expect("fine").is_some() && lock::hold(parent, &names).is_none() {
        std::thread::yield_now();
    }
}

fn all(content: &Sample) -> std::ops::Range<u32> {
    0..content.spec.wanted.map.units()
}

fn file_named(content: &Sample, name: &str) -> usize {
    let collection = content.spec.wanted.tree.as_ref().expect("a tree");
    let (_, entry) = collection.entries().iter().find(|(of, _)| *of == path(name)).expect("there");
    content.spec.wanted.map.by_content()[&entry.content().expect("a file")]
}

fn units_of(content: &Sample, name: &str) -> Vec<u32> {
    content.spec.wanted.map.files()[file_named(content, name)].units().collect()
}

fn assert_right(content: &Sample, partial: &Partial, units: impl IntoIterator<Item = u32>) {
    for unit in units {
        let mut buf = vec![0; content.unit(unit).len()];
        read(partial, unit, &mut buf).unwrap_or_else(|e| panic!("unit {unit}: {e}"));
        assert!(buf == content.unit(unit), "unit {unit}");
    }
}

fn publish(content: &Sample, partial: &Partial) {
    content.put_all(partial);
    let plan = PublishPlan {
        target: path("t"),
        replace: HashSet::new(),
        times: Vec::new(),
        executable: false,
        halt: crate::io::receive::publish::Halt::default(),
    };
    partial.publish(&plan).expect("published");
}

#[test]
fn files_that_are_the_same_are_taken_over_and_the_rest_goes_with_the_publication() {
    let ((dir, parent), old, new) = (place(), first(), second());
    left(&old, &parent, all(&old));
    let (partial, resumed) = new.open(&parent);
    let same = ["a/one", "b/zwei", "big"].map(|name| units_of(&new, name)).concat();
    assert_eq!(resumed.units.iter().collect::<Vec<_>>(), same);
    assert_eq!(resumed.lists.len(), 1, "the list comes with its file");
    assert_right(&new, &partial, same.clone());
    let superseded = Superseded {
        id: old.spec.wanted.content.id,
        have: old.spec.wanted.content.size,
        size: old.spec.wanted.content.size,
    };
    assert_eq!(resumed.superseded, [superseded]);
    end(&new, &parent, partial);
    // The old one is asked for again: what was taken from it is taken back.
    let (again, resumed) = old.open(&parent);
    assert_eq!(resumed.units.count(), old.spec.wanted.map.units());
    assert_right(&old, &again, all(&old));
    end(&old, &parent, again);
    let (partial, resumed) = new.open(&parent);
    assert_right(&new, &partial, same);
    assert_eq!(resumed.superseded.len(), 1);
    publish(&new, &partial);
    assert_eq!(names(dir.path()), ["t"]);
}

#[test]
fn of_a_file_that_has_changed_the_chunks_that_are_the_same_can_be_read() {
    let ((_dir, parent), old, new) = (place(), first(), second());
    left(&old, &parent, all(&old));
    let (partial, _) = new.open(&parent);
    let (log, units) = (file_named(&new, "log"), units_of(&new, "log"));
    assert_eq!(partial.kin().collect::<Vec<_>>(), [log]);
    assert!(partial.units_of_kin(log, None).is_empty(), "nothing can be proven without the list");
    // The old one's last chunk is shorter.
    assert_eq!(partial.units_of_kin(log, Some(&new.list(log))), units[..3]);
    for &unit in &units[..3] {
        let mut buf = vec![0; CHUNK];
        partial.read_kin(at(&partial, unit), &mut buf).expect("read");
        assert!(buf == new.unit(unit), "unit {unit}");
    }
    new.put(&partial, [units[0]]);
    assert_eq!(partial.units_of_kin(log, Some(&new.list(log))), units[1..3], "what is here is not taken");
    // A single file likewise, by its name.
    let (_dir, parent) = place();
    let (old, new) = (Sample::file(bytes(4 * CHUNK, 1)), Sample::file([bytes(3 * CHUNK, 1), bytes(CHUNK, 2)].concat()));
    let (old, new) = (named("f", old), named("f", new));
    left(&old, &parent, [0, 2, 3]);
    let (partial, resumed) = new.open(&parent);
    assert_eq!((resumed.units.count(), resumed.superseded.len()), (0, 1));
    assert_eq!(partial.units_of_kin(0, Some(&new.list(0))), [0, 2]);
}

#[test]
fn what_has_another_name_or_none_gives_copies_and_stays() {
    for target in [Some(path("other")), None] {
        let ((dir, parent), mut old, new) = (place(), first(), second());
        old.spec.target = target;
        left(&old, &parent, all(&old));
        let (partial, resumed) = new.open(&parent);
        assert_eq!((resumed.units.count(), resumed.superseded.len()), (0, 0));
        let mut kin: Vec<u32> = partial
            .kin()
            .flat_map(|file| {
                let list = resumed.lists.iter().find(|(of, _)| *of == file).map(|(_, list)| list);
                partial.units_of_kin(file, list)
            })
            .collect();
        kin.sort_unstable();
        assert_eq!(kin, ["a/one", "b/zwei", "big"].map(|name| units_of(&new, name)).concat());
        for unit in kin {
            let mut buf = vec![0; new.unit(unit).len()];
            partial.read_kin(at(&partial, unit), &mut buf).expect("read");
            assert!(buf == new.unit(unit), "unit {unit}");
        }
        publish(&new, &partial);
        let (again, resumed) = old.open(&parent);
        assert_eq!(resumed.units.count(), old.spec.wanted.map.units());
        assert_right(&old, &again, all(&old));
        assert_eq!(names(dir.path()).len(), 3);
    }
}

/// A renamed tree has the same id: its own partial file goes on under the new name.
#[test]
fn the_name_that_counts_is_the_last() {
    let ((dir, parent), mut old, new) = (place(), first(), second());
    left(&old, &parent, all(&old));
    old.spec.target = Some(path("renamed"));
    left(&old, &parent, []);
    let earlier = Earlier::all_in(&parent).expect("read");
    assert_eq!(earlier.iter().map(Earlier::target).collect::<Vec<_>>(), [Some(&path("renamed"))]);
    assert_eq!(
        (earlier[0].id(), earlier[0].bytes(), earlier[0].size()),
        (old.spec.wanted.content.id, old.spec.wanted.content.size, old.spec.wanted.content.size)
    );
    assert!(!earlier[0].is_in_use(&parent));
    let (partial, resumed) = new.open(&parent);
    assert_eq!((resumed.units.count(), resumed.superseded.len()), (0, 0));
    drop(partial);
    let (_held, resumed) = old.open(&parent);
    assert_eq!(resumed.units.count(), old.spec.wanted.map.units());
    assert!(earlier[0].is_in_use(&parent));
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn what_a_process_uses_is_left_alone() {
    let ((dir, parent), old, new) = (place(), first(), second());
    let (held, _) = old.open(&parent);
    old.put_all(&held);
    let (partial, resumed) = new.open(&parent);
    assert_eq!((resumed.units.count(), resumed.superseded.len(), partial.kin().count()), (0, 0, 0));
    publish(&new, &partial);
    assert_right(&old, &held, all(&old));
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn what_has_nothing_left_to_give_is_removed_at_once() {
    let ((dir, parent), new) = (place(), second());
    let old = named("t", Sample::tree(&[("x/eins", Some(bytes(10, 1))), ("gone", Some(bytes(50, 9)))]));
    left(&old, &parent, units_of(&old, "x/eins"));
    let (partial, resumed) = new.open(&parent);
    assert_eq!(resumed.units.iter().collect::<Vec<_>>(), units_of(&new, "a/one"));
    assert_right(&new, &partial, units_of(&new, "a/one"));
    let own = Names::of(new.spec.wanted.content.id);
    assert_eq!(names(dir.path()), [own.journal.as_str(), own.part.as_str()]);
}

#[test]
fn a_run_that_wants_only_a_part_leaves_the_rest_for_the_next() {
    let ((dir, parent), old, mut new) = (place(), first(), second());
    left(&old, &parent, all(&old));
    new.spec.unwanted = ["b/zwei", "big", "log"].map(path).into();
    let (partial, resumed) = new.open(&parent);
    assert_eq!(resumed.units.iter().collect::<Vec<_>>(), units_of(&new, "a/one"));
    publish(&new, &partial);
    end(&new, &parent, partial);
    assert_eq!(names(dir.path()).len(), 3);
    let mut new = second();
    new.spec.present = ["a/one", "changed"].map(path).into();
    let (partial, resumed) = new.open(&parent);
    assert_eq!(resumed.units.iter().collect::<Vec<_>>(), ["b/zwei", "big"].map(|name| units_of(&new, name)).concat());
    publish(&new, &partial);
    assert_eq!(names(dir.path()), ["t"]);
}

#[test]
fn a_run_that_ended_before_clearing_up_is_cleared_up_after() {
    let ((dir, parent), old, new) = (place(), first(), second());
    left(&old, &parent, units_of(&old, "changed"));
    let (partial, _) = new.open(&parent);
    let journal = dir.path().join(Names::of(new.spec.wanted.content.id).journal.as_str());
    let before = std::fs::read(&journal).expect("there");
    let other = Names::of(old.spec.wanted.content.id);
    let kept = std::fs::read(dir.path().join(other.journal.as_str())).expect("there");
    publish(&new, &partial);
    end(&new, &parent, partial);
    std::fs::write(&journal, before).expect("as it was before the end");
    std::fs::write(dir.path().join(other.journal.as_str()), kept).expect("as it was before the end");
    Partial::discard(&parent, new.spec.wanted.content.id).expect("cleared up");
    assert_eq!(names(dir.path()), ["t"]);
}

#[test]
fn without_room_nothing_is_taken() {
    let (dir, _) = place();
    let Some(_mounted) = mounted(dir.path()) else { return };
    let parent = SafeDir::open(dir.path()).expect("held");
    let old = named("t", Sample::tree(&[("a", Some(bytes(CHUNK, 1))), ("b", Some(bytes(9, 2)))]));
    let new = named("t", Sample::tree(&[("a", Some(bytes(CHUNK, 1))), ("b", Some(bytes(4 * CHUNK, 2)))]));
    left(&old, &parent, all(&old));
    let error = Partial::open(&parent, new.spec).expect_err("no room");
    assert!(error.is_full(), "{error}");
    let (again, resumed) = old.open(&parent);
    assert_eq!(resumed.units.count(), 2);
    assert_right(&old, &again, all(&old));
    // What is moved needs no room.
    end(&old, &parent, again);
    let fits = named("t", Sample::tree(&[("a", Some(bytes(CHUNK, 1))), ("c", Some(bytes(2 * CHUNK, 3)))]));
    std::fs::write(dir.path().join("ballast"), [1; CHUNK / 2]).expect("written");
    assert_eq!(fits.open(&parent).1.units.count(), 1);
}

/// Ten files that are in both, and one in each that is not.
fn ten_and_one(seed: u8) -> Sample {
    let entries: Vec<_> = (0..10_u8).map(|i| (format!("d{}/f{i}", i % 3), Some(bytes(3000, i)))).collect();
    let mut entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    entries.push(("own", Some(bytes(40, seed))));
    named("t", Sample::tree(&entries))
}

/// All states between noting what is moved and moving the last of it.
#[test]
fn wherever_taking_over_ends_the_next_run_has_all_bytes() {
    let (old, new) = (ten_and_one(100), ten_and_one(101));
    let (from, to) = (Names::of(old.spec.wanted.content.id), Names::of(new.spec.wanted.content.id));
    let shared: Vec<u32> = all(&new).filter(|unit| new.unit(*unit).len() == 3000).collect();
    for moved in 0..=10_u8 {
        let (dir, parent) = place();
        left(&old, &parent, all(&old));
        let (partial, resumed) = new.open(&parent);
        assert_eq!(resumed.units.iter().collect::<Vec<_>>(), shared);
        end(&new, &parent, partial);
        for i in moved..10 {
            let file = format!("d{}/f{i}", i % 3);
            let at = |names: &Names| dir.path().join(names.part.as_str()).join(&file);
            std::fs::rename(at(&to), at(&from)).expect("moved back");
        }
        // Noted for good before anything was moved: a loss of power does not undo it.
        let journal = parent.file(&to.journal, Access::Read).expect("there");
        let len = journal.metadata().expect("known").len();
        let (_, mut reader) = Reader::new(BufReader::new(journal), len).expect("sound");
        let claims = replay(&mut reader, new.spec.wanted.map.units(), [9; 16]).expect("read");
        assert_eq!(claims.have.iter().collect::<Vec<_>>(), shared);
        for (content, own) in [(&new, 101), (&old, 100), (&new, 101)] {
            let (partial, resumed) = content.open(&parent);
            let mut expected = shared.len() as u32;
            expected += u32::from(own == 100);
            assert_eq!(resumed.units.count(), expected, "{moved} were moved");
            assert_right(content, &partial, resumed.units.iter());
            end(content, &parent, partial);
        }
    }
}

const VICTIM: &str = "QSHARE_TEST_HEIR_DIRECTORY";
const NAME: &str = "io::receive::partial::inherit_tests::the_victim_takes_over_until_it_is_killed";

fn many(seed: u8) -> Sample {
    let entries: Vec<_> = (0..120_u16)
        .map(|i| (format!("d{}/f{i}", i % 7), Some([bytes(900, i as u8), i.to_be_bytes().to_vec()].concat())))
        .collect();
    let mut entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    entries.push(("own", Some(bytes(40, seed))));
    named("t", Sample::tree(&entries))
}

/// Does nothing unless it is started by the test below.
#[test]
fn the_victim_takes_over_until_it_is_killed() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let parent = SafeDir::open(Path::new(&dir)).expect("held");
    let contents = [many(100), many(101)];
    eprintln!("begun");
    loop {
        // One takes from the other, for as long as it lives.
        contents.iter().for_each(|content| drop(content.open(&parent)));
    }
}

#[test]
fn a_sigkill_while_files_are_taken_over_loses_and_bends_nothing() {
    let (dir, parent) = place();
    let contents = [many(100), many(101)];
    left(&contents[0], &parent, all(&contents[0]));
    for round in 0..8_u64 {
        let mut victim = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", NAME, "--nocapture"])
            .env(VICTIM, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let mut told = BufReader::new(victim.stderr.take().expect("piped")).lines().map_while(Result::ok);
        assert!(told.any(|line| line.contains("begun")));
        // Anywhere: the moment only decides which of the states is met.
        std::thread::sleep(std::time::Duration::from_micros(1300 * round));
        victim.kill().expect("killed");
        victim.wait().expect("ended");
        contents.iter().for_each(|content| free(content, &parent));
        let content = &contents[usize::try_from(round % 2).expect("small")];
        let (partial, resumed) = content.open(&parent);
        assert!(resumed.units.count() >= 120, "round {round}: {} of 120", resumed.units.count());
        assert_right(content, &partial, resumed.units.iter());
        end(content, &parent, partial);
    }
}
