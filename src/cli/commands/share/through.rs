//! `qshare share PATH` where a node of the home runs already: that offers it, for as long as this command runs, or for good.

use tokio::sync::{mpsc, watch};

use super::{Preface, Reach, list, tell, wish};
use crate::cli::args::ShareArgs;
use crate::cli::context::Context;
use crate::cli::context::stop;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::json::{Line, paste};
use crate::cli::render::{stdout, uploads};
use crate::cli::signals::Signals;
use crate::model::text::shell::quoted;
use crate::model::{PeerTarget, SafePath, Shown};
use crate::node::{Error, Event, Heard, Offered, Remote, SharedRow, Sharing, Uploads};
use crate::wire::control::ControlStatus;

/// Events that wait for whoever reads them; of a slower one some are left out.
const WAITING: usize = 1024;

/// Runs it.
pub(super) async fn run(
    context: &Context,
    remote: &Remote,
    arguments: &ShareArgs,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    context.refuse_other_version(remote)?;
    let status = remote.status().await?;
    refuse_what_cannot_hold(context, &status, arguments)?;
    let mut wish = wish(context, arguments)?;
    wish.trackers = untold(context, &status);
    let further: Vec<_> = wish.trackers.iter().map(PeerTarget::host_port).collect();
    let (offered, sharing) = tokio::select! {
        offered = remote.share(wish) => offered?,
        _ = signals.next() => return Ok(Exit::DONE),
    };
    let running = &status.running;
    let trackers = told_of_all(&status).map(str::to_owned).chain(further).collect();
    let reach = Reach { trackers, lan: running.lan, neighbours: !running.only_peers || !status.neighbours.is_empty() };
    tell_begin(context, &offered, &reach.audience(context, arguments.friends_only));
    if arguments.keep {
        return kept(context, remote, &offered).await;
    }
    if let Some(own) = status.addrs.first() {
        context.output.emit(&Line::Listening { addr: own.addr, node: running.node })?;
    }
    let (node, pid) = (running.node, running.pid);
    let until = if context.within.is_some() { "shell" } else { "command" };
    context.output.note(&format!("qshare: offered by node {node} (process {pid}) until this {until} ends"));
    context.note_of_signals(signals);
    follow_there(context, (remote, &offered.before), ("sharing", sharing), signals).await
}

fn told_of_all(status: &ControlStatus) -> impl Iterator<Item = &str> {
    status.trackers.iter().filter(|known| !known.partly).map(|known| known.tracker.as_str())
}

/// Trackers that the node does not tell of everything: they are told of this.
fn untold(context: &Context, status: &ControlStatus) -> Vec<PeerTarget> {
    let is_told = |tracker: &PeerTarget| told_of_all(status).any(|told| told == tracker.host_port());
    context.settings.trackers.iter().filter(|tracker| !is_told(tracker)).cloned().collect()
}

/// What belongs to the node and not to what it offers.
fn refuse_what_cannot_hold(context: &Context, status: &ControlStatus, arguments: &ShareArgs) -> Result<(), Failure> {
    let settings = &context.settings;
    let options = [
        settings.config.as_ref().map(|path| format!("--config {}", path.display())),
        arguments.listen.map(|addr| format!("--listen {addr}")),
        (settings.near.lan.is_none() && status.running.lan).then(|| "--no-lan".to_owned()),
        (settings.near.only_peers && !status.running.only_peers).then(|| "--only-peers".to_owned()),
    ];
    let Some(option) = options.into_iter().flatten().next() else { return Ok(()) };
    Err(Failure::Usage(format!(
        "{option} cannot hold for what the node that runs already offers (process {}): stop it with `qshare stop` and start it \
         so, or do without",
        status.running.pid
    )))
}

fn tell_begin(context: &Context, offered: &Offered, audience: &str) {
    let of = (offered.roots.as_slice(), offered.skipped.as_slice(), offered.unportable.as_ref());
    let preface = Preface::of(context, of, audience);
    preface.show(&context.output);
    preface.warn(&context.output);
    for name in &offered.before {
        context.output.note(&format!("qshare: {} was offered already", Shown(name.as_str())));
    }
    for name in &offered.crossing {
        let name = Shown(name.as_str());
        context.output.warn(&format!(
            "some of this is offered as {name} as well, and not to the same people: whoever may have one of them gets those files"
        ));
    }
}

/// It is offered for good; the command ends.
async fn kept(context: &Context, remote: &Remote, offered: &Offered) -> Result<Exit, Failure> {
    let names: Vec<_> = offered.roots.iter().map(|root| &root.name).chain(&offered.before).collect();
    let rows = remote.shared().await?;
    let is_new = |row: &&SharedRow| row.offer.root.as_ref().is_ok_and(|root| names.contains(&&root.name));
    context.output.emit_all(rows.iter().filter(is_new).map(list::line))?;
    for name in names {
        let (shown, words) = (Shown(name.as_str()), quoted(name.as_str()));
        context.output.print(&format!("{shown}\n    qshare get {words}\n"))?;
        context.output.note(&format!("qshare: {shown} is kept; `qshare unshare {words}` ends that"));
    }
    Ok(Exit::DONE)
}

/// Of what was offered before its id may have been told long ago.
async fn tell_known(context: &Context, remote: &Remote, before: &[SafePath]) -> Result<(), Failure> {
    if before.is_empty() {
        return Ok(());
    }
    let (status, rows) = (remote.status().await?, remote.shared().await?);
    let roots = rows.iter().filter_map(|row| row.offer.root.as_ref().ok()).filter(|root| before.contains(&root.name));
    for root in roots {
        let (Some(id), Some(own)) = (root.id, status.addrs.first()) else { continue };
        let get = paste(id, status.running.node, own.addr);
        context.output.emit(&Line::Offer { id, name: &root.name, get: get.clone() })?;
        context.output.print(&format!(
            "{}\n    qshare get {}\n    {get}\n",
            Shown(root.name.as_str()),
            quoted(root.name.as_str())
        ))?;
    }
    Ok(())
}

/// Tells what happens to it, until a signal comes or the node ends.
pub(crate) async fn follow_there(
    context: &Context,
    (remote, before): (&Remote, &[SafePath]),
    (verb, mut sharing): (&'static str, Sharing<'_>),
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    tell_known(context, remote, before).await?;
    context.begun();
    let (to, events) = mpsc::channel::<Event>(WAITING);
    context.pass_events(events, tell(context));
    let (shown, uploads) = watch::channel(Uploads::default());
    let view = uploads::live(&context.output, verb, uploads);
    let hear = async {
        loop {
            match sharing.next().await? {
                // Full: whoever reads is too slow.
                Some(Heard::Event(event)) => drop(to.try_send(event)),
                Some(Heard::Uploads(now)) => drop(shown.send_replace(now)),
                None => return Ok(()),
            }
        }
    };
    let heard: Result<(), Error> = tokio::select! {
        heard = hear => {
            if heard.is_ok() {
                context.output.note("qshare: all of it was unshared");
            }
            heard
        }
        () = stdout::unread() => Ok(()),
        _ = signals.next() => Ok(()),
    };
    view.end().await;
    heard?;
    stop(sharing.end(), signals).await;
    let last = shown.borrow().clone();
    super::summarise(context, last).await.map(|()| Exit::DONE)
}
