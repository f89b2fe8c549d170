//! A `get` that the running node of the home carries out: when it does, and with which paths.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Want, is_stream};
use crate::cli::args::GetArgs;
use crate::cli::commands::share;
use crate::cli::context::Context;
use crate::cli::context::runs::Runs;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::render::json::{JobLine, Line};
use crate::cli::signals::Signals;
use crate::io::receive::landing::Landing;
use crate::io::receive::umask::Mask;
use crate::model::{LocalPath, SafePath, Shown, Size};
use crate::node::{
    ControlError, Error, GetRequest, JobId, JobRow, JobState, JobWish, Outcome, Phase, Remote, Transfer,
};

/// The running node, where it can do all that is asked.
///
/// # Errors
/// When this is to be left to it and it cannot do that, or it does not answer.
pub(super) async fn remote(context: &Context, arguments: &GetArgs) -> Result<Option<Arc<Remote>>> {
    // A path that is no text cannot be told.
    if whole(arguments.output.as_deref())?.to_str().is_none() {
        return Ok(None);
    }
    match context.who_runs().await? {
        Runs::Through(remote) => Ok(Some(remote)),
        Runs::Guest | Runs::Own if !arguments.detach => Ok(None),
        Runs::Own => Err(Error::Control(ControlError::NotRunning).into()),
        Runs::Guest => Err(Failure::Usage(
            "the running node of this home has another version or looks at fewer places than this command, so it cannot do \
             this: stop it with `qshare stop` and start it again"
                .to_owned(),
        )),
    }
}

/// Where it goes, whatever the node's own directory is; what ends in a slash is a directory to put it into.
fn whole(output: Option<&Path>) -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(|error| Failure::Other(error.into()))?;
    Ok(here.join(output.unwrap_or_else(|| Path::new(""))))
}

/// Has the node carry out a transfer.
pub(super) fn begin(
    context: &Context,
    arguments: &GetArgs,
    remote: &Arc<Remote>,
    request: GetRequest,
) -> Result<Transfer, Failure> {
    let (remote, wish) = (Arc::clone(remote), wish(context, arguments, request)?);
    Ok(match () {
        () if is_stream(arguments) => remote.attend_to(wish, tokio::io::stdout()),
        () if arguments.seed || arguments.dry_run => remote.attend(wish),
        () => remote.fetch(wish),
    })
}

/// What is asked of the node.
fn wish(context: &Context, arguments: &GetArgs, request: GetRequest) -> Result<JobWish> {
    let (output, to_stream) = (whole(arguments.output.as_deref())?, is_stream(arguments));
    let mut places = context.places_asked();
    places.max_files = arguments.max_files.map_or(places.max_files, |most| most as usize);
    Ok(JobWish {
        landing: Landing::of(&output),
        request: request.output((!to_stream).then_some(output)).umask(Mask::own()),
        places,
    })
}

/// What has come or would, with the paths of a command that was given such.
pub(super) fn outcome_as_asked(arguments: &GetArgs, mut outcome: Outcome) -> Outcome {
    outcome.path = outcome.path.map(|path| as_asked(arguments, &path));
    let files = outcome.preview.iter_mut().flat_map(|preview| &mut preview.files);
    files.for_each(|file| file.path = file.path.take().map(|path| as_asked(arguments, &path)));
    outcome
}

/// A path of the node, as a command shows it that was given another to it.
fn as_asked(arguments: &GetArgs, path: &Path) -> LocalPath {
    let relative = arguments.output.as_ref().is_none_or(|output| output.is_relative());
    let here = std::env::current_dir().ok().filter(|_| relative);
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).into()
}

/// Tells what is fetched of what the running node serves for this command, which it does until this ends.
///
/// # Errors
/// When that node has ended.
pub(super) async fn seed(
    context: &Context,
    remote: &Remote,
    (bytes, paths): (u64, Vec<PathBuf>),
    signals: &mut Signals,
) -> Result<Exit> {
    if signals.came {
        return Ok(Exit::DONE);
    }
    context.output.emit(&Line::Phase { name: Phase::Seeding })?;
    context.output.remark(&format!("qshare: the running node seeds {} until this command is stopped", Size(bytes)));
    let (offered, sharing) = remote.watch(paths).await?;
    share::follow_there(context, (remote, &offered.before), ("seeding", sharing), signals).await
}

/// Tells what was left to the node.
pub(super) fn tell(
    context: &Context,
    (want, name, output): (&Want, Option<SafePath>, Option<&Path>),
    (job, same): (JobId, bool),
) -> Result<()> {
    let what = &want.what;
    let row = JobRow {
        id: job,
        what: what.clone(),
        name,
        given: false,
        output: Some(whole(output)?),
        state: JobState::Running,
        halting: false,
        bytes: 0,
        total: 0,
        rate: 0,
        limit: None,
        providers: 0,
        error: None,
        again: None,
    };
    context.output.emit(&Line::Job(JobLine::of(&row, None)))?;
    if context.within.is_some() {
        let name = want.called.as_ref().map_or_else(|| what.to_string(), ToString::to_string);
        return context.output.print(&format!("job {job}: {}\n", Shown(&name)));
    }
    context.output.print(&format!("{job}\n"))?;
    let (what, does) = (what.to_string(), if same { "fetches this already:" } else { "goes on with" });
    context
        .output
        .note(&format!("qshare: the running node {does} {} as job {job}: `qshare jobs` shows it", Shown(&what)));
    Ok(())
}
