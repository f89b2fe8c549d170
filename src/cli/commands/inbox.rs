//! `qshare inbox`: what other nodes offer to this one's person, and what that person wants with it.

mod accept;
pub(crate) mod news;
mod show;

use std::path::PathBuf;

pub(crate) use self::news::tell;
use self::show::{line, rows, whole};
use crate::cli::args::{InboxArgs, InboxCommand, OfferOrAll as OneOrAll};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::human::counted;
use crate::io::receive::landing::Landing;
use crate::model::Size;
use crate::node::{ControlError, Error, InboxRow, Remote};

/// Runs the command.
pub(crate) async fn run(context: &Context, arguments: InboxArgs) -> Result<Exit, Failure> {
    let remote = Remote::find(&context.own_home()?).await?;
    let remote = remote.ok_or(Error::Control(ControlError::NotRunning))?;
    context.refuse_other_version(&remote)?;
    match arguments.command {
        None | Some(InboxCommand::List) => rows(context, &remote.inbox().await?, "nothing in the inbox")?,
        Some(InboxCommand::Accept { which: OneOrAll(number), output, detach }) => {
            let into = output.map(into).transpose()?;
            let accepted = remote.accept_offer(number, into).await?;
            if !detach && !accepted.is_empty() {
                return accept::follow(context, &remote, accepted).await;
            }
            left(context, accepted)?;
        }
        Some(InboxCommand::Clear { which: OneOrAll(number) }) => {
            let cleared = remote.clear_offers(number).await?;
            context.output.emit_all(cleared.iter().map(|row| line(context, row)))?;
            context.output.note(&format!("qshare: {} taken off the list", counted(cleared.len() as u64, "offer")));
        }
        Some(InboxCommand::Decline { which: OneOrAll(number) }) => decline(context, &remote, number).await?,
        Some(InboxCommand::Read { number }) => read(context, &remote, number).await?,
        Some(InboxCommand::Watch) => return news::watch(context, &remote).await,
    }
    Ok(Exit::DONE)
}

/// What the node goes on with, and the messages whole.
fn left(context: &Context, accepted: Vec<InboxRow>) -> Result<(), Failure> {
    let (messages, others): (Vec<InboxRow>, Vec<InboxRow>) =
        accepted.into_iter().partition(|row| row.entry.is_message());
    messages.iter().try_for_each(|row| whole(context, row))?;
    if messages.is_empty() || !others.is_empty() {
        rows(context, &others, "nothing waits")?;
    }
    Ok(())
}

/// The whole path of a directory, and which one that is.
fn into(output: PathBuf) -> Result<(PathBuf, Landing), Failure> {
    if output.as_os_str() == "-" {
        return Err(Failure::Usage("-o - is no directory: say into which one it goes, with -o DIR".to_owned()));
    }
    let failed = |error| anyhow::Error::new(error).context(format!("{} cannot be found", output.display()));
    let whole = std::path::absolute(&output).map_err(failed)?;
    Ok((whole.clone(), Landing::of(&whole)))
}

async fn decline(context: &Context, remote: &Remote, number: Option<u32>) -> Result<(), Failure> {
    let declined = remote.decline_offer(number).await?;
    rows(context, &declined, "nothing waits")?;
    for row in declined.iter().filter(|row| row.entry.have > 0) {
        let have = Size(row.entry.have);
        context.output.note(&format!("qshare: number {}: {have} had come; what is unfinished is removed", row.number));
    }
    Ok(())
}

/// Shows one whole. A message that is nothing else is read by that.
async fn read(context: &Context, remote: &Remote, number: u32) -> Result<(), Failure> {
    let all = remote.inbox().await?;
    let row = all.iter().find(|row| row.number == number).ok_or(ControlError::NoOffer { number, state: None });
    let row = row.map_err(Error::from)?;
    whole(context, row)?;
    if show::is_unread(&row.entry) {
        remote.accept_offer(Some(number), None).await?;
    }
    Ok(())
}
