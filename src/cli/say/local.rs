//! What is wrong on this machine: paths, the home, the socket; and what to do about it.

use crate::config::ConfigError;
use crate::io::home::HomeError;
use crate::io::home::identity::IdentityError;
use crate::io::home::lines::LinesError;
use crate::io::net::endpoint::BindError;
use crate::io::net::lan::LanError;
use crate::io::receive::accepts::AcceptError;
use crate::io::receive::dest::DestError;
use crate::io::receive::existing::ExistingError;
use crate::io::receive::partial::PartialError;
use crate::model::text::shell::quoted;
use crate::model::{Cause, Obstacle};
use crate::node::ControlError;

/// What to do about what the system refused, as the beginning of an advice.
pub(crate) const fn advice(of: Obstacle) -> &'static str {
    match of {
        Obstacle::Busy => "stop the program that uses it",
        Obstacle::Directory => "give a file and not a directory",
        Obstacle::Closed | Obstacle::Disk | Obstacle::OtherDevice => "see that the disk is well",
        Obstacle::FileSize => {
            "raise the limit of a file's size (ulimit -f), or use a file system that takes larger files"
        }
        Obstacle::FileTable => "end other programs or raise the sysctl fs.file-max",
        Obstacle::Kind => "give a regular file and not a device, pipe or socket",
        Obstacle::Loop => "mend its links (they lead in a circle)",
        Obstacle::Name => "use a shorter or simpler name",
        Obstacle::NotFound => "check the path",
        Obstacle::NotDirectory => "check the path (a part of it is a file)",
        Obstacle::OpenFiles => "raise the limit of open files (ulimit -n)",
        Obstacle::Permission => "check its permissions and its owner",
        Obstacle::Quota => "free some of your quota there",
        Obstacle::ReadOnly => "make its file system writable",
        Obstacle::Space => "free some space there",
        Obstacle::Text => "save it as text in UTF-8",
        Obstacle::Unsupported => "its file system cannot do what is needed, use another one",
        Obstacle::Unreachable => "see that its file system is mounted and its server answers",
    }
}

pub(super) fn accept(error: &AcceptError) -> String {
    let out = match error {
        AcceptError::Collision { .. } => "leave one out with --only",
        AcceptError::Dest(error) => return dest(error),
        AcceptError::Name { .. } | AcceptError::TooLong { .. } => "leave it out with --only",
    };
    format!("{error}: choose another place with -o, or {out}")
}

pub(super) fn bind(error: &BindError) -> String {
    match error {
        BindError::Address { cause, .. } => {
            // Most causes lie in the address.
            let advice = match cause.kind {
                kind @ (Obstacle::FileTable | Obstacle::OpenFiles) => advice(kind),
                _ => "choose another address or port with --listen",
            };
            format!("{error}: {advice}")
        }
        BindError::Keys(error) => identity(error),
        BindError::Tls(_) => error.to_string(),
    }
}

pub(super) fn control(error: &ControlError) -> String {
    let kill = |pid: &Option<u32>| {
        pid.map_or_else(|| "end that process".to_owned(), |pid| format!("end it with `kill {pid}`"))
    };
    match error {
        ControlError::Own => format!("{error}, so there is nothing to leave to it: do without --detach for a copy"),
        ControlError::Brief => format!("{error}, and keeps no transfers: `qshare node` starts one that does"),
        ControlError::Moved { .. } => {
            format!("{error} since this was asked for: put it back, or cancel this and fetch it to another place")
        }
        ControlError::Paused { job, .. } => format!("{error}: `qshare jobs resume {job}` goes on with it"),
        ControlError::Cancelled { .. } | ControlError::Cut { .. } | ControlError::Lost => {
            format!("{error}: run the same command again")
        }
        ControlError::Stopped { job: None } => {
            format!("{error}, and with it this: `qshare node` or `qshare share` starts one again")
        }
        ControlError::Stopped { job: Some(job) } => {
            format!("{error}: job {job} goes on when `qshare node` or `qshare share` has started one again")
        }
        ControlError::NotKept { cause, .. } => {
            format!("{error}, so nothing of it is offered; {}", remedy(cause))
        }
        ControlError::NotOffered { .. } => format!("{error}: `qshare share` lists what is"),
        ControlError::StillKept { cause, .. } => format!("{error}, so it stays offered; {}", remedy(cause)),
        ControlError::Otherwise { name } => {
            format!("{error}: end the other offer with `qshare unshare {}` first", quoted(name.as_str()))
        }
        ControlError::NotRunning => format!("{error}: `qshare node` or `qshare share` starts one"),
        ControlError::OtherDirectory { .. } => {
            format!("{error}: give a path that both see, as a service may have a /tmp of its own")
        }
        ControlError::OtherKey { .. } => {
            format!(
                "{error}: stop that node and start it again, or remove the file `control` in the home's directory `node`"
            )
        }
        ControlError::OtherVersion { .. } | ControlError::Protocol(_) => {
            format!("{error}: stop it with `qshare stop` and start it again")
        }
        ControlError::Silent { elsewhere: true, .. } => {
            format!("{error}: it runs on another host or in another container, so run this command there")
        }
        ControlError::Silent { pid, .. } => format!("{error}: wait until it does, or {}", kill(pid)),
        ControlError::Stays { pid } => format!("{error}: {}", kill(pid)),
        sent => put(sent),
    }
}

/// What keeps something from being sent, or from being taken out of the inbox.
fn put(error: &ControlError) -> String {
    match error {
        ControlError::NoInboxDir { cause, .. } => {
            format!("{error}, so it was not accepted: give another directory with -o, or {}", remedy(cause))
        }
        ControlError::NoOffer { .. } => format!("{error}: `qshare inbox` shows how each stands"),
        ControlError::LostThere { .. } => format!("{error}: have it sent again"),
        ControlError::LongText { .. } => format!("{error}: put it into a file"),
        ControlError::TooManyItems { .. } => format!("{error}: put them into a directory"),
        ControlError::TooManyReceivers { .. } => format!("{error}: send it several times"),
        ControlError::Unhashed { .. } => format!("{error}: wait until nothing writes there, and check its permissions"),
        ControlError::Itself => format!("{error}: give another one with --to"),
        ControlError::Nameless { .. } => {
            format!("{error}: give its node id before the address (ID@HOST:PORT), or try again when it runs")
        }
        ControlError::OtherSource { is_gone: true, .. } => {
            format!("{error}, so it is sent no longer: put it back and send it again")
        }
        ControlError::OtherSource { .. } => format!("{error}, so it is sent no longer: send it again as it is now"),
        ControlError::Undecided { .. } => {
            format!(
                "{error}: it is offered no longer; --wait goes on for longer, --detach leaves it to the running node"
            )
        }
        ControlError::NoPut { .. } => format!("{error}: `qshare put` lists what is"),
        ControlError::PutOver { number } => format!("{error}: `qshare put --clear {number}` takes it off the list"),
        ControlError::PutStands { number } => format!("{error}: `qshare put --cancel {number}` ends it"),
        error => error.to_string(),
    }
}

pub(super) fn dest(error: &DestError) -> String {
    let hint = match error {
        DestError::Absent { path, .. } if path.to_string_lossy().ends_with('/') => {
            "and it cannot be made there: choose another place with -o"
        }
        DestError::Absent { .. } => {
            "make it, or end the path of -o with a slash to have it made as a directory for the result"
        }
        DestError::Exists { .. } => {
            "move it away, choose another place with -o, or replace a different file with --force"
        }
        DestError::Io { source, .. } => return format!("{error}; {}", remedy(source)),
        DestError::Link { .. } | DestError::NotADirectory { .. } | DestError::OfAnother { .. } => {
            "move it away or choose another place with -o"
        }
        DestError::Foreign { .. } | DestError::NotAFile { .. } => "move it away and run the same command again",
        DestError::Linked { .. } => "remove this name and run the same command again",
        DestError::Strayed { .. } => "put it back, or look for it where it is now",
    };
    format!("{error}: {hint}")
}

fn remedy(cause: &Cause) -> String {
    let remedy = match cause.kind {
        Obstacle::Name => "this file system takes no such name: choose another place with -o",
        Obstacle::NotDirectory => "check the path, a part of it is a file, or choose another place with -o",
        Obstacle::NotFound => "check the path, or end that of -o with a slash to have its directories made",
        Obstacle::OtherDevice => "it is another file system: give a directory inside it with -o",
        Obstacle::Permission => "check its permissions or choose another place with -o",
        Obstacle::ReadOnly => "choose another place with -o",
        Obstacle::Unsupported => "its file system cannot do what is needed: choose another place with -o",
        kind => return format!("{} and run the same command again: what was verified is kept", advice(kind)),
    };
    remedy.to_owned()
}

pub(super) fn existing(error: &ExistingError) -> String {
    let hint = match error {
        ExistingError::Blocked { .. } => "move what is there away or choose another place with -o",
        ExistingError::Different { .. } => {
            "choose another place with -o, replace what is older with --update, or all that differs with --force"
        }
    };
    format!("{error}: {hint}")
}

pub(super) fn home(error: &HomeError) -> String {
    match error {
        HomeError::Absent => format!("{error}: set HOME, or give one with --home"),
        HomeError::Io { source, .. } => format!("{error}: {}, or give another with --home", advice(source.kind)),
        // Those have no control socket.
        HomeError::Locked { path, pid } if !path.ends_with("node") => {
            let how = pid.map_or_else(|| "where it runs".to_owned(), |pid| format!("with `kill {pid}`"));
            format!(
                "{error}: end that (Ctrl-C in its terminal, {how}, or with `systemctl stop` where it is a service), or give \
                 another directory with --home"
            )
        }
        HomeError::Locked { .. } => {
            format!("{error}: end that (`qshare stop`, or `quit` in a shell), or give another directory with --home")
        }
    }
}

pub(super) fn identity(error: &IdentityError) -> String {
    match error {
        IdentityError::Io { cause, .. } => format!("{error}: {}, or use another --home", advice(cause.kind)),
        IdentityError::Generate(_) => error.to_string(),
        IdentityError::Malformed { .. } => format!("{error}: restore it, or remove it to get a new identity"),
    }
}

pub(super) fn config(error: &ConfigError) -> String {
    match error {
        ConfigError::Refused { .. } => format!(
            "{error}; config/default.toml, which packages put into /usr/share/doc/qshare/examples, has every setting"
        ),
        ConfigError::Unreadable { source, .. } => format!("{error}: {}", advice(source.kind)),
    }
}

/// A small file of the home, or the list of those that a tracker serves.
pub(crate) fn lines(error: &LinesError) -> String {
    match error {
        LinesError::Io { cause, .. } => format!("{error}: {}", advice(cause.kind)),
        LinesError::Malformed { .. } => format!("{error}: repair or remove it"),
    }
}

pub(super) fn lan(error: &LanError) -> String {
    match error {
        LanError::Daemon(_) | LanError::Ended(_) | LanError::Start { .. } | LanError::Unread(_) => {
            format!("{error}; give --no-lan to do without")
        }
        LanError::Flooded => format!("{error}: find out who, or name nodes with --peer or --tracker"),
    }
}

pub(super) fn partial(error: &PartialError) -> String {
    let hint = match error {
        PartialError::Appeared { .. } => "move it away and run the same command again, nothing is fetched twice",
        PartialError::Damaged { .. } => {
            "run the same command again, what is right is kept and only the rest is fetched"
        }
        PartialError::Dest(error) => return dest(error),
        PartialError::Halted => "run the same command again, what was verified is kept",
        PartialError::InUse { .. } => "wait until that transfer ends, or choose another place with -o",
        PartialError::Kind { .. } => "it is kept, run the same command again when somebody offers the collection",
        PartialError::Reserved { .. } => "choose another with -o",
        PartialError::Space(_) => "free some space or choose another place with -o",
        PartialError::Unit { .. } => "please report this as a bug",
        PartialError::Vanished { .. } => "run the same command again, what is not lost with it is kept",
        PartialError::Version { .. } => "finish with that one, or remove it and its .part to begin anew",
    };
    format!("{error}: {hint}")
}
