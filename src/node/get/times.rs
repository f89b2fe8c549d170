//! `get --times`: modification times are asked of whoever has the content whole, and set on all that was asked for,
//! also on what was there already. Nothing proves a time: it is one provider's word and decides nothing.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use crate::io::net::frames::{self, Pace};
use crate::io::receive::dest::{DestError, SafeDir};
use crate::model::collection::Entry;
use crate::model::{Content, Provider, SafePath};
use crate::node::get::Get;
use crate::node::get::contents::Contents;
use crate::node::types::GetNotice;
use crate::wire::{Request, Times, TimesHead, limits};

/// No byte for this long: the next provider is asked.
const IDLE: Duration = Duration::from_secs(3);
/// All providers together: times are not worth more waiting.
const PATIENCE: Duration = Duration::from_secs(10);
/// A time on the wire.
const LEN: usize = 8;

/// Paths of a tree, or the target of a file, with their times.
pub(super) type TimesOf = Vec<(SafePath, SystemTime)>;

impl Get {
    /// The times of what was asked for; none without `--times`, and a warning when nobody can tell.
    pub(super) async fn times(&self, contents: &Contents, target: &SafePath, providers: &[Provider]) -> TimesOf {
        if self.request.times { self.offered_times(contents, target, providers).await } else { Vec::new() }
    }

    /// The times that somebody tells of what was asked for; a warning when nobody can.
    pub(super) async fn offered_times(
        &self,
        contents: &Contents,
        target: &SafePath,
        providers: &[Provider],
    ) -> TimesOf {
        let paths = paths(contents, target);
        if paths.is_empty() {
            return Vec::new();
        }
        // Those that gave bytes first: a connection to them is there.
        let gave = self.report.now().providers;
        let gave = gave.iter().map(|p| Provider { node: p.node, addrs: vec![p.addr] });
        let mut providers: Vec<_> = gave.chain(providers.iter().cloned()).collect();
        let mut seen = HashSet::new();
        providers.retain(|provider| seen.insert(provider.node));
        let asked = self.first_told(contents.wanted.content, paths.len(), &providers);
        let Some(times) = timeout(PATIENCE, asked).await.ok().flatten() else {
            self.report.warn(GetNotice::TimesUnknown(contents.name.clone()));
            return Vec::new();
        };
        let known = paths.into_iter().zip(times).filter_map(|(path, nanos)| Some((path?, time(nanos)?)));
        known.collect()
    }

    /// The times from the first provider that tells as many as there are paths.
    async fn first_told(&self, content: Content, count: usize, providers: &[Provider]) -> Option<Vec<i64>> {
        for provider in providers {
            let told = self.told_by(content, count, provider).await;
            if told.is_some() {
                return told;
            }
        }
        None
    }

    async fn told_by(&self, content: Content, count: usize, provider: &Provider) -> Option<Vec<i64>> {
        let link = self.finder.connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
        let request = Request::Times(Times { id: content.id, size: content.size });
        let (head, _open, mut recv) = frames::call::<TimesHead>(&link, &request, limits::CONTROL).await.ok()?;
        if head.count as usize != count {
            return None;
        }
        let bytes = frames::receive_raw(&mut recv, count * LEN, &mut Pace::without_pause(IDLE)).await.ok()?;
        Some(bytes.chunks_exact(LEN).filter_map(|time| time.try_into().ok().map(i64::from_be_bytes)).collect())
    }

    /// Sets times on files that have their final names; what cannot be set is a warning, for the content is right.
    pub(super) async fn set_times(&self, parent: &SafeDir, target: &SafePath, contents: &Contents, times: TimesOf) {
        let (parent, target, tree) = (parent.clone(), target.clone(), contents.wanted.tree.is_some());
        let set = tokio::task::spawn_blocking(move || set(&parent, &target, tree, &times)).await;
        match set {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.report.warn(GetNotice::Dest(error)),
            Err(error) => tracing::error!(%error, "setting times failed"),
        }
    }
}

/// Those of paths that were there already: publishing does not touch them.
pub(super) fn only(mut times: TimesOf, same: &HashSet<SafePath>) -> TimesOf {
    times.retain(|(path, _)| same.contains(path));
    times
}

/// A file's target, or all file paths of the tree in order, `None` in place of those not asked for; empty when no
/// file was asked for.
fn paths(contents: &Contents, target: &SafePath) -> Vec<Option<SafePath>> {
    let Some(collection) = &contents.wanted.tree else { return vec![Some(target.clone())] };
    let files = collection.entries().iter().filter(|(_, entry)| *entry != Entry::Directory);
    let paths: Vec<_> = files.map(|(path, _)| (!contents.unwanted.contains(path)).then(|| path.clone())).collect();
    if paths.iter().any(Option::is_some) { paths } else { Vec::new() }
}

/// A point in time, as a file system has it.
pub(super) fn time(nanos: i64) -> Option<SystemTime> {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

fn set(parent: &SafeDir, target: &SafePath, tree: bool, times: &[(SafePath, SystemTime)]) -> Result<(), DestError> {
    if times.is_empty() {
        return Ok(());
    }
    let dir = if tree { &parent.dir(target)? } else { parent };
    times.iter().try_for_each(|(path, time)| dir.set_modified(path, *time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_and_to_the_nanosecond() {
        for nanos in [0, 1, -1, 1_234_567_890_123_456_789, i64::MAX, i64::MIN] {
            let time = time(nanos).expect("within range");
            let distance = time.duration_since(UNIX_EPOCH).unwrap_or_else(|e| e.duration());
            assert_eq!(distance.as_nanos(), u128::from(nanos.unsigned_abs()));
            assert_eq!(time < UNIX_EPOCH, nanos < 0);
        }
    }
}
