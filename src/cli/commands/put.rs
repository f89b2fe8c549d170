//! `qshare put`: sends something to single nodes, through the running node of the home or by a node of its own.

pub(crate) mod ends;

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::args::{OfferOrAll, PutArgs};
use crate::cli::commands::share;
use crate::cli::context::{Context, stop};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::activity::Activity;
use crate::cli::render::human::{counted, duration, percent};
use crate::cli::render::json::{Line, PutLine};
use crate::cli::render::table::{Align, Table};
use crate::cli::say;
use crate::cli::signals::Signals;
use crate::io::clock::time_of_day;
use crate::io::home::secret;
use crate::io::receive::landing::Landing;
use crate::io::share::scan::{Omission, SurveyError};
use crate::model::{PutId, SafePath, Shown, Size};
use crate::node::{
    ControlError, Error, Node, PeerRef, Put, PutProgress, PutRow, PutWish, Receiver, Receiving, Remote, SurveyOptions,
};

/// How long to go on while nothing moves: where a person looks on, elsewhere, and without a command.
const WAIT: (Duration, Duration, Duration) =
    (Duration::from_secs(3600), Duration::from_secs(120), Duration::from_secs(10 * 365 * 24 * 3600));
/// How often it is begun again because the node through which it goes has ended.
const TRIES: u32 = 8;
/// So soon all have to answer of what is left to the running node.
const KNOWN: Duration = Duration::from_secs(5);
/// How often programs are told how far it is.
const TELL: Duration = Duration::from_secs(1);

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: PutArgs) -> Result<Exit, Failure> {
    if let Some(OfferOrAll(number)) = arguments.cancel {
        return list(context, &running(context).await?.cancel_put(number).await?);
    }
    if arguments.paths.is_empty() && arguments.text.is_none() {
        return list(context, &running(context).await?.puts().await?);
    }
    if arguments.to.is_empty() {
        return Err(Failure::Usage("say to whom it goes, with --to PEER".to_owned()));
    }
    let wish = wish(context, &arguments)?;
    let sent = send(context, &arguments, &wish).await;
    let is_left = arguments.detach && sent.is_ok();
    if !is_left {
        wish.spooled.iter().for_each(|path| drop(std::fs::remove_file(path)));
    }
    let progress = sent.map_err(unsendable)?;
    if is_left {
        for receiver in &progress.receivers {
            let why = why(context, receiver);
            context.output.emit(&Line::Put(PutLine::of(receiver, &progress, context.output.names(), why)))?;
        }
        let number = progress.number.unwrap_or_default();
        context.output.note(&format!(
            "qshare: the running node goes on with it as number {number}: `qshare put` shows it, `qshare put --cancel {number}` ends it"
        ));
        return Ok(Exit::DONE);
    }
    outcome(context, &wish, &progress)
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

async fn send(context: &Context, arguments: &PutArgs, wish: &PutWish) -> Result<PutProgress, Failure> {
    let mut signals = context.signals()?;
    for tried in 1..=TRIES {
        let sent = match Remote::find(&context.home()).await? {
            Some(remote) => {
                // It goes out under the key of this home, whatever else this command could look at.
                context.refuse_other_version(&remote)?;
                let put = Arc::new(remote).put(context.places_asked(), wish.clone(), arguments.detach);
                follow(context, wish, put, &mut signals).await
            }
            None if arguments.detach => return Err(Error::Control(ControlError::NotRunning).into()),
            None => alone(context, wish, &mut signals).await,
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
        sent = follow(context, wish, put, signals) => sent,
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
fn wish(context: &Context, arguments: &PutArgs) -> Result<PutWish, Failure> {
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
    let mut spooled = Vec::new();
    if arguments.paths.iter().any(|path| is_input(&path)) {
        let Some(name) = arguments.name.clone() else {
            return Err(Failure::Usage("say what standard input is called, with --name NAME".to_owned()));
        };
        if name != name.last() {
            return Err(Failure::Usage(format!("--name {name} is a path: give the name of a file")));
        }
        let path = spool(context.home().root(), put)?;
        options.named.push((name.last(), path.clone()));
        // It is in the home.
        options.avoid.clear();
        spooled.push(path);
    }
    let usual = || match arguments.detach {
        true => WAIT.2,
        false if std::io::stderr().is_terminal() => WAIT.0,
        false => WAIT.1,
    };
    let wait = arguments.wait.unwrap_or_else(usual);
    let text = arguments.text.clone().unwrap_or_default();
    let seen = paths.iter().map(|path| Landing::of(path)).collect();
    let mut to: Vec<PeerRef> = Vec::new();
    arguments.to.iter().for_each(|peer| {
        if !to.contains(peer) {
            to.push(peer.clone());
        }
    });
    let known_within = arguments.detach.then_some(KNOWN);
    Ok(PutWish { put, paths, options, text, to, wait, seen, spooled, known_within, told: Vec::new(), number: None })
}

fn whole(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error| anyhow::Error::new(error).context(format!("{} cannot be found", path.display()));
    Ok(std::path::absolute(path).map_err(failed)?)
}

/// Copies standard input into a file of the home that nobody else may read.
fn spool(home: &Path, put: PutId) -> Result<PathBuf, Failure> {
    let path = home.join("sent").join(put.to_string());
    let copied = || {
        secret::create_dir(&home.join("sent"))?;
        let mut options = std::fs::OpenOptions::new();
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create_new(true).open(&path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match std::io::stdin().lock().read(&mut buffer)? {
                0 => return file.sync_all(),
                read => file.write_all(&buffer[..read])?,
            }
        }
    };
    let failed = |error| anyhow::Error::new(error).context("standard input cannot be kept until it is there");
    copied().map_err(failed)?;
    Ok(path)
}

/// Shows how it stands until it ends, or a signal withdraws it.
async fn follow(
    context: &Context,
    wish: &PutWish,
    mut put: Put,
    signals: &mut Signals,
) -> Result<PutProgress, Failure> {
    let (mut progress, canceller) = (put.progress(), put.canceller());
    progress.mark_changed();
    let mut told = Told::default();
    let mut stopped = None;
    let ended = loop {
        tokio::select! {
            biased;
            ended = put.finish() => break ended,
            changed = progress.changed() => match changed {
                Ok(()) => told.tell(context, wish, &progress.borrow_and_update().clone())?,
                Err(_) => break put.finish().await,
            },
            stop = signals.next() => {
                canceller.cancel();
                if stopped.replace(stop).is_some() {
                    break Err(ControlError::Lost.into());
                }
            }
        }
    };
    told.activity = None;
    if let Some(stop) = stopped {
        return Err(Failure::Stopped(stop));
    }
    let ended = ended?;
    told.tell(context, wish, &ended)?;
    told.activity = None;
    Ok(ended)
}

/// What was told last.
#[derive(Default)]
struct Told {
    receivers: Vec<(Receiver, Option<Instant>)>,
    activity: Option<(&'static str, Activity)>,
    is_shown: bool,
}

impl Told {
    fn tell(&mut self, context: &Context, wish: &PutWish, now: &PutProgress) -> Result<(), Failure> {
        if !self.is_shown && !now.items.is_empty() {
            self.is_shown = true;
            let left_out: Vec<&Omission> = now.left_out.0.iter().collect();
            share::left_out(&left_out, now.left_out.1).iter().for_each(|sentence| context.output.warn(sentence));
            let files = counted(now.items.iter().map(|item| u64::from(item.files)).sum(), "file");
            let names: Vec<String> = now.items.iter().map(|item| item.name.to_string()).collect();
            let whom = counted(wish.to.len() as u64, "node");
            context.output.remark(&format!(
                "qshare: sending {} ({files}, {}) to {whom}",
                names.join(", "),
                Size(now.total)
            ));
        }
        match now.hashing {
            Some((done, total)) => self.show(context, "hashing", (done, total)),
            None if now.receivers.iter().any(|one| one.state == Receiving::Fetching) => {
                let bytes = now.receivers.iter().map(|one| one.bytes).sum();
                let total = now.total * now.receivers.len() as u64;
                self.show(context, "sending", (bytes, total));
            }
            None => self.activity = None,
        }
        self.receivers.truncate(now.receivers.len());
        for (at, receiver) in now.receivers.iter().enumerate() {
            self.tell_one(context, at, receiver, now)?;
        }
        Ok(())
    }

    fn show(&mut self, context: &Context, what: &'static str, (done, total): (u64, u64)) {
        let activity = self.activity.take().filter(|(shown, _)| *shown == what);
        let (_, activity) =
            self.activity.insert(activity.unwrap_or_else(|| (what, Activity::start(&context.output, what))));
        activity.set(done, total);
    }

    fn tell_one(&mut self, context: &Context, at: usize, now: &Receiver, all: &PutProgress) -> Result<(), Failure> {
        let before = self.receivers.get(at);
        let is_new = before.is_none_or(|(before, _)| before.state != now.state);
        let is_due = before
            .is_some_and(|(before, told)| before.bytes != now.bytes && told.is_none_or(|told| told.elapsed() >= TELL));
        if !is_new && !is_due {
            return Ok(());
        }
        let told = Some(Instant::now());
        match self.receivers.get_mut(at) {
            Some(place) => *place = (now.clone(), told),
            None => self.receivers.push((now.clone(), told)),
        }
        let why = why(context, now);
        context.output.emit(&Line::Put(PutLine::of(now, all, context.output.names(), why.clone())))?;
        if is_new && now.state != Receiving::Looking {
            let (who, word) = (who(context, now), sentence(now.state));
            let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
            context.output.remark(&format!("qshare: {who}: {word}{why}"));
        }
        Ok(())
    }
}

fn why(context: &Context, receiver: &Receiver) -> Option<String> {
    let why = receiver.error.as_ref().map(|error| say::error(error, context.output.names()))?;
    let seen = receiver.seen.filter(|_| receiver.state == Receiving::Away);
    let ago = seen.map(|seen| Duration::from_secs(time_of_day().saturating_sub(seen).as_secs()));
    Some(ago.map_or_else(|| why.clone(), |ago| format!("last seen {} ago; {why}", duration(ago))))
}

fn who(context: &Context, receiver: &Receiver) -> String {
    match receiver.node {
        Some(node) => context.output.names().brief(node),
        None => Shown(&receiver.peer.to_string()).to_string(),
    }
}

const fn sentence(state: Receiving) -> &'static str {
    match state {
        Receiving::Away => "not to be reached now, and tried again",
        Receiving::Declined => "declined",
        Receiving::Done => "has all of it",
        Receiving::Fetching => "accepted",
        Receiving::Looking => "looked for",
        Receiving::Refused => "does not take it",
        Receiving::Waiting => "waits for a decision there",
        Receiving::Changed | Receiving::Gone => "sent no longer",
    }
}

/// How the command ends.
fn outcome(context: &Context, wish: &PutWish, progress: &PutProgress) -> Result<Exit, Failure> {
    let named = |is: &dyn Fn(Receiving) -> bool| -> Vec<String> {
        let some = progress.receivers.iter().filter(|receiver| is(receiver.state));
        some.map(|receiver| who(context, receiver)).collect()
    };
    if let Some(error) = progress.spoilt() {
        return Err(error.clone().into());
    }
    let declined = named(&|state| matches!(state, Receiving::Declined | Receiving::Refused));
    if !declined.is_empty() {
        return Err(Error::from(ControlError::Declined { by: declined }).into());
    }
    let lacking = named(&|state| state != Receiving::Done);
    if !lacking.is_empty() {
        return Err(Error::from(ControlError::Undecided { by: lacking, waited: wish.wait }).into());
    }
    Ok(Exit::DONE)
}

fn list(context: &Context, rows: &[PutRow]) -> Result<Exit, Failure> {
    let columns = [
        ("NUMBER", Align::Right),
        ("WHAT", Align::Path),
        ("TO", Align::Left),
        ("STATE", Align::Left),
        ("SIZE", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for row in rows {
        for receiver in &row.progress.receivers {
            let why = why(context, receiver);
            context.output.emit(&Line::Put(PutLine::of(receiver, &row.progress, context.output.names(), why)))?;
            let total = row.progress.total;
            let state = match receiver.state {
                Receiving::Fetching if total > 0 => format!("{} %", percent(receiver.bytes, total)),
                state => state.word().to_owned(),
            };
            table.row([
                row.number.to_string(),
                what(&row.wish),
                who(context, receiver),
                state,
                Size(total).to_string(),
            ]);
        }
    }
    if rows.is_empty() {
        context.output.note("qshare: nothing is sent");
        return Ok(Exit::DONE);
    }
    context.output.table(&table)?;
    Ok(Exit::DONE)
}

fn what(wish: &PutWish) -> String {
    let named = wish.options.named.iter().map(|(name, _): &(SafePath, PathBuf)| name.to_string());
    let paths = wish.paths.iter().map(|path| path.display().to_string());
    let all: Vec<String> = paths.chain(named).collect();
    if all.is_empty() { "(message)".to_owned() } else { all.join(", ") }
}
