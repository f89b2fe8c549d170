//! `qshare share`: shows what is about to be published, then offers it until a signal comes.

use std::collections::HashMap;

use crate::cli::args::{NodeArgs, ShareArgs};
use crate::cli::context::{Context, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::activity::Activity;
use crate::cli::render::human::{count, counted, word};
use crate::cli::render::json::{Line, UploadState, Uploaded, paste};
use crate::cli::render::table::{Align, Table};
use crate::cli::render::uploads;
use crate::cli::say;
use crate::cli::service;
use crate::cli::signals::Signals;
use crate::io::share::scan::Omission;
use crate::model::text::shell::quoted;
use crate::model::{ContentId, SafePath, Shown, Size};
use crate::node::{
    Acknowledged, Event, Lifetime, Listen, Node, Options, RootSummary, SharePlan, SurveyOptions, UploadEvent, Uploads,
    survey,
};

/// The most skipped things that are named before the rest is counted.
const NAMED: usize = 20;

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: ShareArgs) -> Result<Exit, Failure> {
    if arguments.paths.is_empty() && arguments.list.is_none() && context.settings.shares.is_empty() {
        return Err(Failure::Usage(
            "there is nothing to share; give a path, --list FILE or [[share]] in the configuration".to_owned(),
        ));
    }
    match offer(&context.of_service(), arguments).await {
        // Also when nothing was offered yet: whoever stops a service has what was wanted.
        Err(Failure::Stopped(_)) => Ok(Exit::DONE),
        result => result,
    }
}

/// Runs the node of the home with what its configuration offers, which may be nothing.
pub(crate) async fn node(context: &Context, arguments: NodeArgs) -> Result<Exit, Failure> {
    let NodeArgs { friends_only, listen, limit } = arguments;
    let arguments = ShareArgs {
        paths: Vec::new(),
        list: None,
        exclude: Vec::new(),
        gitignore: false,
        include_secrets: false,
        all: false,
        friends_only,
        listen,
        limit,
        may_be_empty: true,
    };
    match offer(&context.of_service(), arguments).await {
        Err(Failure::Stopped(_)) => Ok(Exit::DONE),
        result => result,
    }
}

async fn offer(context: &Context, arguments: ShareArgs) -> Result<Exit, Failure> {
    let mut signals = context.signals()?;
    let options = options(context, &arguments);
    let friends_only = arguments.friends_only;
    let plan = survey_all(context, arguments, &mut signals).await?;
    let (wanted, skipped): (Vec<_>, Vec<_>) =
        plan.skipped.iter().partition(|omission| matches!(omission, Omission::Ignored(_)));
    let mut shown = if plan.roots.is_empty() {
        Vec::new()
    } else {
        vec![overview(&plan.roots, &context.audience(friends_only), context.output.error_width())]
    };
    shown.extend(wanted.into_iter().map(|omission| format!("qshare: {}", say::omission(omission))));
    let (secrets, skipped): (Vec<_>, Vec<_>) = skipped.into_iter().partition(|omission| omission.is_secret());
    let mut told: Vec<String> = say::secrets(&secrets).into_iter().chain(bounded(&skipped)).collect();
    told.extend(plan.unportable.iter().map(say::unportable));
    told.extend(say::nothing_left(&plan));
    let (node, events) = tokio::select! {
        started = Node::start(options) => started?,
        stop = signals.next() => return Err(Failure::Stopped(stop)),
    };
    signals.heed(&node);
    // Nothing is offered yet.
    shown.iter().for_each(|text| context.output.note(text));
    let result = async {
        context.output.emit(&Line::Listening { addr: node.addr(), node: node.id() })?;
        told.iter().for_each(|sentence| context.output.warn(sentence));
        context.output.note(&format!("qshare: listening on {} as {}", node.outward_addr(), node.id()));
        context.note_of_signals(&signals);
        if !plan.roots.is_empty() {
            node.share(plan);
        }
        let view = uploads::live(&context.output, "sharing", node.uploads());
        let served = service::serve(&node, events, &mut signals, tell(context)).await;
        view.end().await;
        served
    }
    .await;
    let last = node.count_uploads().await;
    stop(node.stop(), &mut signals).await;
    result.and(summarise(context, last).await.map(|()| Exit::DONE))
}

/// What was fetched from a node that has stopped serving.
pub(crate) async fn summarise(context: &Context, uploads: Uploads) -> Result<(), Failure> {
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
        .upload_limit(arguments.limit.or(settings.upload_limit))
        .friends_only(arguments.friends_only)
}

async fn survey_all(context: &Context, arguments: ShareArgs, signals: &mut Signals) -> Result<SharePlan, Failure> {
    let mut exclude = context.settings.exclude.clone();
    exclude.extend(arguments.exclude);
    let options = SurveyOptions {
        named: context.settings.shares.clone(),
        exclude,
        gitignore: arguments.gitignore,
        list: arguments.list,
        include_secrets: arguments.include_secrets,
        all: arguments.all,
        avoid: vec![context.settings.home.clone()],
        may_be_empty: arguments.may_be_empty,
    };
    let activity = Activity::start(&context.output, "looking through what is to be shared");
    let job = tokio::task::spawn_blocking(move || survey(&arguments.paths, &options));
    let plan = tokio::select! {
        plan = job => plan.map_err(anyhow::Error::from)??,
        stop = signals.next() => return Err(Failure::Stopped(stop)),
    };
    drop(activity);
    Ok(plan)
}

/// Tells what a node that serves reports.
pub(crate) fn tell(context: &Context) -> impl FnMut(Event) -> Result<(), Failure> + Send + 'static {
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
    fn tell(&mut self, context: &Context, event: Event) -> Result<(), Failure> {
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
            Event::Notice(notice) => context.output.notice(&notice),
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

fn upload(context: &Context, event: &UploadEvent) -> Result<(), Failure> {
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
    let columns = [("NAME", Align::Path), ("KIND", Align::Spare), ("FILES", Align::Right), ("SIZE", Align::Right)];
    let mut table = Table::new(&columns);
    for root in roots {
        let (files, size) = (count(root.files), Size(root.bytes).to_string());
        table.row([root.name.to_string(), word(&root.kind), files, size]);
    }
    let files = counted(roots.iter().map(|root| root.files).sum(), "file");
    let bytes = Size(roots.iter().map(|root| root.bytes).sum());
    format!("{}sharing {files}, {bytes}, with {audience}", table.render(width))
}

fn bounded(skipped: &[&Omission]) -> Vec<String> {
    let mut kept: Vec<String> = skipped.iter().take(NAMED).map(|omission| say::omission(omission)).collect();
    let rest = skipped.len() - kept.len();
    if rest > 0 {
        kept.push(format!("{} more left out; list one of their directories to see why", counted(rest as u64, "thing")));
    }
    kept
}

impl Context {
    /// To whom something is published.
    fn audience(&self, friends_only: bool) -> String {
        let settings = &self.settings;
        if friends_only {
            return self.output.names().all();
        }
        let trackers: Vec<String> = settings.trackers.iter().map(crate::model::PeerTarget::host_port).collect();
        let trackers = (!trackers.is_empty()).then(|| format!("whoever asks {}", trackers.join(", ")));
        let lan = settings.near.lan.as_ref().map(|_| "whoever searches the local network".to_owned());
        let peers = !settings.peers.is_empty() || !settings.near.only_peers;
        let near = peers.then(|| "the neighbours of this node and theirs".to_owned());
        let audience: Vec<String> = trackers.into_iter().chain(lan).chain(near).collect();
        match audience.as_slice() {
            [] => "whoever dials this node".to_owned(),
            all => all.join(", "),
        }
    }
}
