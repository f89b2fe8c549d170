//! `qshare get`: fetches one thing by words or by id, and shows how.
//! Not responsible for the choice among what words match: the node decides, and only where it will not a person
//! at a terminal is asked.

use crate::cli::args::GetArgs;
use crate::cli::choose;
use crate::cli::commands::share;
use crate::cli::context::{Context, stop};
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::failure::Failure;
use crate::cli::follow;
use crate::cli::render::human::{counted, duration, mean_rate, rate};
use crate::cli::render::json::{Ended, Explained, Line};
use crate::cli::say;
use crate::cli::signals::Signals;
use crate::model::{ContentId, Kind, Query, Shown, Size};
use crate::node::{Error, GetRequest, Lifetime, Node, Options, Outcome, ShareBack, What};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: GetArgs) -> Result<Exit, Failure> {
    if is_stream(&arguments) && context.output.is_json() {
        let message = "-o - and --json both want standard output; give a file with -o FILE";
        return Err(Failure::Usage(message.to_owned()));
    }
    if is_stream(&arguments) && arguments.seed {
        let message =
            "-o - leaves nothing here that --seed could serve; give a file with -o FILE, or do without --seed";
        return Err(Failure::Usage(message.to_owned()));
    }
    if is_stream(&arguments) {
        stdout::is_open().await?;
    }
    // Words that are no query are refused before anything is started.
    what(&arguments)?;
    let service = context.of_service();
    let context = if arguments.seed { &service } else { context };
    let mut signals = context.signals()?;
    let options = options(context, &arguments);
    let (node, events) = tokio::select! {
        started = Node::start(options) => started?,
        stop = signals.next() => return Err(Failure::Stopped(stop)),
    };
    context.warn_homeless(&node);
    if arguments.seed {
        context.output.emit(&Line::Listening { addr: node.addr(), node: node.id() })?;
        context.pass_events(events, share::tell(context));
    } else {
        context.pass_warnings(events);
    }
    let result = fetch(context, &arguments, &node, &mut signals).await;
    result.as_ref().err().into_iter().for_each(|failure| context.warn_guest(node.is_guest_beside(), failure));
    let last = node.count_uploads().await;
    stop(node.stop(), &mut signals).await;
    if arguments.seed { result.and(share::summarise(context, last).await.map(|()| Exit::DONE)) } else { result }
}

async fn fetch(context: &Context, arguments: &GetArgs, node: &Node, signals: &mut Signals) -> Result<Exit, Failure> {
    let mut chosen = None;
    let outcome = loop {
        match attempt(context, arguments, node, signals, chosen).await {
            Ok(outcome) => break outcome,
            Err(Failure::Closed) => return Ok(Exit::FAILED),
            Err(Failure::Node(Error::Ambiguous { what, hits, beyond })) if chosen.is_none() => {
                if context.output.is_interactive() {
                    chosen = choose::ask(context, &hits, beyond, signals).await?;
                } else {
                    choose::list(context, &hits, beyond, is_stream(arguments))?;
                }
                chosen.ok_or(Error::Ambiguous { what, hits, beyond })?;
            }
            Err(failure) => return Err(failure),
        }
    };
    if is_stream(arguments) && outcome.bytes == 0 {
        // Nothing was written that could have failed.
        stdout::is_open().await?;
    }
    if arguments.from.is_none() && chosen.is_none() && matches!(what(arguments)?, What::Words(_)) {
        context.warn_guest_choice(node.is_guest_beside(), &outcome);
    }
    tell(context, arguments, &outcome)?;
    if outcome.seeding { follow::seed(context, node, &outcome, signals).await } else { Ok(Exit::DONE) }
}

async fn attempt(
    context: &Context,
    arguments: &GetArgs,
    node: &Node,
    signals: &mut Signals,
    chosen: Option<ContentId>,
) -> Result<Outcome, Failure> {
    let request = request(context, arguments, chosen)?;
    let transfer = match is_stream(arguments) {
        true => node.get_to(request, tokio::io::stdout()),
        false => node.get(request),
    };
    follow::transfer(context, transfer, signals).await
}

fn options(context: &Context, arguments: &GetArgs) -> Options {
    let lifetime = if arguments.seed { Lifetime::Seeding } else { Lifetime::Finite };
    let max_files = arguments.max_files.map_or(context.settings.max_files, |most| most as usize);
    let upload_limit = arguments.upload_limit.or(context.settings.upload_limit);
    context.options().lifetime(lifetime).upload_limit(upload_limit).max_files(max_files)
}

fn request(context: &Context, arguments: &GetArgs, chosen: Option<ContentId>) -> Result<GetRequest, Failure> {
    let share = match (arguments.seed, arguments.no_share) {
        (true, _) => ShareBack::Seed,
        (_, true) => ShareBack::Never,
        _ => ShareBack::While,
    };
    Ok(GetRequest::new(what(arguments)?)
        .from(arguments.from.clone())
        .only(arguments.only.clone())
        .output(arguments.output.clone())
        .force(arguments.force)
        .times(arguments.times)
        .share(share)
        .limit(arguments.limit.or(context.settings.download_limit))
        .connections(arguments.connections)
        .wait(arguments.wait.unwrap_or(context.settings.wait))
        .dry_run(arguments.dry_run)
        .choose(chosen))
}

/// A single word that is an id is one; everything else is words.
fn what(arguments: &GetArgs) -> Result<What, Failure> {
    if let [word] = &arguments.words[..]
        && let Ok(id) = word.parse()
    {
        return Ok(What::Id(id));
    }
    Ok(What::Words(Query::parse(&arguments.words).map_err(Error::from)?))
}

fn is_stream(arguments: &GetArgs) -> bool {
    arguments.output.as_ref().is_some_and(|path| path.as_os_str() == "-")
}

fn tell(context: &Context, arguments: &GetArgs, outcome: &Outcome) -> Result<(), Failure> {
    context.output.emit(&Line::Done(Ended::of(outcome)))?;
    if arguments.explain {
        context.output.emit(&Line::Explain(Explained::of(outcome)))?;
    }
    if context.output.is_json() {
        return Ok(());
    }
    if let Some(preview) = &outcome.preview {
        let text = preview::text(outcome, preview, context.output.names(), context.output.width());
        return context.output.print(&text);
    }
    match &outcome.path {
        Some(_) => context.output.print(&format!("{}\n", summary(outcome)))?,
        None => context.output.note(&format!("qshare: {}", summary(outcome))),
    }
    if !arguments.explain {
        return Ok(());
    }
    let report = explain::report(outcome, context.output.names(), context.output.width());
    match &outcome.path {
        Some(_) => context.output.print(&report),
        None => {
            context.output.note(report.trim_end());
            Ok(())
        }
    }
}

/// How it went: where it lies, how much came, how fast, from whom.
fn summary(outcome: &Outcome) -> String {
    let place = outcome.path.as_deref().map_or_else(|| outcome.name.to_string(), |path| path.to_string_lossy().into());
    let place = Shown(&place).to_string();
    if outcome.bytes == 0 && outcome.kind == Kind::Collection {
        return format!("{place}: there, with no bytes to fetch");
    }
    if outcome.bytes == 0 {
        return format!("{place}: there, and empty as it is to be");
    }
    if outcome.fetched == 0 && outcome.copied > 0 {
        let (all, copied) = (Size(outcome.bytes), Size(outcome.copied));
        return format!(
            "{place}: {copied} of {all} were copied from another transfer that fetched the same, and all are proven"
        );
    }
    if outcome.fetched == 0 {
        return format!("{place}: {} were here already and are proven", Size(outcome.bytes));
    }
    let speed = rate(mean_rate(outcome.fetched, outcome.elapsed));
    let part = if outcome.fetched < outcome.bytes { format!("{} of ", Size(outcome.fetched)) } else { String::new() };
    let givers = outcome.providers.iter().filter(|provider| provider.bytes > 0).count() as u64;
    let (took, givers) = (duration(outcome.elapsed), counted(givers, "provider"));
    let found = outcome.plane.map(|plane| format!(", {}", say::found(plane))).unwrap_or_default();
    format!("{place}: {part}{} fetched and proven in {took} ({speed}) from {givers}{found}", Size(outcome.bytes))
}

mod preview;
mod stdout;

#[cfg(test)]
mod tests;
