//! The commands, one a file.

pub(super) mod bench;
pub(super) mod completions;
pub(super) mod demo;
pub(super) mod doctor;
pub(super) mod events;
pub(super) mod friends;
pub(super) mod get;
pub(super) mod hash;
pub(super) mod id;
pub(super) mod inbox;
pub(super) mod jobs;
pub(super) mod limit;
pub(super) mod listen_lan;
pub(super) mod locate;
pub(super) mod ls;
pub(super) mod man;
pub(super) mod neighbours;
pub(super) mod peers;
pub(super) mod put;
pub(super) mod search;
pub(super) mod share;
pub(super) mod status;
pub(super) mod stop;
pub(super) mod tracker;
pub(super) mod trust;
pub(super) mod unshare;
