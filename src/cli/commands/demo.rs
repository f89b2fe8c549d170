//! `qshare demo`: the whole of it on one machine: a tracker and three providers in processes of their own, and a
//! downloader in this one, and then another one of that, by the same code as the commands and over real QUIC, on loopback only.
//! Invariant: it ends well only when every byte was compared; whatever it made but the report is gone afterwards.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;

use crate::cli::args::DemoArgs;
use crate::cli::context::{Context, heed, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::follow;
use crate::cli::render::activity::Activity;
use crate::cli::render::hits;
use crate::cli::render::human::counted;
use crate::cli::render::json::{Ended, Line};
use crate::cli::say;
use crate::cli::signals::Signals;
use crate::model::{ContentId, Kind, LocalPath, PeerTarget, Query, SafePath, Shown, Size};
use crate::node::{
    Error, GetRequest, Home, Lifetime, Listen, Node, Options, Outcome, Phase, Progress, ShareBack, SharePlan,
    SurveyOptions, What, survey,
};

mod child;
mod generate;
mod job;
mod report;
mod stage;
mod verify;

use job::DiskJob;
use report::Killed;
use stage::Stage;

/// How many providers there are, and which of them is killed.
const PROVIDERS: usize = 3;
const VICTIM: usize = 1;
/// Each provider's limit: slow enough for something to be seen and for a kill half-way, fast enough for a demo.
const LIMIT: &str = "25MiB/s";
/// How long the transfer may go on without any provider.
const WAIT: Duration = Duration::from_secs(20);
/// How often the tracker is asked for the seed, and for how long.
const SEEDED: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
/// How many hits are shown.
const HITS: u32 = 5;

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: DemoArgs) -> Result<Exit> {
    let mut signals = context.signals()?;
    let mut stage = Stage::build()?;
    let result = Play { context, stage: &mut stage, signals: &mut signals, steps: 0 }.run(arguments.dir).await;
    stage.clear().await;
    // Whoever closed the output has not seen it end well, and it did not.
    if matches!(result, Err(Failure::Closed)) { Ok(Exit::FAILED) } else { result }
}

struct Play<'a> {
    context: &'a Context,
    stage: &'a mut Stage,
    signals: &'a mut Signals,
    steps: u32,
}

/// What is shared.
struct Original {
    dir: PathBuf,
    name: SafePath,
    plan: SharePlan,
}

impl Play<'_> {
    async fn run(mut self, dir: Option<PathBuf>) -> Result<Exit> {
        let original = self.original(dir).await?;
        let tracker = self.tracker().await?;
        self.providers(&original, &tracker).await?;
        let options = self.options("downloader", tracker.clone());
        let (node, events) = heed(self.signals, Node::start(options)).await??;
        self.context.pass_warnings(events);
        let result = self.fetch_twice(&node, &original, tracker).await;
        stop(node.stop(), self.signals).await;
        let (outcome, killed, again) = result?;
        self.verify(&original, outcome, killed, again).await
    }

    /// From the providers, and then, when they are gone, from the one that has fetched it; where that copy is.
    async fn fetch_twice(
        &mut self,
        node: &Node,
        original: &Original,
        tracker: PeerTarget,
    ) -> Result<(Outcome, Option<Killed>, LocalPath)> {
        let (outcome, killed) = self.fetch(node, original).await?;
        self.step("all providers are killed; a second downloader finds it by its name at the first, which seeds it")?;
        for provider in &mut self.stage.providers {
            provider.kill().await;
        }
        let query = Query::parse(&[original.name.as_str()]).map_err(Error::from)?;
        heed(self.signals, seeded(node, &query)).await??;
        let options = self.options("second", tracker);
        let (second, events) = heed(self.signals, Node::start(options)).await??;
        self.context.pass_warnings(events);
        let again = self.fetch_again(&second, query, outcome.id).await;
        stop(second.stop(), self.signals).await;
        Ok((outcome, killed, again?))
    }

    async fn fetch_again(&mut self, node: &Node, query: Query, id: ContentId) -> Result<LocalPath> {
        let target = self.stage.again();
        std::fs::create_dir(&target).map_err(|source| stage::unusable(&target, source))?;
        let request = request(query, id, target, ShareBack::While);
        let transfer = node.get(request);
        let outcome = follow::transfer(self.context, "the tree", transfer, self.signals, false).await?;
        outcome.path.ok_or_else(|| Failure::Other(anyhow::anyhow!("the copy has no place; this is a fault of qshare")))
    }

    fn step(&mut self, message: &str) -> Result<()> {
        self.steps += 1;
        self.context.output.emit(&Line::Step { number: self.steps, message })?;
        self.context.output.remark(&format!("{}. {message}", self.steps));
        Ok(())
    }

    /// The tree, and what of it is shared.
    async fn original(&mut self, dir: Option<PathBuf>) -> Result<Original> {
        let dir = match dir {
            Some(dir) => self.given(&dir)?,
            None => self.generated().await?,
        };
        let (paths, options) = (vec![dir.clone()], SurveyOptions::default());
        let plan = DiskJob::new(self.context, "looking through it", move |_| Ok(survey(&paths, &options)?));
        let plan = plan.run(self.signals).await?;
        let root = plan.roots.first().ok_or_else(|| Failure::Usage("there is nothing to share".to_owned()))?;
        let (name, files, bytes) = (root.name.clone(), counted(root.files, "file"), Size(root.bytes));
        self.step(&format!("the tree `{}`: {files}, {bytes}", Shown(name.as_str())))?;
        if let left @ 1.. = plan.skipped.len() as u64 {
            let left = counted(left, "thing");
            self.context.output.warn(&format!("not shared of it: {left}; `qshare share` names what it leaves out"));
        }
        Ok(Original { dir, name, plan })
    }

    fn given(&self, dir: &Path) -> Result<PathBuf> {
        let unreadable = |source: std::io::Error| Error::Unreadable { path: dir.into(), source: source.into() };
        let dir = dir.canonicalize().map_err(unreadable)?;
        let shown = Shown(&dir.to_string_lossy()).to_string();
        if !dir.is_dir() {
            return Err(Failure::Usage(format!("{shown} is not a directory; give one, or none for a generated tree")));
        }
        if self.stage.path().starts_with(&dir) {
            let message = format!("{shown} holds the demo's own files; set TMPDIR to a directory outside of it");
            return Err(Failure::Usage(message));
        }
        Ok(dir)
    }

    async fn generated(&mut self) -> Result<PathBuf> {
        let dir = self.stage.path().join(generate::NAME);
        let root = dir.clone();
        let job = DiskJob::new(self.context, "making a tree to share", move |watch| {
            generate::tree(&root, watch).map_err(|source| stage::unusable(&root, source))
        });
        job.of(generate::BYTES).run(self.signals).await?;
        Ok(dir)
    }

    async fn tracker(&mut self) -> Result<PeerTarget> {
        let tracker = heed(self.signals, self.stage.tracker()).await??;
        let text = format!("{}@{}", tracker.node, tracker.addr);
        self.step(&format!("a tracker on {}, node {}", tracker.addr, tracker.node.short()))?;
        text.parse().map_err(|error| Failure::Other(anyhow::Error::new(error)))
    }

    async fn providers(&mut self, original: &Original, tracker: &PeerTarget) -> Result<()> {
        let activity = Activity::start(&self.context.output, "starting and hashing");
        for number in 1..=PROVIDERS {
            heed(self.signals, self.stage.provider(number, &original.dir, tracker)).await??;
        }
        for provider in &mut self.stage.providers {
            heed(self.signals, provider.announced()).await??;
        }
        drop(activity);
        self.step(&format!(
            "{PROVIDERS} providers share it, each limited to {LIMIT} so that there is something to see"
        ))?;
        for provider in &self.stage.providers {
            self.detail(&format!("{}  {}", provider.place.node.short(), provider.place.addr));
        }
        Ok(())
    }

    fn detail(&self, text: &str) {
        self.context.output.remark(&format!("   {text}"));
    }

    fn options(&self, home: &str, tracker: PeerTarget) -> Options {
        Options::new(Home::at(self.stage.home(home)))
            .lifetime(Lifetime::Seeding)
            .listen(Listen::At(stage::LOOPBACK))
            .trackers([tracker])
            .max_files(self.context.settings.max_files)
    }

    async fn fetch(&mut self, node: &Node, original: &Original) -> Result<(Outcome, Option<Killed>)> {
        let (query, id) = self.search(node, original).await?;
        let addr = self.stage.providers[VICTIM].place.addr;
        self.step(&format!("a downloader fetches it from all of them at once; half-way provider {addr} is killed"))?;
        let request = request(query, id, self.stage.target(), ShareBack::Seed);
        let transfer = node.get(request);
        let mut kill = pin!(kill_half_way(self.context, transfer.progress(), &mut self.stage.providers[VICTIM]));
        let mut end = pin!(follow::transfer(self.context, "the tree", transfer, self.signals, false));
        let mut killed = None;
        let outcome = loop {
            tokio::select! {
                outcome = &mut end => break outcome?,
                result = &mut kill, if killed.is_none() => killed = Some(result?),
            }
        };
        self.context.output.emit(&Line::Done(Ended::of(&outcome)))?;
        Ok((outcome, killed.flatten()))
    }

    /// Finds the tree by its name.
    async fn search(&mut self, node: &Node, original: &Original) -> Result<(Query, ContentId)> {
        let name = original.name.as_str();
        self.step(&format!("a search for `{}`", Shown(name)))?;
        let query = Query::parse(&[name]).map_err(Error::from)?;
        let found = heed(self.signals, node.search(&query, HITS)).await??;
        self.context.notice_all(&found.warnings);
        self.context.output.emit_all(found.hits.iter().map(|found| Line::hit(&found.hit, Some(found.plane))))?;
        let tree = |hit: &&_| is_tree(hit, &original.name);
        let hit = found.hits.iter().map(|found| &found.hit).find(tree);
        let hit = hit.ok_or_else(|| Failure::Nothing(say::nothing(name, &found.asked)))?;
        let table = hits::hits([hit]).render(self.context.output.error_width());
        table.lines().for_each(|line| self.detail(line));
        let id = hit.id.ok_or_else(|| Error::NotHashed { name: name.to_owned(), lack: Box::default() })?;
        Ok((query, id))
    }

    async fn verify(
        &mut self,
        original: &Original,
        outcome: Outcome,
        killed: Option<Killed>,
        again: LocalPath,
    ) -> Result<Exit> {
        let (root, copy) = (original.plan.scanned.first().cloned(), outcome.path.clone());
        let (Some(root), Some(copy)) = (root, copy) else {
            return Err(Failure::Other(anyhow::anyhow!("the result has no place; this is a fault of qshare")));
        };
        let job = DiskJob::new(self.context, "comparing every byte", move |watch| {
            verify::compare(&root, &again, watch)?;
            verify::compare(&root, &copy, watch)
        });
        let same = job.of(outcome.bytes.saturating_mul(2)).run(self.signals).await?;
        self.step(&report::verified(&same))?;
        self.context.output.emit(&report::line(&same, &outcome, killed.is_some()))?;
        self.context.output.print(&report::text(&same, &outcome, killed.as_ref()))?;
        Ok(Exit::DONE)
    }
}

fn is_tree(hit: &crate::model::Hit, name: &SafePath) -> bool {
    hit.kind == Kind::Collection && hit.names.contains(name)
}

/// Waits until the tracker knows that the node itself offers it.
async fn seeded(node: &Node, query: &Query) -> Result<()> {
    let known = async {
        loop {
            let found = node.search(query, HITS).await?;
            let mut providers = found.hits.iter().flat_map(|found| &found.hit.providers);
            if providers.any(|provider| provider.node == node.id()) {
                return Ok(());
            }
            tokio::time::sleep(SEEDED.0).await;
        }
    };
    let late = || Failure::Other(anyhow::anyhow!("the tracker was not told of the seed within 10 s"));
    tokio::time::timeout(SEEDED.1, known).await.unwrap_or_else(|_| Err(late()))
}

fn request(query: Query, id: ContentId, target: PathBuf, share: ShareBack) -> GetRequest {
    GetRequest::new(What::Words(query)).output(target).share(share).wait(WAIT).choose(id)
}

/// Kills the provider when half of all is there. `None` when it was all there at once, or the transfer ended before.
async fn kill_half_way(
    context: &Context,
    mut progress: watch::Receiver<Progress>,
    victim: &mut stage::Provider,
) -> Result<Option<Killed>> {
    let half = |now: &Progress| now.phase == Phase::Fetching && now.bytes.saturating_mul(2) >= now.total;
    let over = |now: &Progress| matches!(now.phase, Phase::Finishing | Phase::Seeding) || half(now);
    let now = match progress.wait_for(over).await {
        Ok(now) if half(&now) && now.bytes < now.total => now.clone(),
        _ => return Ok(None),
    };
    victim.kill().await;
    let killed = Killed::new(victim.place, &now);
    context.output.emit(&killed.line())?;
    context.output.remark(&format!("   {killed}"));
    Ok(Some(killed))
}
