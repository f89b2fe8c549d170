//! `qshare share`: shows what is about to be published, then offers it until a signal comes.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::cli::args::{NodeArgs, ShareArgs};
use crate::cli::commands::put::ends;
use crate::cli::commands::{inbox, jobs};
use crate::cli::context::{Context, heed, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::activity::Activity;
use crate::cli::render::human::{count, counted, word};
use crate::cli::render::json::{Line, UploadState, Uploaded, paste};
use crate::cli::render::table::{Align, Table};
use crate::cli::render::{Console, uploads};
use crate::cli::say;
use crate::cli::service;
use crate::cli::signals::Signals;
use crate::io::home::HomeError;
use crate::io::receive::landing::Landing;
use crate::io::share::scan::{Omission, Unportable};
use crate::model::text::shell::quoted;
use crate::model::{ContentId, SafePath, Shown, Size};
use crate::node::{
    Acknowledged, ControlError, Error, Event, Lifetime, Listen, Node, Offered, Options, Remote, RootSummary, SharePlan,
    ShareWish, SurveyOptions, UploadEvent, Uploads, listed_in, survey,
};

mod list;
mod through;

pub(crate) use through::follow_there;

/// The most skipped things that are named before the rest is counted.
const NAMED: usize = 20;

/// How often it is begun again because the node through which it goes has ended, or another one was quicker.
const TRIES: u32 = 8;

/// Runs the command: through the running node of the home, or as that.
pub(crate) async fn run(context: &Context, arguments: ShareArgs) -> Result<Exit> {
    let context = context.of_service();
    // For all tries: a signal that comes between two of them is heeded by the next.
    let mut signals = context.signals()?;
    for tried in 1..=TRIES {
        let result = match Remote::find(&context.home()).await? {
            Some(remote) if is_empty(&arguments) => list::run(&context, &remote).await,
            Some(remote) if !is_free(&remote).await? => through::run(&context, &remote, &arguments, &mut signals).await,
            Some(_) => own(&context, arguments.clone(), &mut signals).await,
            None if is_empty(&arguments) && context.settings.shares.is_empty() => {
                return if context.home().keeps_offers() { list::kept(&context).await } else { Err(nothing()) };
            }
            None => own(&context, arguments.clone(), &mut signals).await,
        };
        match result {
            Err(Failure::Node(Error::Control(ControlError::Lost) | Error::Home(HomeError::Locked { .. })))
                if tried < TRIES =>
            {
                context
                    .output
                    .note("qshare: the node of this home has ended: this looks who has the home now, or takes it");
            }
            Err(Failure::Node(Error::Control(ControlError::Stopped { .. }))) => {
                context.output.note("qshare: `qshare stop` has ended the node of this home: this is offered no longer");
                return Ok(Exit::DONE);
            }
            result => return result,
        }
    }
    Err(Error::Control(ControlError::Lost).into())
}

/// Runs the node of the home with what its configuration offers and what is kept, which may be nothing.
pub(crate) async fn node(context: &Context, arguments: NodeArgs) -> Result<Exit> {
    let NodeArgs { friends_only, listen, limit } = arguments;
    if let Some(remote) = Remote::find(&context.home()).await? {
        is_free(&remote).await?;
    }
    let mut context = context.of_service();
    context.settings.upload_limit = limit.or(context.settings.upload_limit);
    let mut signals = context.signals()?;
    own(&context, ShareArgs { friends_only, listen, ..ShareArgs::default() }, &mut signals).await
}

async fn own(context: &Context, arguments: ShareArgs, signals: &mut Signals) -> Result<Exit> {
    match offer(context, arguments, signals).await {
        // Also when nothing was offered yet: whoever stops a service has what was wanted.
        Err(Failure::Stopped(_)) => Ok(Exit::DONE),
        result => result,
    }
}

/// Whether the home can be had from the node that has it: from one that lives for one command only, which goes on through this one.
pub(crate) async fn is_free(remote: &Remote) -> Result<bool, Error> {
    Ok(remote.is_same_version() && remote.take_over().await?)
}

fn is_empty(arguments: &ShareArgs) -> bool {
    arguments.paths.is_empty() && arguments.list.is_none()
}

fn nothing() -> Failure {
    Failure::Usage("there is nothing to share; give a path, --list FILE or [[share]] in the configuration".to_owned())
}

async fn offer(context: &Context, arguments: ShareArgs, signals: &mut Signals) -> Result<Exit> {
    let options = options(context, &arguments);
    let wish = wish(context, &arguments)?;
    let plan = survey_all(context, &wish, signals).await?;
    let audience = Reach::of(context).audience(context, arguments.friends_only);
    let preface = Preface::of(context, (&plan.roots, &plan.skipped, plan.unportable.as_ref()), &audience);
    let (node, events) = heed(signals, Node::start(options)).await??;
    signals.heed(&node);
    // Nothing is offered yet.
    preface.show(&context.output);
    let result = async {
        context.output.emit(&Line::Listening { addr: node.addr(), node: node.id() })?;
        preface.warn(&context.output);
        context.output.note(&format!("qshare: listening on {} as {}", node.outward_addr(), node.id()));
        context.note_of_signals(signals);
        if !plan.roots.is_empty() {
            node.share(plan);
        }
        node.keep(&wish).await?;
        tell_kept(context, node.share_kept().await);
        context.begun();
        let view = uploads::live(&context.output, "sharing", node.uploads());
        let served = service::serve(&node, events, signals, tell(context)).await;
        view.end().await;
        served
    }
    .await;
    let last = node.count_uploads().await;
    stop(node.stop(), signals).await;
    result.and(summarise(context, last).await.map(|()| Exit::DONE))
}

/// What was kept is offered again, or cannot be.
fn tell_kept(context: &Context, all: Vec<(PathBuf, Result<Offered, Error>)>) {
    let mut roots = Vec::new();
    for (path, offered) in all {
        match offered {
            Ok(offered) => roots.extend(offered.roots),
            Err(error) => {
                let (path, why) = (path.display(), say::error(&error, context.output.names()));
                context.output.warn(&format!(
                    "{path} is kept and cannot be offered now: {why}; `qshare unshare` with this path forgets it"
                ));
            }
        }
    }
    if !roots.is_empty() {
        let what = format!("{}as was kept", table(&roots).render(context.output.error_width()));
        context.output.note(&what);
    }
}

/// What a command wants to offer; every path of it is whole.
fn wish(context: &Context, arguments: &ShareArgs) -> Result<ShareWish> {
    let whole = |path: &PathBuf| {
        let failed = |error| anyhow::Error::new(error).context(format!("{} cannot be found", path.display()));
        Ok::<_, Failure>(std::path::absolute(path).map_err(failed)?)
    };
    let listed = arguments.list.as_deref().map_or_else(|| Ok(Vec::new()), listed_in)?;
    let named = listed.into_iter().map(|(name, path)| Ok((name, whole(&path)?))).collect::<Result<_>>()?;
    let paths = arguments.paths.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
    let mut exclude = context.settings.exclude.clone();
    exclude.extend(arguments.exclude.iter().cloned());
    let options = SurveyOptions {
        named,
        exclude,
        gitignore: arguments.gitignore,
        list: None,
        include_secrets: arguments.include_secrets,
        all: arguments.all,
        avoid: vec![context.settings.home.clone()],
        may_be_empty: is_empty(arguments),
        friends_only: arguments.friends_only,
        ..SurveyOptions::default()
    };
    // Those of the configuration are the node's, which has its own at its next start.
    let given = |all: &Vec<_>, is_given: bool| if is_given { all.clone() } else { Vec::new() };
    let (settings, seen) = (&context.settings, paths.iter().map(|path| Landing::of(path)).collect());
    let (trackers, peers) = (given(&settings.trackers, settings.given.0), given(&settings.peers, settings.given.1));
    Ok(ShareWish { seen, paths, options, keep: arguments.keep, limit: arguments.limit, trackers, peers })
}

/// What is about to be published, for people.
struct Preface {
    shown: Vec<String>,
    told: Vec<String>,
}

impl Preface {
    fn of(
        context: &Context,
        (roots, skipped, unportable): (&[RootSummary], &[Omission], Option<&Unportable>),
        audience: &str,
    ) -> Self {
        let (wanted, others): (Vec<_>, Vec<_>) =
            skipped.iter().partition(|omission| matches!(omission, Omission::Ignored(_)));
        let is_any = !roots.is_empty();
        let overview = is_any.then(|| overview(roots, audience, context.output.error_width()));
        let ignored = wanted.into_iter().map(|omission| format!("qshare: {}", say::omission(omission)));
        let mut told = left_out(&others, 0);
        told.extend(unportable.map(say::unportable));
        told.extend(say::nothing_left(roots, skipped));
        Self { shown: overview.into_iter().chain(ignored).collect(), told }
    }

    fn show(&self, output: &Console) {
        self.shown.iter().for_each(|text| output.note(text));
    }

    fn warn(&self, output: &Console) {
        self.told.iter().for_each(|sentence| output.warn(sentence));
    }
}

/// What was fetched from a node that has stopped serving.
pub(crate) async fn summarise(context: &Context, uploads: Uploads) -> Result<()> {
    let output = context.output.clone();
    service::tell_last(move || {
        let names = output.names();
        output
            .emit_all(uploads.under_way.iter().map(|of| Line::Upload(Uploaded::of(UploadState::Ended, of, names))))?;
        output.remark(&format!("qshare: {}", uploads::summary(&uploads)));
        Ok(())
    })
    .await
}

fn options(context: &Context, arguments: &ShareArgs) -> Options {
    let settings = &context.settings;
    context
        .options()
        .lifetime(Lifetime::LongRunning)
        .listen(arguments.listen.or(settings.node_listen).map_or(Listen::DefaultPorts, Listen::At))
        .upload_limit(settings.upload_limit)
        .friends_only(arguments.friends_only)
        .inbox(settings.inbox.clone())
}

/// What the command offers, and what the configuration does.
async fn survey_all(context: &Context, wish: &ShareWish, signals: &mut Signals) -> Result<SharePlan> {
    let (paths, mut options) = (wish.paths.clone(), wish.options.clone());
    options.named.extend(context.settings.shares.iter().cloned());
    let activity = Activity::start(&context.output, "looking through what is to be shared");
    let job = tokio::task::spawn_blocking(move || survey(&paths, &options));
    let plan = heed(signals, job).await?.map_err(anyhow::Error::from)??;
    drop(activity);
    Ok(SharePlan { limit: wish.limit, ..plan })
}

/// Tells what a node that serves reports.
pub(crate) fn tell(context: &Context) -> impl FnMut(Event) -> Result<()> + Send + 'static {
    let (context, mut told) = (context.clone(), Told::default());
    move |event| told.tell(&context, event)
}

/// What was told last, so that people read only what is new.
#[derive(Default)]
struct Told {
    /// Offers that a tracker holds, and how many of them have ids.
    announced: HashMap<String, (u64, u64)>,
    /// Names whose lines to paste were printed, with the id in them; none once it was told that this has changed.
    offered: HashMap<SafePath, Option<ContentId>>,
    hashing: Option<Activity>,
}

impl Told {
    fn tell(&mut self, context: &Context, event: Event) -> Result<()> {
        match event {
            // What a tracker refuses or cannot reach comes as a warning too.
            Event::Announced(Acknowledged { tracker, offers, hashed, .. }) => {
                context.output.emit(&Line::Announced { tracker: &tracker, offers, hashed })?;
                self.announced(context, tracker, (offers, hashed));
            }
            Event::Hashing { done, total } if done >= total => self.hashing = None,
            Event::Hashing { done, total } => {
                let begin = || Activity::start(&context.output, "hashing");
                self.hashing.get_or_insert_with(begin).set(done, total);
            }
            Event::Offer { id, name, node, addr } => {
                let get = paste(id, node, addr);
                context.output.emit(&Line::Offer { id, name: &name, get: get.clone() })?;
                let (title, words) = (Shown(name.as_str()), quoted(name.as_str()));
                match self.offered.get_mut(&name) {
                    None => {
                        context.output.print(&format!("{title}\n    qshare get {words}\n    {get}\n"))?;
                        self.offered.insert(name, Some(id));
                    }
                    // It may change again: only its name stays right.
                    Some(told) if told.is_some_and(|told| told != id) => {
                        *told = None;
                        let now = paste(&words, node, addr);
                        context.output.remark(&format!(
                            "qshare: {title} has changed, and the id above is that of what it was; to get what it is now:\n    {now}"
                        ));
                    }
                    Some(_) => {}
                }
            }
            Event::Inbox(row) => inbox::tell(context, &row)?,
            Event::Job(row) => jobs::tell(context, &row)?,
            Event::Notice(notice) => context.output.notice(&notice),
            Event::Put(one) => ends::told(context, &one)?,
            Event::Upload(event) => upload(context, &event)?,
            // A tracker's.
            Event::Allowed { .. } => {}
        }
        Ok(())
    }

    fn announced(&mut self, context: &Context, tracker: String, now: (u64, u64)) {
        let before = self.announced.insert(tracker.clone(), now);
        // Ids fill in by the thousand; people are told at the first time, and when all are there.
        let (offers, hashed) = now;
        let all = hashed == offers && before != Some(now);
        if before.is_none() || all {
            let (offers, hashed) = (counted(offers, "offer"), count(hashed));
            context.output.remark(&format!("qshare: announced to {tracker}: {offers}, {hashed} with ids"));
        }
    }
}

fn upload(context: &Context, event: &UploadEvent) -> Result<()> {
    let (state, upload) = match event {
        UploadEvent::Begun(upload) => (UploadState::Begun, upload),
        UploadEvent::Ended(upload) => (UploadState::Ended, upload),
    };
    context.output.emit(&Line::Upload(Uploaded::of(state, upload, context.output.names())))?;
    if state == UploadState::Ended {
        uploads::ended(&context.output, upload);
    }
    Ok(())
}

/// What is about to be published, and to whom.
fn overview(roots: &[RootSummary], audience: &str, width: Option<usize>) -> String {
    let files = counted(roots.iter().map(|root| root.files).sum(), "file");
    let bytes = Size(roots.iter().map(|root| root.bytes).sum());
    format!("{}sharing {files}, {bytes}, with {audience}", table(roots).render(width))
}

fn table(roots: &[RootSummary]) -> Table {
    let columns = [("NAME", Align::Path), ("KIND", Align::Spare), ("FILES", Align::Right), ("SIZE", Align::Right)];
    let row =
        |root: &RootSummary| [root.name.to_string(), word(&root.kind), count(root.files), Size(root.bytes).to_string()];
    Table::of(&columns, roots.iter().map(row))
}

/// What is left out, and so much more: what looks like secrets in one sentence, the rest one by one.
pub(crate) fn left_out(skipped: &[&Omission], more: u64) -> Vec<String> {
    let (secrets, others): (Vec<_>, Vec<&Omission>) = skipped.iter().partition(|omission| omission.is_secret());
    let named = others.iter().take(NAMED).map(|omission| say::omission(omission));
    let mut told: Vec<String> = say::secrets(&secrets).into_iter().chain(named).collect();
    let rest = others.len().saturating_sub(NAMED) as u64 + more;
    if rest > 0 {
        told.push(format!("{} more left out; list one of their directories to see why", counted(rest, "thing")));
    }
    told
}

/// Through what others may find what is offered.
struct Reach {
    trackers: Vec<String>,
    lan: bool,
    neighbours: bool,
}

impl Reach {
    /// Of a node that this command runs.
    fn of(context: &Context) -> Self {
        let settings = &context.settings;
        Self {
            trackers: settings.trackers.iter().map(crate::model::PeerTarget::host_port).collect(),
            lan: settings.near.lan.is_some(),
            neighbours: !settings.peers.is_empty() || !settings.near.only_peers,
        }
    }

    /// To whom something is published.
    fn audience(&self, context: &Context, friends_only: bool) -> String {
        if friends_only {
            return context.output.names().all();
        }
        let trackers = (!self.trackers.is_empty()).then(|| format!("whoever asks {}", self.trackers.join(", ")));
        let lan = self.lan.then(|| "whoever searches the local network".to_owned());
        let near = self.neighbours.then(|| "the neighbours of this node and theirs".to_owned());
        let audience: Vec<String> = trackers.into_iter().chain(lan).chain(near).collect();
        match audience.as_slice() {
            [] => "whoever dials this node".to_owned(),
            all => all.join(", "),
        }
    }
}
