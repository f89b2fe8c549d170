//! A transfer's progress as text: the parts that bars are labelled with, and whole lines where there is no terminal.
//! Time is an argument.

use std::time::Duration;

use crate::cli::render::human::{counted, duration, percent, rate, time_left};
use crate::cli::say::names::Names;
use crate::model::{Shown, Size};
use crate::node::{Phase, Progress, ProviderProgress};

/// Between two plain lines.
const EVERY: Duration = Duration::from_secs(3);
/// The most characters of a name in a line.
const NAME: usize = 40;

/// What is being done: `fetching docs/a.txt`.
pub(crate) fn activity(progress: &Progress) -> String {
    let (phase, of) = match progress.phase {
        Phase::Looking => ("looking", " for providers"),
        Phase::Connecting => ("connecting", " to providers"),
        Phase::Hashing if by_provider(progress) => ("hashing at the provider", ""),
        Phase::Hashing => ("hashing", ""),
        Phase::Fetching => ("fetching", ""),
        Phase::Finishing => ("finishing", ""),
        Phase::Seeding => ("seeding", ""),
        Phase::Waiting => ("waiting", " for the other one that fetches it"),
    };
    match &progress.name {
        Some(name) => format!("{phase} {}", shortened(name.as_str())),
        None => format!("{phase}{of}"),
    }
}

fn by_provider(progress: &Progress) -> bool {
    progress.hashing.is_some_and(|hashing| hashing.node.is_some())
}

/// How far it is: `12 % of 9.8 GiB, 50.0 MiB/s, 2 m 05 s left`; empty while nothing is known.
pub(crate) fn standing(progress: &Progress) -> String {
    let proven = (progress.bytes, progress.total);
    let (done, total) = progress.hashing.map_or(proven, |hashing| (hashing.done, hashing.total));
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

/// One provider: name or short id, address, rate and share of what came: `abcdefgh  10.0.0.1:4917  20.0 MiB/s  40 %`.
pub(crate) fn provider(names: &Names, provider: &ProviderProgress, fetched: u64) -> String {
    let share = if fetched == 0 { 0 } else { percent(provider.bytes, fetched) };
    let (node, addr) = (names.short(provider.node), provider.addr.to_string());
    let why = provider.why.map(|why| format!("  {why}")).unwrap_or_default();
    format!("{node:<8}  {addr:<21}  {:>12}  {share:>3} %{why}", rate(provider.rate))
}

fn shortened(name: &str) -> String {
    console::truncate_str(&Shown(name).to_string(), NAME, "…").into_owned()
}

/// Decides when a line is due: at a new phase, and every few seconds.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    last: Option<(Phase, Duration)>,
}

impl Lines {
    /// The line that is due now, if one is.
    pub(crate) fn line(&mut self, progress: &Progress, now: Duration) -> Option<String> {
        if let Some((phase, at)) = self.last
            && phase == progress.phase
            && now.saturating_sub(at) < EVERY
        {
            return None;
        }
        self.last = Some((progress.phase, now));
        let mut parts = vec![activity(progress), standing(progress)];
        if progress.phase == Phase::Fetching {
            parts.push(counted(progress.providers.len() as u64, "provider"));
            parts.extend(waits_for(progress));
        }
        parts.retain(|part| !part.is_empty());
        Some(parts.join(", "))
    }
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
    use crate::node::{Hashing, Why};

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
        let mut lines = Lines::default();
        let at = Duration::from_millis;
        let looking = Progress::default();
        assert_eq!(lines.line(&looking, at(0)).expect("first"), "looking for providers");
        assert_eq!(lines.line(&looking, at(2999)), None);
        assert!(lines.line(&looking, at(3000)).is_some());
        let line = lines.line(&fetching(), at(3001)).expect("a new phase");
        assert_eq!(line, "fetching docs/a.txt, 50 % of 1.0 GiB, 64.0 MiB/s, 8.0 s left, 1 provider");
        assert_eq!(lines.line(&fetching(), at(3002)), None);
    }

    #[test]
    fn a_provider_has_its_rate_and_share() {
        let progress = fetching();
        let text = provider(&Names::default(), &progress.providers[0], progress.fetched);
        let short = progress.providers[0].node.short();
        assert_eq!(text, format!("{short}  10.0.0.1:4917            20.0 MiB/s   40 %"));
        assert!(provider(&Names::default(), &progress.providers[0], 0).ends_with("  0 %"));
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
        assert!(provider(&Names::default(), &waiting.providers[0], 75).ends_with("it hashes its copy again"));
    }

    #[test]
    fn long_names_are_cut() {
        let name = SafePath::parse(&"é".repeat(100)).expect("a name");
        let text = activity(&Progress { name: Some(name), phase: Phase::Finishing, ..Progress::default() });
        assert_eq!(text.chars().count(), "finishing ".len() + NAME);
    }
}
