//! What is wrong on this machine: paths, the home, the socket; and what to do about it.

use crate::cli::say::share::omission;
use crate::io::home::HomeError;
use crate::io::home::identity::IdentityError;
use crate::io::net::endpoint::BindError;
use crate::io::net::lan::LanError;
use crate::io::receive::accepts::AcceptError;
use crate::io::receive::dest::DestError;
use crate::io::receive::existing::ExistingError;
use crate::io::receive::partial::PartialError;
use crate::io::share::scan::SurveyError;
use crate::model::{Cause, Obstacle};

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
                kind @ (Obstacle::FileTable | Obstacle::OpenFiles) => kind.advice(),
                _ => "choose another address or port with --listen",
            };
            format!("{error}: {advice}")
        }
        BindError::Keys(error) => identity(error),
        BindError::Tls(_) => error.to_string(),
    }
}

pub(super) fn dest(error: &DestError) -> String {
    let hint = match error {
        DestError::Exists { .. } => {
            "move it away, choose another place with -o, or replace a different file with --force"
        }
        DestError::Io { source, .. } => return format!("{error}; {}", remedy(source)),
        DestError::Link { .. } | DestError::NotADirectory { .. } | DestError::OfAnother { .. } => {
            "move it away or choose another place with -o"
        }
        DestError::Foreign { .. } | DestError::Linked { .. } | DestError::NotAFile { .. } => return error.to_string(),
    };
    format!("{error}: {hint}")
}

fn remedy(cause: &Cause) -> String {
    let remedy = match cause.kind {
        Obstacle::Name => "this file system takes no such name: choose another place with -o",
        Obstacle::NotDirectory => "check the path, a part of it is a file, or choose another place with -o",
        Obstacle::NotFound => {
            "it is not there: check the path, or run the same command again if it was removed meanwhile"
        }
        Obstacle::OtherDevice => "it is another file system: give a directory inside it with -o",
        Obstacle::Permission => "check its permissions or choose another place with -o",
        Obstacle::ReadOnly => "choose another place with -o",
        Obstacle::Unsupported => "its file system cannot do what is needed: choose another place with -o",
        kind => return format!("{} and run the same command again: what was verified is kept", kind.advice()),
    };
    remedy.to_owned()
}

pub(super) fn existing(error: &ExistingError) -> String {
    let hint = match error {
        ExistingError::Blocked { .. } => "move what is there away or choose another place with -o",
        ExistingError::Different { .. } => "choose another place with -o, or replace what differs with --force",
    };
    format!("{error}: {hint}")
}

pub(super) fn home(error: &HomeError) -> String {
    match error {
        HomeError::Absent => format!("{error}: set HOME, or give one with --home"),
        HomeError::Io { source, .. } => format!("{error}: {}, or give another with --home", source.kind.advice()),
        HomeError::Locked { .. } => format!("{error}: stop it, or give another directory with --home"),
    }
}

pub(super) fn identity(error: &IdentityError) -> String {
    match error {
        IdentityError::Io { cause, .. } => format!("{error}: {}, or use another --home", cause.kind.advice()),
        IdentityError::Generate(_) | IdentityError::Malformed { .. } => error.to_string(),
    }
}

pub(super) fn lan(error: &LanError) -> String {
    match error {
        LanError::Daemon(_) => format!("{error}; give --no-lan to do without"),
        LanError::Flooded => format!("{error}: find out who, or name nodes with --peer or --tracker"),
    }
}

pub(super) fn partial(error: &PartialError) -> String {
    match error {
        PartialError::Dest(error) => dest(error),
        PartialError::InUse { .. } => {
            format!("{error}: wait until that transfer ends, or choose another place with -o")
        }
        PartialError::Reserved { .. } => format!("{error}: choose another with -o"),
        PartialError::Space(_) => format!("{error}: free some space or choose another place with -o"),
        _ => error.to_string(),
    }
}

pub(super) fn survey(error: &SurveyError) -> String {
    match error {
        SurveyError::Duplicate { .. } => format!("{error}: rename one of them, or name them with --list"),
        SurveyError::Nothing(Some(first)) => format!("{error}: {}", omission(first)),
        SurveyError::Name { .. } => format!("{error}: give it another with --list"),
        SurveyError::Whole { .. } => format!("{error}: name directories in it, or add --all"),
        _ => error.to_string(),
    }
}
