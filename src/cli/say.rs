//! What a person reads about an error or a notice of the floors below: the cause, and what to do about it in the words of
//! this command line. Friends are shown by name. Not responsible for where it is shown.

mod doctor;
mod lack;
mod local;
pub(crate) mod log;
pub(crate) mod names;
mod notice;
mod share;
mod suggest;

use std::collections::BTreeSet;

use crate::actors::connections::ConnectError;
use crate::actors::download::DownloadError;
use crate::cli::failure::Failure;
use crate::cli::signals::Stop;
use crate::io::home::seen::is_prefix;
use crate::io::net::dial::DialError;
use crate::io::net::resolve::ResolveError;
use crate::logic::offers::tally::Beyond;
use crate::model::text::shell::quoted;
use crate::model::{Cause, Hit, NodeId, Obstacle, Plane, Shown};
use crate::node::{Error, Whom};
use crate::wire::{Code, Role};

use lack::Kept;
use names::Names;

pub(crate) use doctor::check;
pub(crate) use local::{advice, lines};
pub(crate) use notice::notice;
pub(crate) use share::{nothing_left, omission, secrets, unportable};
pub(crate) use suggest::{directories, names as suggested, near};

/// Why a command did not end well.
pub(crate) fn failure(failure: &Failure, names: &Names) -> String {
    match failure {
        Failure::Config(config) => local::config(config),
        Failure::Interrupted { stop: Stop::Asked, error: of } => {
            format!("`qshare stop` has ended this: {}", error(of, names))
        }
        Failure::Interrupted { error: of, .. } | Failure::Node(of) => error(of, names),
        Failure::Stopped(Stop::Asked) => "`qshare stop` has ended this: run the same command again".to_owned(),
        Failure::Other(other) => match (other.downcast_ref(), other.downcast_ref()) {
            (Some(error), _) => local::identity(error),
            (_, Some(error)) => lines(error),
            (None, None) => failure.to_string(),
        },
        _ => failure.to_string(),
    }
}

/// Why the node could not do what was asked, and what to do.
pub(crate) fn error(error: &Error, names: &Names) -> String {
    match error {
        Error::Accept(accept) => local::accept(accept),
        Error::Allow(error) | Error::Friends(error) => lines(error),
        Error::Bind(bind) => local::bind(bind),
        Error::Control(control) => local::control(control),
        Error::Dest(dest) => local::dest(dest),
        Error::Download(DownloadError::Stopped) => {
            format!("{error}: run the same command again, what was proven is kept")
        }
        Error::Download(DownloadError::Partial(partial)) | Error::Partial(partial) => local::partial(partial),
        Error::Existing(existing) => local::existing(existing),
        Error::Home(home) => local::home(home),
        Error::Identity(identity) => local::identity(identity),
        Error::Survey(survey) => share::survey(survey),
        Error::Halted { error, .. } if is_meddled(error) => self::error(error, names),
        Error::Halted { error, have, total } => format!("{} ({})", self::error(error, names), Kept(*have, *total)),
        _ => transfer(error, names),
    }
}

/// Whether what is kept cannot be told by what was proven.
fn is_meddled(error: &Error) -> bool {
    match error {
        Error::Dest(error) => error.is_meddled(),
        Error::Download(DownloadError::Partial(error)) | Error::Partial(error) => error.is_meddled(),
        _ => false,
    }
}

/// Errors on the way from words to a result.
fn transfer(error: &Error, names: &Names) -> String {
    match error {
        Error::Ambiguous { what, hits, .. } if hits.len() == 1 => cut(what),
        Error::Ambiguous { what, hits, beyond, .. } => {
            let dirs = directories(what, hits);
            format!("{}: run again with one of their ids, or with more words{dirs}", matches(what, hits, *beyond))
        }
        Error::OtherThanGiven { .. } => format!("{error}: nothing of it is kept; ask whoever offered it"),
        Error::OtherThanShown { .. } => format!("{error}: give more characters of the one that is meant"),
        Error::AmbiguousPeer { prefix, count } => {
            let prefix = names.given(&Shown(prefix).to_string());
            format!("the id prefix `{prefix}` fits {count} nodes: give more of its characters")
        }
        Error::BadCollection { .. } => format!("{error}; nothing of it was written, ask who shares it to rename"),
        Error::Connect { who, source } => format!("{who}: {}", connect(source, names)),
        Error::DoesNotMatch { name } => {
            format!("`{}` is a single file, and --only or --exclude leaves it out: do without to fetch it", Shown(name))
        }
        Error::Forbidden { node, .. } => {
            format!("{error}: ask its operator to allow node {}", names.whole(*node))
        }
        Error::Incomplete { name, have, total, lack } => {
            let (name, cause, advice) = (Shown(name), lack::cause(lack, names), lack::advice(lack));
            format!("`{name}` is incomplete, {} ({cause}): {advice}", Kept(*have, *total))
        }
        Error::Interrupted { have, total } => {
            format!("interrupted, {}: run the same command again to go on", Kept(*have, *total))
        }
        Error::LeftOut { name, without } => {
            format!("nothing of `{}` can be had that was asked for: {}", Shown(name), notice::without(without))
        }
        Error::NoManifest { lack, .. } => format!("{error} ({}): {}", lack::cause(lack, names), lack::advice(lack)),
        Error::NoneMatch { name, id } => {
            format!(
                "no file in `{}` is what --only and --exclude ask for: `qshare ls {id}` shows what it holds",
                Shown(name)
            )
        }
        Error::NotFound { what, asked, near } if near.is_empty() => nothing(what, asked),
        Error::NotFound { what, asked, near } => suggest::instead(what, asked, near),
        Error::NotHashed { lack, .. } => format!(
            "{error} ({}): a file that is written to all the time gets none, else try again in a moment",
            lack::cause(lack, names)
        ),
        Error::Refused { who, code } => format!("{who} refused: {}", refused(*code)),
        Error::Stdout(cause) => stdout(cause),
        Error::UnknownPeer { peer } => format!(
            "no node `{}` is known here: `qshare peers` lists those that a tracker or a neighbour knows",
            names.given(&Shown(peer).to_string())
        ),
        _ => hint(error).map_or_else(|| error.to_string(), |hint| format!("{error}: {hint}")),
    }
}

/// What to do about errors that say all else themselves.
fn hint(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Awaited { .. } => "end it and run the same command again, or wait longer with --wait",
        Error::BadTarget { .. } => "give another with -o",
        Error::Impossible { .. } => "nothing was written, ask somebody else for it with --from",
        Error::Internal(_) => "what was proven is kept, start it again",
        Error::NoFriend { .. } => "`qshare friends list` shows who is, and a node id's beginning takes 8 characters",
        Error::NotAFriend { .. } => "ask its owner to add this node, whose id `qshare id` prints",
        Error::NotACollection { id } => return Some(format!("`qshare locate {id}` shows who has it")),
        Error::NotAFile { .. } => "give a directory with -o DIR/, or the id of one file of it",
        Error::NowhereToLook => "name a tracker with --tracker HOST or a peer with --peer HOST, or do without --no-lan",
        Error::Protocol { .. } => "check that it is of this version",
        Error::Query(_) => "give other words",
        Error::Taken { id, .. } => return Some(format!("get it by itself, `qshare get {id} -o DIR/`")),
        Error::Temporary { source, .. } => return Some(format!("{}, or set TMPDIR to another", advice(source.kind))),
        Error::TooLarge { .. } => "name another provider with --from",
        Error::TooManyFiles { needed, .. } => {
            return Some(format!("get it with --max-files {needed}, or raise the setting `node.max-files`"));
        }
        Error::Unreachable { who, .. } => {
            let (host, port) = who.at.rsplit_once(':').unwrap_or((&who.at, "4917"));
            // Whoever resolves it may be silent itself.
            let named = !host.starts_with('[') && host.parse::<std::net::IpAddr>().is_err();
            let name = if named { "that the name is right, " } else { "" };
            return Some(format!("check {name}that it runs and that UDP port {port} is open on the way"));
        }
        Error::Unreadable { source, .. } => advice(source.kind),
        Error::WrongRole { who, .. } if who.role == Role::Bench => {
            "start `qshare bench --listen ADDR` there and give the port that it tells"
        }
        Error::WrongRole { role, .. } => return Some(format!("check the port, or name it with {}", option(*role))),
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Why there is no link, and what to do.
pub(crate) fn connect(error: &ConnectError, names: &Names) -> String {
    match error {
        ConnectError::ChangedKey { host_port, remembered, found } => {
            let (found, remembered) = (names.whole(*found), names.whole(*remembered));
            format!(
                "{host_port} answered with key {found} where {remembered} was remembered: if it was really reinstalled, \
                 run `qshare trust forget {host_port}`"
            )
        }
        ConnectError::Dial(error) => dial(error, names),
        ConnectError::Resolve(ResolveError::Failed { .. }) => format!("{error}: check its spelling and the network"),
        ConnectError::Resolve(ResolveError::TimedOut { .. }) => {
            format!("{error}: check its spelling and the network, or give an IP address")
        }
        ConnectError::Stopped => error.to_string(),
        ConnectError::Trust(error) => lines(error),
        ConnectError::WrongRole { .. } => format!("{error}: check the port"),
    }
}

fn dial(error: &DialError, names: &Names) -> String {
    let hint = match error {
        DialError::Busy { .. } => "try again later",
        DialError::Forbidden { own, .. } => {
            return format!("{error}: ask its operator to allow node {}", names.whole(*own));
        }
        DialError::NoWelcome { .. } => "it may be overloaded, try again",
        DialError::NotQshare { .. } => "check the port",
        DialError::OwnId(_) => "give another one's address",
        DialError::Silent(_) => "check that it runs there and that no firewall is between",
        DialError::WrongKey { addr, expected, found } => {
            let (found, expected) = (names.whole(*found), names.whole(*expected));
            return format!("{addr} answers as node {found}, not as {expected}: check the id and the address");
        }
        DialError::Cannot { .. }
        | DialError::Lost { .. }
        | DialError::NoAddress
        | DialError::Often { .. }
        | DialError::Refused { .. } => return error.to_string(),
    };
    format!("{error}: {hint}")
}

/// That the words of a `get` match several things, and how to say which. `beneath`: the directory that they name of each.
pub(crate) fn several(what: &str, hits: &[Hit], beyond: Beyond, beneath: Option<&str>) -> String {
    if hits.len() == 1 {
        return cut(what);
    }
    let from = match hits.windows(2).any(|pair| providers(&pair[0]) != providers(&pair[1])) {
        true => ", or by --from for what one provider has",
        false => "",
    };
    let matching = matches(what, hits, beyond);
    if beneath.is_some() {
        return format!("{matching}: say which by its id, `qshare get ID{}`{from}", only(beneath));
    }
    // Those beyond are not taken.
    let all = if beyond.more == 0 { ", or take all with --all" } else { "" };
    format!("{matching}: say which by its id or by more words{from}{all}{}", directories(what, hits))
}

fn matches(what: &str, hits: &[Hit], beyond: Beyond) -> String {
    // Beyond these some may be the same under other names or sizes.
    let least = if beyond == Beyond::default() { "" } else { "at least " };
    format!("`{}` matches {least}{} different things", Shown(what), hits.len())
}

/// That there may be another besides the only one that was heard of.
fn cut(what: &str) -> String {
    format!(
        "`{}` matches one thing that was heard of, but those who were asked know more than they could tell: run again with its id, or \
         with more words",
        Shown(what)
    )
}

fn providers(hit: &Hit) -> BTreeSet<NodeId> {
    hit.providers.iter().map(|one| one.node).collect()
}

/// What of a command takes only this directory of a collection.
pub(crate) fn only(beneath: Option<&str>) -> String {
    let glob = |dir: &str| format!(" --only {}", quoted(&format!("{}/*", globset::escape(dir))));
    beneath.map(glob).unwrap_or_default()
}

/// The first pattern with a slash that is not for the end of paths, made one that is.
fn for_the_end(what: &str) -> Option<String> {
    let mut words = what.split(' ').filter(|word| word.contains('/') && word.contains(['*', '?', '[', '{']));
    let word = words.next().filter(|word| !word.starts_with('*'))?;
    Some(format!("a pattern with a slash is for the whole path, so try {}", quoted(&format!("*/{word}"))))
}

/// That nobody who was asked has it, and where else to look.
pub(crate) fn nothing(what: &str, asked: &Whom) -> String {
    let (pattern, apart) = (for_the_end(what), suggest::apart(what));
    let advice = match asked {
        asked if asked.is_nobody() && asked.near.is_some() => {
            "see that `qshare share` runs on another machine of this network, which `qshare doctor` looks at, or name places \
             to look with --tracker or --peer"
        }
        _ if pattern.is_some() => pattern.as_deref().unwrap_or_default(),
        _ if apart.is_some() => apart.as_deref().unwrap_or_default(),
        Whom { unfinished: true, .. } => {
            "not everyone who was asked has answered, so run it again in a moment, or check how it is spelled"
        }
        _ if is_short(what) => "no name there has it, and the beginning of an id takes at least 8 characters",
        _ if is_prefix(what) => {
            "no name there has it and no id begins so, give the whole id or name more places to look with --tracker"
        }
        _ => "check it, or name more places to look with --tracker or --peer",
    };
    format!("nothing was found for `{}` at {asked}: {advice}", Shown(what))
}

/// Whether it looks like the beginning of an id, of too few characters.
fn is_short(what: &str) -> bool {
    (4..8).contains(&what.len())
        && what.bytes().all(|b| b.is_ascii_hexdigit())
        && what.bytes().any(|b| b.is_ascii_digit())
}

/// Where something was found: `found at a tracker`.
pub(crate) const fn found(plane: Plane) -> &'static str {
    match plane {
        Plane::Here => "offered here",
        Plane::Lan => "found on the local network",
        Plane::Neighbours => "found over neighbours",
        Plane::Peer => "found at the peer itself",
        Plane::Tracker => "found at a tracker",
    }
}

/// Why a result on standard output is not whole.
fn stdout(cause: &Cause) -> String {
    if cause.kind == Obstacle::Closed {
        return "standard output was closed before all of it was written: let what reads it read to its end, or give a \
                file with -o FILE"
            .to_owned();
    }
    let advice = advice(cause.kind);
    format!("standard output cannot be written ({cause}): {advice}, and run the same command again")
}

const fn refused(code: Code) -> &'static str {
    match code {
        Code::Busy => "it is busy, try again in a moment",
        Code::Closing => "it is stopping, try again later",
        Code::NotFound => "it does not have that",
        Code::Unsupported => "it does not answer such requests, check that it is of this version and role",
        _ => "the request was not granted, try again later",
    }
}

const fn option(role: Role) -> &'static str {
    match role {
        Role::Bench => "qshare bench",
        Role::Node => "--peer",
        Role::Tracker => "--tracker",
    }
}

#[cfg(test)]
mod tests;
