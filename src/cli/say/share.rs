//! What is left out of what is shared, why nothing is, and what becomes of it.

use std::path::Path;

use crate::actors::index::IndexNotice;
use crate::cli::say::local::advice;
use crate::io::share::scan::{Omission, RootSummary, Skipped, SurveyError, Unportable, Unseen, Why};
use crate::io::share::watch::{Cause, Unwatched};
use crate::model::safe_path::RESERVED;
use crate::model::{Kind, Shown};
use crate::node::shown;

/// Secrets that are named before the rest is counted.
const SECRETS: usize = 5;

/// Something that is not shared.
pub(crate) fn omission(of: &Omission) -> String {
    match of {
        Omission::Ignored(1) => "1 thing is left out as --exclude or an ignore file says".to_owned(),
        Omission::Ignored(things) => {
            format!("{things} things are left out as --exclude and ignore files say, a directory counted as one")
        }
        Omission::Links(1) => "1 link is left out because it leads to a directory, outside, or nowhere".to_owned(),
        Omission::Links(links) => {
            format!("{links} links are left out because they lead to directories, outside, or nowhere")
        }
        Omission::Skipped(Skipped { path, why }) => format!("{} is left out because {}", shown(path), because(why)),
        Omission::Unseen(Unseen { path, cause, .. }) => {
            format!("{} is left out for now because {cause}: {}", shown(path), advice(cause.kind))
        }
    }
}

/// All that looks like secrets, in one sentence; none where there is nothing of it.
pub(crate) fn secrets(all: &[&Omission]) -> Option<String> {
    let named = all.iter().filter_map(|of| match of {
        Omission::Skipped(Skipped { path, why: Why::Secret(_) }) => Some(shown(path)),
        _ => None,
    });
    let (first, more) = (named.take(SECRETS).collect::<Vec<_>>().join(", "), all.len().saturating_sub(SECRETS));
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    match all {
        [] => None,
        [one] => Some(omission(one)),
        many => Some(format!(
            "{} things look like secrets and are left out, {first}{more}: --include-secrets takes them in",
            many.len()
        )),
    }
}

fn because(why: &Why) -> String {
    match why {
        Why::Name(error) => format!("{error}: rename it first"),
        Why::Own => "it belongs to qshare's own home".to_owned(),
        Why::Reserved => {
            format!("its name begins with {RESERVED}, as only unfinished transfers are called: rename it first")
        }
        Why::Secret(what) => format!("it looks like {what}: --include-secrets takes it in"),
        Why::TooLarge => "it is larger than 8 TiB".to_owned(),
        Why::Unreadable(cause) => format!("it cannot be read: {cause}"),
        Why::Unusual(what) => format!("it is {what}, not a file"),
        Why::Utf8 => "its name is not UTF-8: rename it first".to_owned(),
        Why::Whole => "it holds more than is meant to be shared".to_owned(),
    }
}

/// Why nothing is shared.
pub(super) fn survey(error: &SurveyError) -> String {
    let hint = match error {
        SurveyError::Duplicate { .. } => "rename one of them, or name them with --list",
        SurveyError::Glob(_) => return error.to_string(),
        SurveyError::List { .. } => "write name, tab, path",
        SurveyError::Missing { cause, .. } => advice(cause.kind),
        SurveyError::Name { .. } => "give it another with --list",
        SurveyError::Nothing(None) => "give a path that holds a file",
        SurveyError::Nothing(Some(first)) => &omission(first),
        SurveyError::Whole { .. } => "name directories in it, or add --all",
    };
    format!("{error}: {hint}")
}

/// That what a person wants to be left out leaves nothing to share.
pub(crate) fn nothing_left(roots: &[RootSummary], skipped: &[Omission]) -> Option<String> {
    let ignored = skipped.iter().find(|of| matches!(of, Omission::Ignored(_)))?;
    let none = roots.iter().all(|root| root.files == 0);
    none.then(|| format!("no file is left to share: {}", omission(ignored)))
}

/// Names that cannot exist everywhere.
pub(crate) fn unportable(Unportable { count, first }: &Unportable) -> String {
    format!(
        "{count} of the names cannot exist on Windows or macOS, the first of them {}: there the collection is refused",
        Shown(first.as_str())
    )
}

/// What becomes of what is shared.
pub(super) fn index(notice: &IndexNotice) -> String {
    match notice {
        IndexNotice::Broken { kind, root, first, more } => broken(*kind, root, first, *more),
        IndexNotice::Cache(error) => error.to_string(),
        IndexNotice::Gone(path) => {
            format!("{} is gone and no longer offered: it is offered again when it is back", path.display())
        }
        IndexNotice::Lacking { name, kind: Kind::Collection, cause } => {
            format!("files of {name} cannot be read for now: {cause}; they are tried again until they can")
        }
        IndexNotice::Lacking { name, kind: Kind::File, cause } => {
            format!("{name} cannot be read for now: {cause}; it is tried again until it can")
        }
        IndexNotice::LeadsTo { path, real } if path == real => {
            format!("{} is no link any more: what is there itself is shared", path.display())
        }
        IndexNotice::LeadsTo { path, real } => {
            format!("{} leads to {} now: what is there is shared", path.display(), real.display())
        }
        IndexNotice::NameTaken(path) => format!(
            "{} is not shared because its name is already offered: rename it, or name it with --list",
            path.display()
        ),
        IndexNotice::NoTree { name, cause } => {
            format!("{name} is offered file by file only because {cause}: share parts of it on their own")
        }
        IndexNotice::Omitted(of) => omission(of),
        IndexNotice::StillOffered { first: Unseen { path, cause, .. }, more } => {
            let others = if *more == 0 { String::new() } else { format!(" and {more} more") };
            let (path, cure) = (shown(path), advice(cause.kind));
            format!("{path}{others} cannot be looked at because {cause}: what was offered of it stays offered, {cure}")
        }
        IndexNotice::Unreadable { path, cause } => {
            format!("{} is left out until it can be read: {cause}", path.display())
        }
        IndexNotice::Unsettled { path, root: None, .. } => format!(
            "{} is being written all the time: it can be fetched when it has not changed for a moment",
            path.display()
        ),
        IndexNotice::Unsettled { path, more, root: Some(root) } => {
            let more = if *more == 0 { String::new() } else { format!(" (with {more} more files)") };
            format!(
                "{} is left out of {root}{more} because it is being written all the time: it is in it again when it has \
                 not changed for some seconds",
                path.display()
            )
        }
        IndexNotice::Unwatched(of) => unwatched(of),
    }
}

fn broken(kind: Kind, root: &Path, first: &Path, more: usize) -> String {
    let (root, first) = (root.display(), first.display());
    let more = if more == 0 { String::new() } else { format!(" (and {more} more files)") };
    match kind {
        Kind::File => format!("{first} is no longer served because it is not what was fetched any more"),
        Kind::Collection => format!(
            "{root} is no longer offered as the tree that was fetched because {first}{more} is missing or another file \
             now: its other files are still offered, each by itself"
        ),
    }
}

fn unwatched(Unwatched { path, cause }: &Unwatched) -> String {
    let what = path.as_ref().map_or_else(|| "the shared paths".to_owned(), |path| path.display().to_string());
    let (cause, cure) = match cause {
        Cause::Full => ("the system watches no more directories", "raise the sysctl fs.inotify.max_user_watches"),
        Cause::Instances => ("the system has no more watchers", "raise the sysctl fs.inotify.max_user_instances"),
        Cause::Other(cause) => (cause.as_str(), "check that the path can be read"),
    };
    format!(
        "changes of {what} are noticed only every 30 s, or later where there is much to look through, because {cause}: {cure}"
    )
}
