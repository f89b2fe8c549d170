//! `qshare put`: sends something to single nodes, through the running node of the home or by a node of its own.

pub(crate) mod ends;
mod list;
mod told;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::cli::args::{OfferOrAll, PutArgs};
use crate::cli::context::{Context, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::counted;
use crate::cli::say::names::Names;
use crate::cli::signals::{Signals, Stop};
use crate::io::home::sent::SentCopy;
use crate::io::receive::landing::Landing;
use crate::io::share::scan::SurveyError;
use crate::model::PutId;
use crate::node::{ControlError, Error, Node, PeerRef, PutProgress, PutWish, Remote, SurveyOptions, is_prefix};

/// How long to go on while nothing moves: where a person looks on, elsewhere, and without a command.
const WAIT: (Duration, Duration, Duration) =
    (Duration::from_secs(3600), Duration::from_secs(120), Duration::from_secs(10 * 365 * 24 * 3600));
/// How often it is begun again because the node through which it goes has ended.
const TRIES: u32 = 8;
/// So soon all have to answer of what is left to the running node.
const KNOWN: Duration = Duration::from_secs(5);

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: PutArgs) -> Result<Exit, Failure> {
    if let Some(OfferOrAll(number)) = arguments.cancel {
        return list::list(context, &running(context).await?.cancel_put(number).await?, "nothing is sent");
    }
    if let Some(OfferOrAll(number)) = arguments.clear {
        let cleared = running(context).await?.clear_puts(number).await?;
        context.output.emit_all(cleared.iter().flat_map(|row| list::lines(context, row)))?;
        context.output.note(&format!("qshare: {} taken off the list", counted(cleared.len() as u64, "put")));
        return Ok(Exit::DONE);
    }
    if arguments.paths.is_empty() && arguments.text.is_none() {
        if !arguments.to.is_empty() {
            return Err(Failure::Usage("say what to send: a path, `-` for standard input, or --text".to_owned()));
        }
        let none = "nothing was left to the running node to send";
        return list::list(context, &running(context).await?.puts().await?, none);
    }
    if arguments.to.is_empty() {
        return Err(Failure::Usage("say to whom it goes, with --to PEER".to_owned()));
    }
    if arguments.paths.is_empty() && arguments.text.as_deref() == Some("") {
        return Err(Failure::Usage("the message is empty".to_owned()));
    }
    let mut signals = context.signals()?;
    let (wish, copy) = wish(context, &arguments, &mut signals).await?;
    let progress = send(context, &arguments, &wish, &mut signals).await.map_err(unsendable)?;
    if let Some(number) = progress.number {
        copy.into_iter().for_each(SentCopy::leave);
        return left(context, number, &progress, arguments.detach);
    }
    list::outcome(context, &wish, &progress)
}

/// It was left to the running node: as was wanted, or because the terminal has hung up.
fn left(context: &Context, number: u32, progress: &PutProgress, is_wanted: bool) -> Result<Exit, Failure> {
    let lines = progress.receivers.iter().map(|receiver| list::line(context, receiver, progress));
    let told = context.output.emit_all(lines);
    context.output.note(&format!(
        "qshare: the running node goes on with it as number {number}: `qshare put` shows it, `qshare put --cancel {number}` ends it"
    ));
    // A terminal that has gone takes no last line, and that is not why it ends.
    if is_wanted { told.map(|()| Exit::DONE) } else { Err(Failure::Stopped(Stop::Hangup)) }
}

/// Why nothing can be sent, in the words of this command.
fn unsendable(failure: Failure) -> Failure {
    let Failure::Node(Error::Survey(error)) = &failure else { return failure };
    let hint = match error {
        SurveyError::Duplicate { .. } => "rename one of them, or send them one after the other",
        SurveyError::Name { .. } => "rename it first",
        SurveyError::Whole { .. } => "name directories in it",
        _ => return failure,
    };
    Failure::Usage(format!("{error}: {hint}"))
}

async fn running(context: &Context) -> Result<Remote, Failure> {
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    Ok(remote)
}

async fn send(
    context: &Context,
    arguments: &PutArgs,
    wish: &PutWish,
    signals: &mut Signals,
) -> Result<PutProgress, Failure> {
    for tried in 1..=TRIES {
        let sent = match Remote::find(&context.home()).await? {
            Some(remote) => {
                // It goes out under the key of this home, whatever else this command could look at.
                context.refuse_other_version(&remote)?;
                let put = Arc::new(remote).put(context.places_asked(), wish.clone(), arguments.detach);
                told::follow(context, put, signals).await
            }
            None if arguments.detach => return Err(Error::Control(ControlError::NotRunning).into()),
            None => alone(context, wish, signals).await,
        };
        match sent {
            Err(Failure::Node(Error::Control(ControlError::Lost))) if tried < TRIES => {}
            sent => return sent,
        }
    }
    Err(Error::Control(ControlError::Lost).into())
}

/// By a node of its own, which gives the home to one that lasts and goes on through that.
async fn alone(context: &Context, wish: &PutWish, signals: &mut Signals) -> Result<PutProgress, Failure> {
    let (node, events) = Node::start(context.options()).await?;
    signals.heed(&node);
    context.warn_homeless(&node);
    context.pass_warnings(events);
    let mut asked = node.yield_asked();
    let put = node.put(wish.clone());
    let sent = tokio::select! {
        sent = told::follow(context, put, signals) => sent,
        Ok(_) = asked.wait_for(|asked| *asked) => Err(Error::Control(ControlError::Lost).into()),
    };
    let is_lost = matches!(sent, Err(Failure::Node(Error::Control(ControlError::Lost))));
    stop(node.stop(), signals).await;
    if is_lost {
        context.home_is_taken().await;
    }
    sent
}

/// What is to be sent; standard input is copied into the home first, so that it can be asked for again.
async fn wish(
    context: &Context,
    arguments: &PutArgs,
    signals: &mut Signals,
) -> Result<(PutWish, Option<SentCopy>), Failure> {
    let put = PutId::from_bytes(rand::random());
    let is_input = |path: &&PathBuf| path.as_path() == Path::new("-");
    let paths = arguments.paths.iter().filter(|path| !is_input(path)).map(|path| whole(path));
    let paths = paths.collect::<Result<Vec<_>, Failure>>()?;
    let mut options = SurveyOptions {
        exclude: arguments.exclude.clone(),
        include_secrets: arguments.include_secrets,
        avoid: vec![context.settings.home.clone()],
        ..SurveyOptions::default()
    };
    let mut copy = None;
    let inputs = arguments.paths.iter().filter(is_input).count();
    if inputs > 1 || inputs == 0 && arguments.name.is_some() {
        return Err(Failure::Usage("--name is that of standard input: give `-` once among the paths".to_owned()));
    }
    if inputs == 1 {
        let Some(name) = arguments.name.clone() else {
            return Err(Failure::Usage("say what standard input is called, with --name NAME".to_owned()));
        };
        if name != name.last() {
            return Err(Failure::Usage(format!("--name {name} is a path: give the name of a file")));
        }
        let made = copy.insert(spool(context.home().root(), put, signals).await?);
        options.named.push((name.last(), made.path().to_owned()));
    }
    let usual = || match arguments.detach {
        true => WAIT.2,
        false if io::stderr().is_terminal() => WAIT.0,
        false => WAIT.1,
    };
    let wait = arguments.wait.unwrap_or_else(usual);
    let text = arguments.text.clone().unwrap_or_default();
    let seen = paths.iter().map(|path| Landing::of(path)).collect();
    let to = distinct(context, &arguments.to);
    let known_within = arguments.detach.then_some(KNOWN);
    let spooled = copy.iter().map(|copy| copy.path().to_owned()).collect();
    let (told, number, ended) = Default::default();
    let wish = PutWish { put, paths, options, text, to, wait, seen, spooled, known_within, told, number, ended };
    Ok((wish, copy))
}

/// Each of them once, in whichever ways it is named; by its address, where one is given.
fn distinct(context: &Context, named: &[PeerRef]) -> Vec<PeerRef> {
    let mut to: Vec<PeerRef> = Vec::new();
    for peer in named {
        match to.iter_mut().find(|other| is_same(context.output.names(), other, peer)) {
            Some(other) if matches!(peer, PeerRef::Target(_)) => *other = peer.clone(),
            Some(_) => {}
            None => to.push(peer.clone()),
        }
    }
    to
}

/// Whether both name one node, as far as that can be seen here.
fn is_same(names: &Names, one: &PeerRef, other: &PeerRef) -> bool {
    let id = |peer: &PeerRef| match peer {
        PeerRef::Id(node) => Some(node.to_string()),
        PeerRef::Name(name) => Some(names.node(name).map_or_else(|| name.clone(), |node| node.to_string())),
        PeerRef::Target(target) => target.id.map(|node| node.to_string()),
    };
    let begins = |long: &str, short: &str| long == short || is_prefix(short) && long.starts_with(short);
    match (id(one), id(other)) {
        (Some(one), Some(other)) => begins(&one, &other) || begins(&other, &one),
        _ => one == other,
    }
}

fn whole(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error| anyhow::Error::new(error).context(format!("{} cannot be found", path.display()));
    Ok(std::path::absolute(path).map_err(failed)?)
}

/// Copies standard input into a file of the home that nobody else may read, until a signal comes.
async fn spool(home: &Path, put: PutId, signals: &mut Signals) -> Result<SentCopy, Failure> {
    let failed =
        |error| Failure::from(anyhow::Error::new(error).context("standard input cannot be kept until it is there"));
    let copy = SentCopy::begin(home, &put.to_string()).map_err(failed)?;
    let fill = copy.filling(io::stdin()).map_err(failed)?;
    tokio::select! {
        filled = spawn_blocking(fill) => filled.map_err(io::Error::other).flatten().map_err(failed)?,
        stop = signals.next() => return Err(Failure::Stopped(stop)),
    }
    Ok(copy)
}
