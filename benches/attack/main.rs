//! What an honest `get` and `search` cost beside peers that keep no rules, and what these leave behind:
//! `cargo bench --bench attack -- [--qshare PROGRAM] [--rounds N] [ATTACK…]`, one line of a table for each attack; `--list`
//! names them. The attacker is a child process at nice 19 that has a quarter of one core.
//! Every figure of time is a ratio to the same command in the same run before the attack; beside it stands that of a node
//! on the same machine that nobody attacks, in turn: what it bears is the machine's.

#[path = "../../tests/common/mod.rs"]
mod common;

mod attackers;
mod counted;
mod ground;
mod throttle;
mod vanishing;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use attackers::{ATTACKS, Attack};
use ground::{Ground, Place, State, Trial};
use throttle::Attacker;

/// After the attack, before what is left of it is looked at.
const LATER: Duration = Duration::from_secs(30);

/// What the command line asks for.
struct Options {
    program: PathBuf,
    rounds: usize,
    only: Vec<String>,
}

fn main() -> ExitCode {
    let mut options = Options { program: env!("CARGO_BIN_EXE_qshare").into(), rounds: 7, only: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match &*argument {
            "--attacker" => {
                let name = value();
                throttle::attack(&name, &value());
                return ExitCode::SUCCESS;
            }
            "--qshare" => options.program = std::path::absolute(value()).expect("a path"),
            "--rounds" => options.rounds = value().parse().expect("a number"),
            "--list" => {
                let names: String =
                    ATTACKS.iter().map(|attack| format!("{}\t{}\n", attack.name, attack.what)).collect();
                say(&names);
                return ExitCode::SUCCESS;
            }
            // What cargo adds.
            "--bench" => {}
            _ => options.only.push(argument),
        }
    }
    let attacks: Vec<_> = ATTACKS.iter().filter(|attack| options.wants(attack.name)).collect();
    if !attacks.is_empty() {
        say(&head());
        let control = Ground::new(options.program.clone(), Place::Plain).expect("nothing that cannot be had");
        attacks.into_iter().for_each(|attack| say(&row(attack, &control, &options)));
    }
    counted::rows(&options.program, |name| options.wants(name));
    ExitCode::SUCCESS
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// One attack, from an honest peer alone to what is left half a minute after it.
fn row(attack: &Attack, control: &Ground, options: &Options) -> String {
    let Some(ground) = Ground::new(options.program.clone(), attack.place) else { return String::new() };
    // In turn, so that both bear what else the machine does meanwhile.
    let both = |rounds: usize, more: &[String]| {
        let rounds = (0..rounds).map(|_| (ground.sample(more), control.sample(&[])));
        let (here, there): (Vec<_>, Vec<_>) = rounds.unzip();
        (Trial::of(here), Trial::of(there))
    };
    // What is first costs more: caches, connections, keys.
    both(1, &[]);
    let (alone, control_alone) = both(options.rounds, &[]);
    let before = ground.states();
    let mut attacker = Attacker::start(attack.name, &ground);
    let more = attacker.begin();
    let first = ground.sample(&more);
    attacker.stands();
    let (begun, spent) = (now(), (attacker.cpu(), ground.cpu()));
    let (beside, control_beside) = both(options.rounds, &more);
    let took = begun.elapsed().as_secs_f64();
    let share = |now: f64, before: f64| (now - before) / took;
    let (attackers, victims) = (share(attacker.cpu(), spent.0), share(ground.cpu(), spent.1));
    let during = ground.states();
    let throttled = attacker.throttled();
    let told = attacker.end();
    std::thread::sleep(LATER);
    let left = ground.states();
    let (after, control_after) = both(options.rounds, &[]);
    let peak = [&alone, &beside, &after].map(|trial| trial.peak).into_iter().max().unwrap_or(0).max(first.peak);
    let cells = [
        attack.what.to_owned(),
        beside.over(&alone),
        control_beside.all_over(&control_alone),
        Trial::of([first]).over(&alone),
        during.peaks(),
        ground::megabytes(peak).to_string(),
        format!("{} ({})", after.over(&alone), control_after.all_over(&control_alone)),
        State::left(&before, &left),
        format!("{attackers:.2}, {victims:.2}"),
        alone.millis(),
        format!("{told}{throttled}"),
    ];
    line(&cells)
}

fn head() -> String {
    let names = [
        "attack",
        "beside / alone: search at the tracker, at the share, get 1 MiB, 16 MiB",
        "another node's on this machine",
        "the first ones, as it begins",
        "peak MB: tracker, share",
        "get",
        "30 s later / alone (another node's)",
        "RSS MB and descriptors, before → 30 s later: tracker; share",
        "cores: attacker, attacked",
        "alone, ms",
        "what the attacker did",
    ];
    line(&names.map(str::to_owned)) + &line(&names.map(|_| "---".to_owned()))
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn say(text: &str) {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("written");
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn now() -> Instant {
    Instant::now()
}
