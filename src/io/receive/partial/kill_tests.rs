//! A process that is really killed while it writes: the test binary starts itself as the victim.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::tests::{Sample, bytes, place, read};
use super::*;

const VICTIM: &str = "QSHARE_TEST_VICTIM_DIRECTORY";
const NAME: &str = "io::receive::partial::kill_tests::the_victim_writes_until_it_is_killed";

fn content() -> Sample {
    let entries: Vec<_> = (0..40_u8).map(|i| (format!("d{}/f{i}", i % 4), Some(bytes((300 << 10) + 1, i)))).collect();
    let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    Sample::tree(&entries)
}

/// Does nothing unless it is started by the test below.
#[test]
fn the_victim_writes_until_it_is_killed() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let parent = SafeDir::open(Path::new(&dir)).expect("held");
    let content = content();
    let (partial, _) = content.open(&parent);
    for unit in partial.wanted_units().iter() {
        content.put(&partial, [unit]);
        if unit % 16 == 7 {
            partial.checkpoint().expect("synced");
        }
        eprintln!("noted {unit}");
    }
    // Held until the end comes from outside.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn case_089_all_that_was_noted_before_a_sigkill_is_claimed_and_true() {
    let content = content();
    for lines in [1, 8, 9, 30, 80] {
        let (dir, parent) = place();
        let mut victim = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", NAME, "--nocapture"])
            .env(VICTIM, dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let told = BufReader::new(victim.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let noted: Vec<String> = told.filter(|line| line.starts_with("noted ")).take(lines).collect();
        victim.kill().expect("killed");
        victim.wait().expect("ended");
        assert_eq!(noted.len(), lines);
        let (partial, resumed) = content.open(&parent);
        assert!(resumed.units.count() as usize >= lines, "{} of {lines}", resumed.units.count());
        for unit in resumed.units.iter() {
            let mut buf = vec![0; content.unit(unit).len()];
            read(&partial, unit, &mut buf).expect("read");
            assert_eq!(buf, content.unit(unit), "unit {unit}");
        }
    }
}
