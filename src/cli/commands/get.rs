//! `qshare get`: fetches one thing by words or by id, or several, one after the other, and shows how.
//! Not responsible for the choice among what words match: the node decides, and only where it will not a person
//! at a terminal is asked.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::args::GetArgs;
use crate::cli::choose;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::explain;
use crate::cli::failure::{Failure, Result};
use crate::cli::follow;
use crate::cli::named;
use crate::cli::render::human::{counted, duration, mean_rate, rate};
use crate::cli::render::json::{Ended, Explained, Line};
use crate::cli::render::stdout;
use crate::cli::render::stdout::rest::Rest;
use crate::cli::say;
use crate::cli::signals::Signals;
use crate::io::home::seen::SeenContent;
use crate::model::{ContentId, Hit, Kind, Rate, SafePath, Shown, Size};
use crate::node::{
    Beyond, ControlError, Error, ErrorCode, GetRequest, Lifetime, Node, Options, Outcome, Pattern, Preview, Remote,
    Replace, ShareBack, What,
};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: GetArgs) -> Result<Exit> {
    check(context, &arguments)?;
    if is_stream(&arguments) {
        stdout::is_open().await?;
    }
    // Words that are no query are refused before anything is started.
    let mut wants = wants(context, &arguments)?;
    let mut own = if arguments.seed { context.of_service() } else { context.clone() };
    if is_stream(&arguments) {
        own.output = own.output.beside_bytes();
    }
    let context = &own;
    let mut signals = context.signals()?;
    let mut getting = Getting::new(context, &arguments, wants.len());
    loop {
        if let Some(result) = getting.through(&mut wants, &mut signals).await? {
            return result;
        }
        if let Some(result) = getting.alone(&mut wants, &mut signals).await? {
            return result;
        }
        context.home_is_taken().await;
    }
}

/// Refuses what does not go together.
fn check(context: &Context, arguments: &GetArgs) -> Result<()> {
    let message = match () {
        () if is_stream(arguments) && context.output.json => {
            "-o - and --json both want standard output; give a file with -o FILE"
        }
        () if is_stream(arguments) && arguments.seed => {
            "-o - leaves nothing here that --seed could serve; give a file with -o FILE, or do without --seed"
        }
        () if is_stream(arguments) && arguments.detach => {
            "-o - needs this command to its end; give a file with -o FILE, or do without --detach"
        }
        () => return Ok(()),
    };
    Err(Failure::Usage(message.to_owned()))
}

/// One of the things that are to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Want {
    what: What,
    /// Which of what the words match, once that was decided.
    choose: Option<ContentId>,
    /// As what an id was shown here.
    called: Option<SafePath>,
}

/// All words that are ids are so many things; everything else is words of one.
fn wants(context: &Context, arguments: &GetArgs) -> Result<VecDeque<Want>> {
    let mut all = match context.ids_of(&arguments.words)? {
        Some(all) => all,
        None => vec![What::Words(named::query(&arguments.words)?)],
    };
    let mut seen = Vec::new();
    all.retain(|what| {
        !seen.contains(what) && {
            seen.push(what.clone());
            true
        }
    });
    if all.len() > 1 {
        into_directory(arguments)?;
    }
    Ok(all.into_iter().map(|what| Want { called: context.name_of(&what), what, choose: None }).collect())
}

/// Several things need a directory.
fn into_directory(arguments: &GetArgs) -> Result<()> {
    let Some(path) = &arguments.output else { return Ok(()) };
    if !is_stream(arguments) && (path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")) {
        return Ok(());
    }
    let path = Shown(&path.to_string_lossy()).to_string();
    Err(Failure::Usage(format!("several things do not go to one file, {path}; give a directory with -o DIR/")))
}

/// The fetching of all that is wanted, one after the other.
struct Getting<'a> {
    context: &'a Context,
    arguments: &'a GetArgs,
    /// Who carries it out: the running node of the home, or one inside this command.
    remote: Option<Arc<Remote>>,
    node: Option<Node>,
    /// How many there are.
    total: usize,
    /// Where those are that came, or would.
    taken: Vec<PathBuf>,
    /// What a dry run has found of all of them.
    planned: Preview,
    /// Something came without files that were asked for.
    lacks: bool,
    /// How many did not come.
    failed: usize,
    /// What was begun last, once known.
    begun: Option<ContentId>,
    /// What it is called.
    name: Option<SafePath>,
    /// Bytes of it that standard output has already.
    written: u64,
}

impl<'a> Getting<'a> {
    fn new(context: &'a Context, arguments: &'a GetArgs, total: usize) -> Self {
        Self {
            context,
            arguments,
            remote: None,
            node: None,
            total,
            taken: Vec::new(),
            planned: Preview::default(),
            lacks: false,
            failed: 0,
            begun: None,
            name: None,
            written: 0,
        }
    }

    async fn all(&mut self, wants: &mut VecDeque<Want>, signals: &mut Signals) -> Result<Exit> {
        let (mut seeding, mut seeded) = (0, Vec::new());
        // What has not ended is still wanted, whoever goes on with it.
        while let Some(want) = wants.front().cloned() {
            match self.one(&want, signals).await {
                Ok(outcome) => {
                    self.lacks |= outcome.lacks;
                    if outcome.seeding {
                        seeding += outcome.bytes.max(1);
                        seeded.extend(outcome.path.as_deref().and_then(|path| std::path::absolute(path).ok()));
                    }
                }
                Err(Failure::Closed) => return Ok(Exit::FAILED),
                Err(Failure::Node(Error::Ambiguous { what, hits, beyond, beneath })) if want.choose.is_none() => {
                    let chosen = self.choose((what, beneath), &hits, beyond, signals).await?;
                    let chosen = names::of_chosen(self.context, self.arguments, (&want.what, &hits), chosen);
                    if chosen.len() > 1 {
                        into_directory(self.arguments)?;
                    }
                    self.total += chosen.len() - 1;
                    wants.pop_front();
                    for (id, called) in chosen.into_iter().rev() {
                        wants.push_front(Want { choose: Some(id), called, ..want.clone() });
                    }
                    continue;
                }
                Err(Failure::Node(Error::Control(
                    left @ (ControlError::Left { job } | ControlError::Same { job }),
                ))) if self.arguments.detach => {
                    let what = (&want, self.name.clone(), self.arguments.output.as_deref());
                    through::tell(self.context, what, (job, matches!(left, ControlError::Same { .. })))?;
                }
                // Another node carries it out, with those after it.
                Err(Failure::Node(Error::Control(error))) if !error.is_of_one() => {
                    return Err(Error::Control(error).into());
                }
                Err(failure) if self.total == 1 || failure.ends_all() => return Err(failure),
                Err(failure) => {
                    self.failed += 1;
                    self.context.output.fail(&failure);
                }
            }
            wants.pop_front();
        }
        let exit = match seeding {
            0 => self.exit(self.failed)?,
            bytes => match (&self.node, &self.remote) {
                (Some(node), _) => follow::seed(self.context, node, bytes, signals).await?,
                (None, Some(remote)) => through::seed(self.context, remote, (bytes, seeded), signals).await?,
                (None, None) => Exit::DONE,
            },
        };
        if self.failed > 0 { Err(some(self.failed, self.total)) } else { Ok(exit) }
    }

    /// How it ends, a dry run as the run would; one of several things tells their sum.
    fn exit(&self, failed: usize) -> Result<Exit> {
        if self.total > 1 && self.arguments.dry_run {
            self.context.output.print(&preview::sum((self.total - failed) as u64, &self.planned))?;
        }
        Ok(match () {
            () if self.planned.in_the_way() > 0 => ErrorCode::Exists.into(),
            // Each was told.
            () if self.lacks => ErrorCode::Incomplete.into(),
            () => Exit::DONE,
        })
    }

    async fn one(&mut self, want: &Want, signals: &mut Signals) -> Result<Outcome> {
        let (context, arguments) = (self.context, self.arguments);
        let request = request(context, arguments, want).taken(self.taken.clone());
        let chosen = want.called.as_ref().filter(|_| want.choose.is_some());
        let subject = chosen.map_or_else(|| want.what.to_string(), ToString::to_string);
        let transfer = match (&self.remote, &self.node) {
            (Some(remote), _) => through::begin(context, arguments, remote, request)?,
            (None, Some(node)) if is_stream(arguments) => {
                node.get_to(request, Rest::after(self.written, tokio::io::stdout()))
            }
            (None, Some(node)) => node.get(request),
            (None, None) => return Err(Error::Control(ControlError::NotRunning).into()),
        };
        let progress = transfer.progress();
        let followed = follow::transfer(context, &subject, transfer, signals, arguments.detach).await;
        (self.begun, self.name) = (progress.borrow().id, progress.borrow().name.clone());
        let mut outcome = followed?;
        if is_stream(arguments) && outcome.bytes == 0 {
            // Nothing was written that could have failed.
            stdout::is_open().await?;
        }
        if arguments.from.is_none() && want.choose.is_none() && matches!(want.what, What::Words(_)) {
            context.warn_guest_choice(self.node.as_ref().is_some_and(|node| node.is_guest_beside()), &outcome);
        }
        context.remember_all(vec![SeenContent { id: outcome.id, name: outcome.name.last() }]).await;
        self.taken.extend(outcome.path.as_deref().map(Path::to_owned));
        if self.remote.is_some() {
            outcome = through::outcome_as_asked(arguments, outcome);
        }
        outcome.preview.iter().for_each(|one| preview::add(&mut self.planned, one));
        tell(context, arguments, &outcome, self.total > 1)?;
        Ok(outcome)
    }

    /// Which of several things are meant; at least one.
    async fn choose(
        &self,
        (what, beneath): (String, Option<String>),
        hits: &[Hit],
        beyond: Beyond,
        signals: &mut Signals,
    ) -> Result<Vec<ContentId>> {
        let (context, arguments) = (self.context, self.arguments);
        context.remember(hits).await;
        let chosen = if arguments.all {
            if beyond.at_least {
                context.output.warn(&format!(
                    "not all who were asked have answered, and `{}` may match more: run it again to have that, too",
                    Shown(&what)
                ));
            }
            every(&what, hits, beyond)?
        } else if context.output.is_interactive() {
            if let Some(dirs) = say::directories(&what, hits).strip_prefix("; ") {
                context.output.note(dirs);
            }
            choose::ask(context, hits, beyond, signals).await?
        } else {
            choose::list(context, hits, beyond, is_stream(arguments))?;
            Vec::new()
        };
        if chosen.len() > 1 {
            choose::is_apart(hits, &chosen, beneath.as_deref())?;
        }
        match chosen.is_empty() {
            true => Err(Failure::Ambiguous(say::several(&what, hits, beyond, beneath.as_deref()))),
            false => Ok(chosen),
        }
    }
}

/// That some of several things did not come; those that did are kept.
const fn some(failed: usize, total: usize) -> Failure {
    let code = if failed < total { ErrorCode::Incomplete } else { ErrorCode::Failed };
    Failure::Some { failed, total, code }
}

/// All that words match, as far as they are known to be all.
fn every(what: &str, hits: &[Hit], beyond: Beyond) -> Result<Vec<ContentId>> {
    let what = Shown(what);
    if beyond.more > 0 {
        let least = hits.len();
        return Err(Failure::Ambiguous(format!(
            "`{what}` matches more than the {least} things that --all takes: give more words, or the directory they are in"
        )));
    }
    let apart = choose::apart(hits);
    match apart.iter().find(|hit| hit.id.is_none()) {
        Some(hit) => Err(Failure::Ambiguous(format!(
            "`{what}` matches {}, which is not hashed yet: try again in a moment",
            hit.names.first().map_or_else(String::new, |name| Shown(name.as_str()).to_string())
        ))),
        None => Ok(apart.iter().filter_map(|hit| hit.id).collect()),
    }
}

fn options(context: &Context, arguments: &GetArgs) -> Options {
    let lifetime = if arguments.seed { Lifetime::Seeding } else { Lifetime::Finite };
    let max_files = arguments.max_files.map_or(context.settings.max_files, |most| most as usize);
    // Other commands may go through it: what limits this one is no limit of theirs.
    let upload_limit = lifted(context.settings.upload_limit, arguments.upload_limit);
    let download_limit = lifted(context.settings.download_limit, arguments.limit);
    let options = context.options().lifetime(lifetime).upload_limit(upload_limit).download_limit(download_limit);
    options.max_files(max_files)
}

/// What is configured, or more where more was asked for.
fn lifted(configured: Option<Rate>, asked: Option<Rate>) -> Option<Rate> {
    configured.map(|configured| asked.map_or(configured, |asked| asked.max(configured)))
}

fn request(context: &Context, arguments: &GetArgs, want: &Want) -> GetRequest {
    let share = match (arguments.seed, arguments.no_share) {
        (true, _) => ShareBack::Seed,
        (_, true) => ShareBack::Never,
        _ => ShareBack::While,
    };
    let replace = match (arguments.force, arguments.update) {
        (true, _) => Replace::All,
        (_, true) => Replace::Older,
        _ => Replace::Nothing,
    };
    GetRequest::new(want.what.clone())
        .from(arguments.from.clone())
        .only(arguments.only.iter().chain(&arguments.exclude).cloned().collect::<Vec<Pattern>>())
        .output(arguments.output.clone())
        .replace(replace)
        // What was replaced would never be older again.
        .times(arguments.times || arguments.update)
        .share(share)
        .limit(arguments.limit)
        .upload_limit(arguments.upload_limit)
        .connections(arguments.connections)
        .wait(arguments.wait.unwrap_or(context.settings.wait))
        .dry_run(arguments.dry_run)
        .called(want.called.clone())
        .choose(want.choose)
        .every(arguments.all)
}

fn is_stream(arguments: &GetArgs) -> bool {
    arguments.output.as_ref().is_some_and(|path| path.as_os_str() == "-")
}

fn tell(context: &Context, arguments: &GetArgs, outcome: &Outcome, of_several: bool) -> Result<()> {
    context.output.emit(&Line::Done(Ended::of(outcome)))?;
    if arguments.explain {
        context.output.emit(&Line::Explain(Explained::of(outcome)))?;
    }
    if context.output.json {
        return Ok(());
    }
    if let Some(preview) = &outcome.preview {
        let text = match of_several {
            true => preview::line(outcome, preview, &context.output.table_names()),
            false => preview::text(outcome, preview, &context.output.table_names(), context.output.width()),
        };
        return context.output.print(&text);
    }
    match &outcome.path {
        Some(_) => context.output.print(&format!("{}\n", summary(outcome)))?,
        None => context.output.note(&format!("qshare: {}", summary(outcome))),
    }
    if !arguments.explain {
        return Ok(());
    }
    let report = explain::report(outcome, &context.output.table_names(), context.output.width());
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
    let place = Shown(&place).to_string() + if outcome.part { " (a part of it)" } else { "" };
    let left = match outcome.left {
        0 => String::new(),
        1 => ", left 1 file that is not older".to_owned(),
        count => format!(", left {} that are not older", counted(count, "file")),
    };
    if outcome.bytes == 0 && outcome.left > 0 {
        return match outcome.kind {
            Kind::File => format!("{place}: left as it is, which is not older"),
            Kind::Collection => format!("{place}: nothing to fetch{left}"),
        };
    }
    if outcome.bytes == 0 && outcome.kind == Kind::Collection {
        return format!("{place}: there, with no bytes to fetch");
    }
    if outcome.bytes == 0 {
        return format!("{place}: there, and empty as it is to be");
    }
    if outcome.fetched == 0 && outcome.copied > 0 {
        let (all, copied) = (Size(outcome.bytes), Size(outcome.copied));
        return format!(
            "{place}: {copied} of {all} were copied from another transfer that fetched the same, and all are proven{left}"
        );
    }
    if outcome.fetched == 0 && !outcome.waited.is_zero() {
        return format!("{place}: {} were fetched by another get meanwhile and are proven{left}", Size(outcome.bytes));
    }
    if outcome.fetched == 0 {
        return format!("{place}: {} were here already and are proven{left}", Size(outcome.bytes));
    }
    let speed = rate(mean_rate(outcome.fetched, outcome.elapsed));
    let (bytes, fetched) = (Size(outcome.bytes).to_string(), Size(outcome.fetched).to_string());
    let part = if fetched == bytes { String::new() } else { format!("{fetched} of ") };
    let givers = outcome.providers.iter().filter(|provider| provider.bytes > 0).count() as u64;
    let (took, givers) = (duration(outcome.elapsed), counted(givers, "provider"));
    let found = outcome.plane.map(|plane| format!(", {}", say::found(plane))).unwrap_or_default();
    let replaced = match outcome.replaced {
        0 => String::new(),
        count => format!(", replaced {}", counted(count, "file")),
    };
    format!("{place}: {part}{bytes} fetched and proven in {took} ({speed}) from {givers}{found}{replaced}{left}")
}

mod names;
mod preview;
mod runs;
mod through;

#[cfg(test)]
mod tests;
