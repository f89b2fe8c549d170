//! Fetches a collection's canonical bytes from whoever has them, and checks them whole before they are used.
//! Invariant: of lists larger than `SMALL` one is in memory at a time, whoever sends how many.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::RecvStream;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames::{self, Pace, Pieces as _};
use crate::logic::transfer::{Why, patience};
use crate::model::collection::manifest::Intake;
use crate::model::collection::{CollectionError, MAX_MANIFEST};
use crate::model::{Collection, ContentId, FoundHit, Hit, Kind, NodeId, Provider, SafePath};
use crate::node::error::{Error, Result};
use crate::node::look::Looking;
use crate::node::look::find::Finder;
use crate::node::look::trials::{Failure, TICK, Trials};
use crate::node::report::Report;
use crate::node::types::Without;
use crate::wire::{FrameError, LeftOut, Manifest, ManifestHead, Request, limits};

/// No byte for this long: the provider is left.
const IDLE: Duration = Duration::from_secs(3);
/// So long after the first provider a second one is asked as well, if that has not answered whole: nothing else can be
/// done before.
const SECOND: Duration = Duration::from_millis(100);
/// Sooner where one of the first so many is late. That is where it is not connected after so long, as one that has gone a moment ago
/// and is told of yet; once it is, what it sends is late as a chunk list is.
const QUICK: usize = 3;
const CONNECTS: Duration = Duration::from_millis(20);
/// So long after one provider another one is,
const NEXT: Duration = Duration::from_millis(200);
/// this many at a time at most: of lists that are not small one is received at a time.
const ASKED: usize = 16;
/// What a list leaves out is asked of so many,
const ASKED_LEFT_OUT: usize = 4;
/// each for so long.
const LEFT_OUT: Duration = Duration::from_millis(500);
/// After so long without a list others are looked for on all planes, once.
const ELSEWHERE: Duration = Duration::from_millis(300);
/// A list that says to be larger than this waits for its turn:
const SMALL: usize = 4 << 20;
/// and whoever has the turn and sends more slowly than this (bytes a second, after a grace) leaves it to one that waits.
const SLOWEST: u64 = 64 << 10;
const GRACE: Duration = Duration::from_secs(10);

/// A collection as a provider has it.
pub(crate) struct Fetched {
    /// Its canonical bytes.
    pub(crate) bytes: Vec<u8>,
    /// What they say.
    pub(crate) collection: Collection,
    /// What it leaves out of the provider's directory.
    pub(crate) left_out: LeftOut,
}

/// A collection whose list is asked for.
pub(crate) struct Listed<'a> {
    /// Through whom; how many files and directories a list that is taken has at most.
    pub(crate) finder: &'a Finder,
    /// Which.
    pub(crate) id: ContentId,
    /// Who may have it.
    pub(crate) providers: &'a [Provider],
    /// Where it is told who cannot prove what is claimed.
    pub(crate) report: &'a Report,
}

/// What an id is that was said to be a collection.
pub(crate) enum Proven {
    /// One, as a provider has it.
    Tree(Fetched),
    /// A file, as somebody has proven.
    File(Hit),
}

impl Listed<'_> {
    /// The bytes and what they say, from the first provider that has them right. One that is only not ready is asked again,
    /// for `wait` at most. Those whose bytes are not the collection's are added to `liars`.
    ///
    /// # Errors
    /// When nobody could give it, or a manifest that belongs to the id is not a collection that can be handled: then no other
    /// provider can do better.
    pub(crate) async fn fetch(&self, wait: Duration, liars: &mut Vec<NodeId>) -> Result<Proven> {
        let (id, most) = (self.id, self.finder.max_files);
        let mut trials = Trials::new(self.providers, wait);
        let turns = Arc::new(Turns::new());
        let mut tasks = JoinSet::new();
        let mut ticks = tokio::time::interval(TICK);
        let (mut last, mut is_late) = (Instant::now(), false);
        let (mut elsewhere, mut looked) = (pin!(self.elsewhere()), false);
        let mut proving = JoinSet::new();
        loop {
            // One that has gone without a word must not keep the others waiting.
            let pause = if tasks.len() < 2 { SECOND } else { NEXT };
            if (tasks.is_empty() || is_late || (tasks.len() < ASKED && last.elapsed() >= pause))
                && let Some((number, provider)) = trials.next()
            {
                (last, is_late) = (Instant::now(), false);
                let (connections, turns) = (self.finder.connections.clone(), Arc::clone(&turns));
                tasks.spawn(async move { (number, from_one(&connections, id, &provider, most, &turns).await) });
            }
            if !trials.is_asking()
                && looked
                && proving.is_empty()
                && let Some(lack) = trials.lack()
            {
                return Err(Error::NoManifest { id, lack: Box::new(lack) });
            }
            tokio::select! {
                _ = ticks.tick() => trials.tick(),
                () = turns.late.notified() => is_late = tasks.len() < QUICK,
                more = &mut elsewhere, if !looked => {
                    looked = true;
                    let (files, trees): (Vec<_>, _) = more.into_iter().partition(|one| one.hit.kind == Kind::File);
                    trials.add(trees.into_iter().flat_map(|found: FoundHit| found.hit.providers));
                    let (finder, report) = (self.finder.clone(), self.report.clone());
                    proving.spawn(async move { Looking { finder: &finder, report: &report }.first_proven(files).await });
                }
                Some(Ok(Some(file))) = proving.join_next() => return Ok(Proven::File(file.hit)),
                Some(Ok((number, got))) = tasks.join_next() => match got {
                    Ok(Answer::Right(parsed)) => {
                        return parsed.map(Proven::Tree).map_err(|source| unusable(id, source));
                    }
                    Ok(Answer::Wrong) => {
                        liars.push(trials.node(number));
                        trials.failed(number, Why::Lied.into());
                    }
                    Err(failure) => trials.failed(number, failure),
                },
            }
        }
    }

    /// What else is said of it, looked for after a moment: those who were heard first may have nothing.
    async fn elsewhere(&self) -> Vec<FoundHit> {
        sleep(ELSEWHERE).await;
        let mut found = self.finder.locate(self.id).await.map(|found| found.hits).unwrap_or_default();
        let own = self.finder.own;
        found.iter_mut().for_each(|found| found.hit.providers.retain(|provider| provider.node != own));
        found
    }

    /// What it leaves out at the first provider that says it; asked where its list is known already.
    pub(crate) async fn left_out(&self) -> LeftOut {
        for provider in self.providers.iter().take(ASKED_LEFT_OUT) {
            let head = timeout(LEFT_OUT, async {
                let link = self.finder.connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
                let request = Request::Manifest(Manifest { id: self.id });
                let (head, _open, _recv) = frames::call::<ManifestHead>(&link, &request, limits::CONTROL).await.ok()?;
                Some(head.left_out)
            });
            if let Ok(Some(left_out)) = head.await {
                return left_out;
            }
        }
        LeftOut::default()
    }
}

/// Files that a collection leaves out and that are `wanted`; none when there are none.
pub(crate) fn without(name: &SafePath, left_out: &LeftOut, wanted: impl Fn(&SafePath) -> bool) -> Option<Without> {
    let files: Vec<_> = left_out.files.iter().filter(|file| wanted(&file.path)).cloned().collect();
    // Some are only counted.
    let only_counted = left_out.files.is_empty() && left_out.more > 0;
    let files = LeftOut { files, more: left_out.more };
    (!files.files.is_empty() || only_counted).then(|| Without { name: name.clone(), files })
}

/// What one sent.
enum Answer {
    /// The collection's bytes, whatever they say.
    Right(Result<Fetched, CollectionError>),
    /// Others.
    Wrong,
}

fn unusable(id: ContentId, source: CollectionError) -> Error {
    match source {
        CollectionError::TooMany { entries, needed, most } => Error::TooManyFiles { id, entries, needed, most },
        source => Error::BadCollection { id, source },
    }
}

async fn from_one(
    connections: &ConnectionsRef,
    id: ContentId,
    provider: &Provider,
    most: usize,
    turns: &Turns,
) -> Result<Answer, Failure> {
    let link = turns.told_late(CONNECTS, connections.to_node(provider.node, provider.addrs.clone())).await?;
    let request = Request::Manifest(Manifest { id });
    link.widen();
    let head = frames::call::<ManifestHead>(&link, &request, limits::CONTROL);
    let (head, _open, mut recv) = turns.told_late(patience(link.rtt(), 0), head).await?;
    let len = usize::try_from(head.len).ok().filter(|len| *len <= MAX_MANIFEST);
    let len = len.ok_or(frames::CallError::Frame(FrameError::Unknown))?;
    let turn = if len > SMALL { Some(turns.take().await) } else { None };
    let intake = turns.told_late(patience(link.rtt(), head.len), receive(&mut recv, len, most, turns)).await?;
    let left_out = head.left_out;
    let checked = tokio::task::spawn_blocking(move || intake.end().read(id));
    let read = checked.await;
    drop(turn);
    match read {
        Ok(Some(read)) => Ok(Answer::Right(read.map(|(collection, bytes)| Fetched { bytes, collection, left_out }))),
        Ok(None) => Ok(Answer::Wrong),
        Err(error) => {
            tracing::error!(%error, "checking a collection's list failed");
            Err(Why::Failing.into())
        }
    }
}

async fn receive(recv: &mut RecvStream, len: usize, most: usize, turns: &Turns) -> Result<Intake, frames::CallError> {
    let begun = Instant::now();
    let (mut intake, mut left, mut pace) = (Intake::new(most, len), len, Pace::without_pause(IDLE));
    while left > 0 {
        let piece = pace.piece(recv, left).await?;
        intake.push(&piece);
        left -= piece.len();
        let due = begun.elapsed().saturating_sub(GRACE).as_secs() * SLOWEST;
        if len > SMALL && turns.are_wanted() && ((len - left) as u64) < due {
            return Err(frames::CallError::TimedOut);
        }
    }
    Ok(intake)
}

/// Whose large list is being received, and that somebody is late.
struct Turns {
    one: Semaphore,
    waiting: AtomicUsize,
    late: Notify,
}

impl Turns {
    const fn new() -> Self {
        Self { one: Semaphore::const_new(1), waiting: AtomicUsize::new(0), late: Notify::const_new() }
    }

    async fn take(&self) -> Option<SemaphorePermit<'_>> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Never closed. Who is dropped while it waits leaves the turns with it: the whole look is over then.
        let turn = self.one.acquire().await.ok();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        turn
    }

    fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Waits for what is to come, and tells once if it takes longer than `patience`.
    async fn told_late<T>(&self, patience: Duration, coming: impl Future<Output = T>) -> T {
        let mut coming = pin!(coming);
        if let Ok(came) = timeout(patience, &mut coming).await {
            return came;
        }
        self.late.notify_one();
        coming.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Code, LeftOutFile};

    #[test]
    fn what_a_collection_leaves_out_is_told_where_it_is_wanted() {
        let name = SafePath::parse("d").expect("valid");
        let file = |path: &str, why| LeftOutFile { path: SafePath::parse(path).expect("valid"), why };
        let told = |files, more| without(&name, &LeftOut { files, more }, |_| true);
        assert_eq!(told(Vec::new(), 0), None);
        assert_eq!(told(Vec::new(), 3).map(|told| told.files.more), Some(3));
        let (log, key) = (file("log", Code::Changed), file("key", Code::Internal));
        let wanted = |path: &SafePath| path.as_str() == "key";
        let one = without(&name, &LeftOut { files: vec![key.clone(), log.clone()], more: 2 }, wanted).expect("told");
        assert_eq!(one.files, LeftOut { files: vec![key], more: 2 });
        let none = without(&name, &LeftOut { files: vec![log], more: 1 }, |_| false);
        assert_eq!(none, None, "nothing of it is wanted");
    }
}
