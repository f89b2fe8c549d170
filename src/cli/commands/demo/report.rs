//! What the demo says at its end, for people and for programs.

use std::fmt;

use crate::cli::commands::demo::child::NodeAddr;
use crate::cli::commands::demo::verify::Same;
use crate::cli::render::human::{counted, duration, mean_rate, percent, rate, shares};
use crate::cli::render::json::Line;
use crate::model::Size;
use crate::node::{Outcome, Progress};

/// A provider that was killed while it gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Killed {
    place: NodeAddr,
    bytes: u64,
    total: u64,
    given: u64,
}

impl Killed {
    pub(super) fn new(place: NodeAddr, now: &Progress) -> Self {
        let given = now.providers.iter().filter(|provider| provider.node == place.node).map(|p| p.bytes).sum();
        Self { place, bytes: now.bytes, total: now.total, given }
    }

    /// The event `killed`.
    pub(super) const fn line(&self) -> Line<'static> {
        Line::Killed { node: self.place.node, addr: self.place.addr, bytes: self.bytes, total: self.total }
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (share, addr) = (percent(self.bytes, self.total), self.place.addr);
        write!(f, "at {share} % provider {addr} is killed, after it gave {}; the others go on", Size(self.given))
    }
}

/// What was compared.
pub(super) fn verified(same: &Same) -> String {
    let (files, bytes) = (counted(same.files, "file"), Size(same.bytes));
    let mut text = format!("compared with the original byte by byte: {files}, {bytes}");
    if same.directories > 0 {
        let plural = if same.directories == 1 { "y" } else { "ies" };
        text.push_str(&format!(", {} director{plural}", same.directories));
    }
    if same.executables > 0 {
        text.push_str(&format!(", {} of the files executable", same.executables));
    }
    text.push_str(": all the same");
    text
}

/// The event `verified`.
pub(super) fn line(same: &Same, outcome: &Outcome, killed: bool) -> Line<'static> {
    Line::Verified {
        files: same.files,
        directories: same.directories,
        executables: same.executables,
        bytes: same.bytes,
        seconds: outcome.elapsed.as_secs_f64(),
        rate: mean_rate(outcome.fetched, outcome.elapsed),
        killed,
    }
}

/// How it went, and how to go on.
pub(super) fn text(same: &Same, outcome: &Outcome, killed: Option<&Killed>) -> String {
    let speed = rate(mean_rate(outcome.fetched, outcome.elapsed));
    let (fetched, took) = (Size(outcome.fetched), duration(outcome.elapsed));
    let mut text = format!("\n{fetched} fetched and proven in {took} ({speed}):\n");
    if outcome.fetched < same.bytes {
        text = format!("\n{fetched} fetched and proven in {took} ({speed}), as equal files are fetched once:\n");
    }
    let shares = shares(outcome.providers.iter().map(|provider| provider.bytes));
    for (provider, share) in outcome.providers.iter().zip(shares) {
        let dead = killed.is_some_and(|killed| killed.place.node == provider.node);
        let mark = if dead { "  (killed)" } else { "" };
        let given = Size(provider.bytes);
        text.push_str(&format!("  {}  {share:>3} %  {given:>8}{mark}\n", provider.addr));
    }
    if killed.is_none() {
        text.push_str("No provider was killed half-way: it was all there before. A larger tree shows that.\n");
    }
    text.push_str(
        "Now with your files: `qshare tracker` on one machine, `qshare share DIR --tracker HOST` where they are,\n\
         `qshare get WORDS --tracker HOST` where they are wanted.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{ContentId, Kind, NodeId, SafePath};
    use crate::node::ProviderProgress;

    fn outcome() -> Outcome {
        let node = NodeId::of_public_key(b"n");
        let addr = "127.0.0.1:7".parse().expect("an address");
        Outcome {
            id: ContentId::of(b"x"),
            kind: Kind::Collection,
            name: SafePath::parse("t").expect("a name"),
            path: None,
            bytes: 4 << 20,
            fetched: 4 << 20,
            part: false,
            copied: 0,
            replaced: 0,
            left: 0,
            elapsed: Duration::from_secs(2),
            providers: vec![ProviderProgress { bytes: 4 << 20, ..ProviderProgress::new(node, addr) }],
            plane: None,
            preview: None,
            shares: Vec::new(),
            seeding: false,
            lacks: false,
            waited: Duration::ZERO,
        }
    }

    #[test]
    fn who_gave_what_is_told_and_who_was_killed() {
        let outcome = outcome();
        let now =
            Progress { bytes: 2 << 20, total: 4 << 20, providers: outcome.providers.clone(), ..Progress::default() };
        let place = NodeAddr { node: outcome.providers[0].node, addr: outcome.providers[0].addr };
        let killed = Killed::new(place, &now);
        assert_eq!(
            killed.to_string(),
            "at 50 % provider 127.0.0.1:7 is killed, after it gave 4.0 MiB; the others go on"
        );
        let same = Same { bytes: outcome.fetched, ..Same::default() };
        let told = text(&same, &outcome, Some(&killed));
        assert!(
            told.starts_with(
                "\n4.0 MiB fetched and proven in 2.0 s (2.0 MiB/s):\n  127.0.0.1:7  100 %   4.0 MiB  (killed)\n"
            ),
            "{told}"
        );
        assert!(
            !told.contains("No provider was killed") && text(&same, &outcome, None).contains("No provider was killed")
        );
    }

    #[test]
    fn what_was_compared_is_counted() {
        let same = Same { files: 1, directories: 1, executables: 1, bytes: 5 };
        assert_eq!(
            verified(&same),
            "compared with the original byte by byte: 1 file, 5 B, 1 directory, 1 of the files executable: all the same"
        );
        assert!(verified(&Same::default()).ends_with("0 files, 0 B: all the same"));
    }
}
