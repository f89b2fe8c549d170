//! A transfer's progress as text: the parts of lines on a terminal, and whole lines where there is none.
//! Time is an argument.

use std::time::Duration;

use crate::cli::render::fit::shortened;
use crate::cli::render::human::{count, counted, duration, percent, rate, time_left};
use crate::model::{Shown, Size};
use crate::node::{Phase, Progress};

/// Between two plain lines: while something moves, and at most, while nothing does.
const EVERY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
/// The most characters of a name in a line.
const NAME: usize = 40;

/// What is being done, and what to add where it is to nothing that has a name: `fetching`.
pub(crate) fn action(progress: &Progress) -> (&'static str, &'static str) {
    match progress.phase {
        Phase::Looking => ("looking", " for providers"),
        Phase::Connecting => ("connecting", " to providers"),
        Phase::Hashing if by_provider(progress) => ("hashing at the provider", ""),
        Phase::Hashing => ("hashing", ""),
        Phase::Fetching => ("fetching", ""),
        Phase::Finishing => ("finishing", ""),
        Phase::Seeding => ("seeding", ""),
        Phase::Waiting => ("waiting for another get of", " the same"),
    }
}

fn by_provider(progress: &Progress) -> bool {
    progress.hashing.is_some_and(|hashing| hashing.node.is_some())
}

/// Bytes done, of how many: proven, or hashed while something is hashed; none while only another one fetches.
pub(crate) fn amounts(progress: &Progress) -> (u64, u64) {
    if progress.phase == Phase::Waiting {
        return (0, 0);
    }
    progress.hashing.map_or((progress.bytes, progress.total), |hashing| (hashing.done, hashing.total))
}

/// Files that are whole, where there are several: `12 of 340 files`.
pub(crate) fn files(progress: &Progress) -> Option<String> {
    let files = progress.files;
    let some = progress.phase == Phase::Fetching && files.all > 1;
    some.then(|| format!("{} of {} files", count(files.whole.into()), count(files.all.into())))
}

/// How far it is: `12 % of 9.8 GiB, 50.0 MiB/s, 2 m 05 s left`; empty while nothing is known.
fn standing(progress: &Progress) -> String {
    let (done, total) = amounts(progress);
    if total == 0 {
        return String::new();
    }
    let mut text = format!("{} % of {}", percent(done, total), Size(total));
    if progress.phase == Phase::Fetching {
        text.push_str(&format!(", {}", rate(progress.rate)));
        if let Some(left) = time_left(progress.total.saturating_sub(progress.bytes), progress.rate) {
            text.push_str(&format!(", {} left", duration(left)));
        }
    }
    text
}

/// Decides when a line is due: at a new phase, every few seconds, and less and less often while nothing moves.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// What is looked for.
    subject: String,
    last: Option<Told>,
}

impl Lines {
    /// Of something that is called so before it was found.
    pub(crate) fn of(subject: &str) -> Self {
        Self { subject: shortened(&Shown(subject).to_string(), NAME), last: None }
    }

    /// What is being done to what: `fetching docs/a.txt`.
    fn activity(&self, progress: &Progress) -> String {
        let (what, of) = action(progress);
        match &progress.name {
            Some(name) => format!("{what} {}", shortened(&Shown(name.as_str()).to_string(), NAME)),
            None if matches!(progress.phase, Phase::Connecting | Phase::Looking) => {
                format!("{what}{of} of {}", self.subject)
            }
            None => format!("{what}{of}"),
        }
    }

    /// The line that is due now, if one is.
    pub(crate) fn line(&mut self, progress: &Progress, now: Duration) -> Option<String> {
        let (phase, (done, _)) = (progress.phase, amounts(progress));
        let mut pause = EVERY.0;
        if let Some(last) = self.last.filter(|last| last.phase == phase) {
            let still = last.done == done;
            if now.saturating_sub(last.at) < if still { last.pause } else { EVERY.0 } {
                return None;
            }
            pause = if still { EVERY.1.min(last.pause * 2) } else { EVERY.0 };
        }
        self.last = Some(Told { phase, done, at: now, pause });
        let mut parts = vec![self.activity(progress), standing(progress)];
        parts.extend(files(progress));
        if progress.phase == Phase::Fetching {
            parts.push(counted(progress.providers.len() as u64, "provider"));
            parts.extend(waits_for(progress));
            parts.extend(progress.gives_up.map(|left| format!("gives up in {}", duration(left))));
        }
        parts.retain(|part| !part.is_empty());
        Some(parts.join(", "))
    }
}

/// What the last line told, when, and how long there is none while that stays so.
#[derive(Debug, Clone, Copy)]
struct Told {
    phase: Phase,
    done: u64,
    at: Duration,
    pause: Duration,
}

/// What is waited for while nothing comes: one provider that said why.
fn waits_for(progress: &Progress) -> Option<String> {
    if progress.rate > 0 {
        return None;
    }
    let (provider, why) = progress.providers.iter().find_map(|provider| Some((provider, provider.why?)))?;
    Some(format!("waiting for {}: {why}", provider.node.short()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NodeId, SafePath};
    use crate::node::{FileCount, Hashing, ProviderProgress, Why};

    fn fetching() -> Progress {
        let node = NodeId::of_public_key(b"n");
        let addr = "10.0.0.1:4917".parse().expect("addr");
        let given = ProviderProgress { bytes: 30, rate: 20 << 20, ..ProviderProgress::new(node, addr) };
        Progress {
            phase: Phase::Fetching,
            name: Some(SafePath::parse("docs/a.txt").expect("a name")),
            bytes: 512 << 20,
            fetched: 75,
            total: 1 << 30,
            rate: 64 << 20,
            providers: vec![given],
            ..Progress::default()
        }
    }

    #[test]
    fn a_line_is_due_every_few_seconds_and_at_a_new_phase() {
        let mut lines = Lines::of("docs a.txt");
        let at = Duration::from_millis;
        let looking = Progress::default();
        assert_eq!(lines.line(&looking, at(0)).expect("first"), "looking for providers of docs a.txt");
        assert_eq!(lines.line(&looking, at(2999)), None);
        assert!(lines.line(&looking, at(3000)).is_some());
        let line = lines.line(&fetching(), at(3001)).expect("a new phase");
        assert_eq!(line, "fetching docs/a.txt, 50 % of 1.0 GiB, 64.0 MiB/s, 8.0 s left, 1 provider");
        assert_eq!(lines.line(&fetching(), at(3002)), None);
    }

    #[test]
    fn what_does_not_move_is_told_less_and_less_often() {
        let waiting = Progress { phase: Phase::Waiting, ..Progress::default() };
        let mut lines = Lines::default();
        let due = |lines: &mut Lines, of: &Progress, from: u64, to: u64| -> Vec<u64> {
            (from..to).filter(|second| lines.line(of, Duration::from_secs(*second)).is_some()).collect()
        };
        assert_eq!(due(&mut lines, &waiting, 0, 300), [0, 3, 9, 21, 45, 93, 153, 213, 273]);
        // What comes at last is told at once, and as often as ever.
        let moving = |bytes| Progress { bytes, ..fetching() };
        assert_eq!(due(&mut lines, &moving(1), 300, 310), [300, 303, 309]);
        assert_eq!(due(&mut lines, &moving(2), 310, 312), [] as [u64; 0]);
        assert_eq!(due(&mut lines, &moving(2), 312, 316), [312, 315]);
    }

    #[test]
    fn hashing_has_counts_of_its_own_and_a_wait_has_its_cause() {
        let node = NodeId::of_public_key(b"n");
        let hashing = Hashing { done: 1 << 20, total: 4 << 20, node: Some(node) };
        let at = Progress { phase: Phase::Hashing, hashing: Some(hashing), ..Progress::default() };
        let line = Lines::default().line(&at, Duration::ZERO).expect("first");
        assert_eq!(line, "hashing at the provider, 25 % of 4.0 MiB");
        let mut waiting = fetching();
        waiting.rate = 0;
        waiting.providers[0].why = Some(Why::Hashing(Duration::ZERO));
        let line = Lines::default().line(&waiting, Duration::ZERO).expect("first");
        assert!(line.ends_with(&format!("waiting for {}: it hashes its copy again", node.short())), "{line}");
        let alone = Progress { gives_up: Some(Duration::from_secs(108)), providers: Vec::new(), ..waiting };
        let line = Lines::default().line(&alone, Duration::ZERO).expect("first");
        assert!(line.ends_with(", 0 providers, gives up in 1 m 48 s"), "{line}");
    }

    #[test]
    fn of_a_tree_the_files_are_counted() {
        let tree = Progress { files: FileCount { whole: 12, all: 1340 }, ..fetching() };
        let line = Lines::default().line(&tree, Duration::ZERO).expect("first");
        assert!(line.ends_with(", 8.0 s left, 12 of 1,340 files, 1 provider"), "{line}");
    }

    #[test]
    fn long_names_are_cut() {
        let name = SafePath::parse(&"é".repeat(100)).expect("a name");
        let text =
            Lines::default().activity(&Progress { name: Some(name), phase: Phase::Finishing, ..Progress::default() });
        assert_eq!(text.chars().count(), "finishing ".len() + NAME);
    }
}
