//! The attacker's process: at nice 19, and with a quarter of one core, by a control group where one can be made, else by
//! stopping it most of the time.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::attackers::{self, Target};
use crate::ground::{Ground, cpu};

/// Of one core.
const QUOTA: Duration = Duration::from_millis(5);
const PERIOD: Duration = Duration::from_millis(20);

/// What holds the attacker back, as long as it lives.
enum Throttle {
    Group(PathBuf),
    Stopping(Arc<AtomicBool>, Option<JoinHandle<()>>),
}

/// The attacker.
pub(crate) struct Attacker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    throttle: Throttle,
}

impl Attacker {
    /// Starts it; it does nothing before [`Self::begin`].
    pub(crate) fn start(name: &str, ground: &Ground) -> Self {
        let mut command = ground.attacker(&std::env::current_exe().expect("this program"));
        command.args(["--attacker", name, &ground.target().to_json()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let throttle = Throttle::of(&child);
        Self { child, lines, throttle }
    }

    /// Lets it begin; gives what honest commands are given besides: what it says after `it begins`.
    pub(crate) fn begin(&mut self) -> Vec<String> {
        self.child.stdin.as_mut().expect("piped").write_all(b"go\n").expect("it waits for it");
        let line = self.line();
        line.split_whitespace().skip(2).map(str::to_owned).collect()
    }

    /// Waits until everything of it is there.
    pub(crate) fn stands(&mut self) {
        self.line();
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("it goes on").expect("UTF-8")
    }

    /// Processor seconds that it has used.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.child.id())
    }

    /// How it is held back, if not as it should be.
    pub(crate) fn throttled(&self) -> &'static str {
        match self.throttle {
            Throttle::Group(_) => "",
            Throttle::Stopping(..) => " (no control group can be made here: stopped three quarters of the time)",
        }
    }

    /// Ends it; gives what it has done.
    pub(crate) fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let told = self.line();
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
        told
    }
}

impl Throttle {
    fn of(child: &Child) -> Self {
        Self::group(child.id()).map_or_else(|_| Self::stopping(child), Self::Group)
    }

    fn group(pid: u32) -> std::io::Result<PathBuf> {
        let first = PathBuf::from("/sys/fs/cgroup/cpu");
        let (root, files) = if first.is_dir() {
            (
                first,
                [
                    ("cpu.cfs_period_us", PERIOD.as_micros().to_string()),
                    ("cpu.cfs_quota_us", QUOTA.as_micros().to_string()),
                ]
                .to_vec(),
            )
        } else {
            (
                PathBuf::from("/sys/fs/cgroup"),
                vec![("cpu.max", format!("{} {}", QUOTA.as_micros(), PERIOD.as_micros()))],
            )
        };
        let group = root.join(format!("qshare-attack-{pid}"));
        fs::create_dir(&group)?;
        let made = files.into_iter().try_for_each(|(file, value)| fs::write(group.join(file), value));
        let made = made.and_then(|()| fs::write(group.join("cgroup.procs"), pid.to_string()));
        if made.is_err() {
            // Empty still.
            let _ = fs::remove_dir(&group);
        }
        made.map(|()| group)
    }

    fn stopping(child: &Child) -> Self {
        let (pid, ended) = (Pid::from_child(child), Arc::new(AtomicBool::new(false)));
        let ending = Arc::clone(&ended);
        let turns = std::thread::spawn(move || {
            while !ending.load(Ordering::Relaxed) {
                for (signal, time) in [(Signal::CONT, QUOTA), (Signal::STOP, PERIOD - QUOTA)] {
                    // Ended already: so will this.
                    let _ = kill_process(pid, signal);
                    std::thread::sleep(time);
                }
            }
            let _ = kill_process(pid, Signal::CONT);
        });
        Self::Stopping(ended, Some(turns))
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        match self {
            Self::Group(group) => {
                // Until the kernel has seen its last process end.
                let gone = (0..100).any(|_| {
                    std::thread::sleep(Duration::from_millis(10));
                    fs::remove_dir(&*group).is_ok()
                });
                assert!(gone, "{} stays behind", group.display());
            }
            Self::Stopping(ended, turns) => {
                ended.store(true, Ordering::Relaxed);
                turns.take().map(JoinHandle::join);
            }
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // Ended already: nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child: waits for the word, attacks until its input ends, and says what it has done.
pub(crate) fn attack(name: &str, target: &str) {
    rustix::process::nice(19).expect("less is always allowed");
    let target = Target::of_json(target);
    let mut input = BufReader::new(std::io::stdin());
    input.read_line(&mut String::new()).expect("the word");
    let attack = attackers::ATTACKS.iter().find(|attack| attack.name == name).expect("it is one of them");
    let mut said = |text: &str| crate::say(&format!("{text}\n"));
    let standing = (attack.start)(&target, &mut said);
    said("it stands");
    // Whatever it says: its end is what is waited for.
    let _ = input.read_to_end(&mut Vec::new());
    said(&standing.told());
    std::process::exit(0);
}
