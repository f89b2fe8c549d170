//! Fetches a collection's canonical bytes from whoever has them, and checks them whole before they are used.
//! Invariant: of each provider at most `SMALL` bytes of a list are in memory, and once more as much as one may have.

mod large;
mod turns;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::RecvStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use self::large::Turn;
use self::turns::{Late, Turns};
use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames::{self, Pace, Pieces as _};
use crate::io::net::link::Link;
use crate::logic::transfer::{Why, patience};
use crate::model::collection::manifest::Intake;
use crate::model::collection::{CollectionError, MAX_MANIFEST};
use crate::model::{Collection, ContentId, FoundHit, Hit, Kind, NodeId, Provider, SafePath};
use crate::node::error::{Error, Lack, Result};
use crate::node::look::Looking;
use crate::node::look::find::Finder;
use crate::node::look::trials::{Failure, TICK, Trials};
use crate::node::report::Report;
use crate::node::types::Without;
use crate::wire::{FrameError, LeftOut, Manifest, ManifestHead, Request, limits};

/// No byte for this long: the provider is left.
const IDLE: Duration = Duration::from_secs(3);
/// One that is not connected after so long is late, as one that has gone a moment ago and is told of yet.
const CONNECTS: Duration = Duration::from_millis(20);
/// This many are asked at a time at most: of each so much of a list is received at once.
const ASKED: usize = 64;
const SMALL: usize = 1 << 20;
/// A list that comes is a claim until it is whole, and no longer waited for than so many times the wait, and so long at least.
const LISTS: u32 = 10;
const LIST: Duration = Duration::from_secs(120);
/// What a list leaves out is asked of so many,
const ASKED_LEFT_OUT: usize = 4;
/// each for so long.
const LEFT_OUT: Duration = Duration::from_millis(500);
/// After so long without a list others are looked for on all planes, then each time after three times as long and so long at
/// most: one look tells of some of those who are known.
const ELSEWHERE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(10));

/// A collection as a provider has it.
pub(crate) struct Fetched {
    /// Its canonical bytes.
    pub(crate) bytes: Vec<u8>,
    /// What they say.
    pub(crate) collection: Collection,
    /// What it leaves out of the provider's directory.
    pub(crate) left_out: LeftOut,
    /// Who gave it; none where it was here.
    pub(crate) giver: Option<Provider>,
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
        let (mut elsewhere, mut looks) = (pin!(self.elsewhere(0)), 0);
        let (mut proving, mut may_dial) = (JoinSet::new(), false);
        let longest = wait.saturating_mul(LISTS).max(LIST);
        loop {
            if may_dial
                && tasks.len() < ASKED
                && let Some((number, provider)) = trials.next()
            {
                may_dial = false;
                let one = One { provider, times: trials.times(number), turns: Arc::clone(&turns) };
                let connections = self.finder.connections.clone();
                tasks.spawn(async move { (number, one.list(&connections, id, most).await) });
            }
            // Where there is no patience whoever was asked may answer.
            let comes = trials.is_asking() && (wait.is_zero() || turns.is_moving());
            if (!comes || trials.now() >= longest)
                && looks > 0
                && proving.is_empty()
                && let Some(lack) = trials.lack()
            {
                let lack = if comes { crawling(lack) } else { lack };
                return Err(Error::NoManifest { id, lack: Box::new(lack) });
            }
            tokio::select! {
                _ = ticks.tick() => trials.tick(),
                () = turns.dial(), if !may_dial => may_dial = true,
                more = &mut elsewhere => {
                    looks += 1;
                    elsewhere.set(self.elsewhere(looks));
                    let (files, trees): (Vec<_>, _) = more.into_iter().partition(|one| one.hit.kind == Kind::File);
                    trials.add(trees.into_iter().flat_map(|found: FoundHit| found.hit.providers));
                    if !files.is_empty() && proving.is_empty() {
                        let (finder, report) = (self.finder.clone(), self.report.clone());
                        proving.spawn(async move { Looking { finder: &finder, report: &report }.first_proven(files).await });
                    }
                }
                Some(Ok(Some(file))) = proving.join_next() => return Ok(Proven::File(file.hit)),
                Some(Ok((number, got))) = tasks.join_next() => match got {
                    Ok(Answer::Right(parsed)) => {
                        return parsed.map(Proven::Tree).map_err(|source| unusable(id, source));
                    }
                    Ok(Answer::Wrong) => {
                        turns.failed();
                        liars.push(trials.node(number));
                        trials.failed(number, Why::Lied.into());
                    }
                    Err(failure) => {
                        turns.failed();
                        trials.failed(number, failure);
                    }
                },
            }
        }
    }

    /// What else is said of it, looked for after a moment, the n-th time: those who were heard of may have nothing.
    async fn elsewhere(&self, times: u32) -> Vec<FoundHit> {
        sleep((ELSEWHERE.0 * 3_u32.saturating_pow(times.min(8))).min(ELSEWHERE.1)).await;
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

/// Those of whom nothing else is known kept it waiting with bytes that came.
fn crawling(mut lack: Lack) -> Lack {
    let quiet = lack.providers.iter_mut().filter(|one| one.why == Why::Silent);
    quiet.for_each(|one| one.why = Why::Crawling);
    lack
}

/// One that is asked.
struct One {
    provider: Provider,
    /// The n-th time.
    times: u32,
    turns: Arc<Turns>,
}

impl One {
    async fn list(self, connections: &ConnectionsRef, id: ContentId, most: usize) -> Result<Answer, Failure> {
        let Self { provider, times, turns } = self;
        let link = connections.to_node(provider.node, provider.addrs.clone());
        let link = turns.patient(Late::Connection, CONNECTS, link).await?;
        turns.ask().await;
        let request = Request::Manifest(Manifest { id });
        let head = frames::call::<ManifestHead>(&link, &request, limits::CONTROL);
        let (head, _open, mut recv) = turns.patient(Late::Answer, patience(link.rtt(), 0), head).await?;
        let len = usize::try_from(head.len).ok().filter(|len| *len <= MAX_MANIFEST);
        let len = len.ok_or(frames::CallError::Frame(FrameError::Unknown))?;
        let mut receiving =
            Receiving { intake: Intake::new(most, len.min(SMALL)), left: len, pace: Pace::without_pause(IDLE) };
        let first = receiving.first(&mut recv, &turns);
        turns.patient(Late::Answer, patience(link.rtt(), head.len), first).await?;
        let turn = if receiving.left > 0 {
            let rest = receiving.rest((&link, &mut recv), &turns, times);
            Some(turns.patient(Late::Answer, patience(link.rtt(), SMALL as u64), rest).await?)
        } else {
            None
        };
        let intake = receiving.intake;
        let read = tokio::task::spawn_blocking(move || intake.end().read(id)).await;
        drop(turn);
        let left_out = head.left_out;
        match read {
            Ok(Some(read)) => Ok(Answer::Right(read.map(|(collection, bytes)| {
                let giver = Some(provider);
                Fetched { bytes, collection, left_out, giver }
            }))),
            Ok(None) => Ok(Answer::Wrong),
            Err(error) => {
                tracing::error!(%error, "checking a collection's list failed");
                Err(Why::Failing.into())
            }
        }
    }
}

/// A list that comes.
struct Receiving {
    intake: Intake,
    left: usize,
    pace: Pace,
}

impl Receiving {
    /// What is received of each.
    async fn first(&mut self, recv: &mut RecvStream, turns: &Turns) -> Result<(), frames::CallError> {
        let (mut moving, most) = (turns.moving(), SMALL.min(self.left));
        let until = self.left - most;
        while self.left > until {
            moving.add(self.piece(recv, self.left - until).await?);
        }
        Ok(())
    }

    /// What is received of one whose turn it is, which is asked for the n-th time, and that turn.
    async fn rest<'t>(
        &mut self,
        (link, recv): (&Link, &mut RecvStream),
        turns: &'t Turns,
        times: u32,
    ) -> Result<Turn<'t>, frames::CallError> {
        let all = self.left;
        let turn = turns.large.take(all).await;
        link.widen();
        self.intake.reserve(all);
        let (mut moving, begun) = (turns.moving(), Instant::now());
        self.pace = Pace::without_pause(IDLE);
        while self.left > 0 {
            moving.add(self.piece(recv, self.left).await?);
            if turns.large.is_over((all - self.left, all), begun.elapsed(), times) {
                return Err(frames::CallError::TimedOut);
            }
        }
        Ok(turn)
    }

    async fn piece(&mut self, recv: &mut RecvStream, most: usize) -> Result<usize, frames::CallError> {
        let piece = self.pace.piece(recv, most).await?;
        self.intake.push(&piece);
        self.left -= piece.len();
        Ok(piece.len())
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
