//! The command line as types. Global flags stand before or after the subcommand, or on both sides: repeatable
//! ones add up, of the others the later one holds.
//! Not responsible for environment and configuration: see `settings`.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgMatches, Args, FromArgMatches as _, Subcommand};

use crate::model::PeerTarget;
use crate::model::address::{NODE_PORT, TRACKER_PORT, TargetError};
use crate::node::{MAX_CONNECTIONS, PeerRef, PeerRefError};

mod advice;
mod commands;
mod help;
mod put;

pub(crate) use commands::{
    BenchArgs, CompletionsArgs, DemoArgs, FriendNode, FriendsCommand, GetArgs, HashArgs, JobsArgs, JobsCommand,
    LimitArgs, LocateArgs, LsArgs, ManArgs, NodeArgs, OneOrAll, SearchArgs, ShareArgs, Shell, ShellArgs, TrackerArgs,
    TrustCommand, UnshareArgs, Which,
};
pub(crate) use put::{InboxArgs, InboxCommand, OneOrAll as OfferOrAll, PutArgs};

// A doc comment here would become the text of every command's help.
#[derive(Args, Debug, Clone, Default, PartialEq, Eq)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Where identity, caches and configuration are kept [$QSHARE_HOME; else the platform's data directory]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(crate) home: Option<PathBuf>,
    /// The configuration file [else config.toml in the home, if it is there]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,
    /// A tracker to look at and to announce to, port 4917 unless given; repeatable [$QSHARE_TRACKER; else the configuration]
    #[arg(long, value_name = "[ID@]HOST[:PORT]", value_parser = tracker, hide_short_help = true)]
    pub(crate) tracker: Vec<PeerTarget>,
    /// A node to keep as a neighbour and to ask directly, port 4918 unless given; repeatable [else the configuration]
    #[arg(long, value_name = "[ID@]HOST[:PORT]", value_parser = peer, hide_short_help = true)]
    pub(crate) peer: Vec<PeerTarget>,
    /// Neighbours are exactly the --peers and whoever dials; none are asked for or told
    #[arg(long, hide_short_help = true)]
    pub(crate) only_peers: bool,
    /// Neither look for nodes on the local network nor be found there
    #[arg(long, hide_short_help = true)]
    pub(crate) no_lan: bool,
    /// How many links a search over neighbours travels, 1 to 7 [default: 2, then 3, then 5 while nothing comes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=7), hide_short_help = true)]
    pub(crate) ttl: Option<u8>,
    /// One JSON object a line on standard output, nothing else there
    #[arg(long, hide_short_help = true)]
    pub(crate) json: bool,
    /// Errors and results only
    #[arg(short, long, hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Say what happens; twice for every request, three times for the transport too
    #[arg(short, long, action = ArgAction::Count, hide_short_help = true)]
    pub(crate) verbose: u8,
    /// No bars and no periodic lines
    #[arg(long, hide_short_help = true)]
    pub(crate) no_progress: bool,
    /// Tables with whole ids and all columns, also on a terminal that is narrower
    #[arg(long, hide_short_help = true)]
    pub(crate) wide: bool,
}

impl Globals {
    /// As this command has them: what programs follow has no other form than JSON.
    pub(crate) fn of(self, command: &Command) -> Self {
        Self { json: self.json || matches!(command, Command::Events), ..self }
    }

    /// With what was given later.
    pub(crate) fn with(mut self, later: Self) -> Self {
        self.absorb(later);
        self
    }

    fn absorb(&mut self, later: Self) {
        self.home = later.home.or_else(|| self.home.take());
        self.config = later.config.or_else(|| self.config.take());
        self.tracker.extend(later.tracker);
        self.peer.extend(later.peer);
        self.only_peers |= later.only_peers;
        self.no_lan |= later.no_lan;
        self.ttl = later.ttl.or(self.ttl);
        self.json |= later.json;
        self.quiet |= later.quiet;
        self.verbose = self.verbose.saturating_add(later.verbose);
        self.no_progress |= later.no_progress;
        self.wide |= later.wide;
    }
}

// A doc comment here would become the text of the program's help.
#[derive(Subcommand, Debug, Clone)]
pub(crate) enum Command {
    /// Keep the directory: who offers what
    Tracker(TrackerArgs),
    /// Offer files and directories until stopped
    Share(ShareArgs),
    /// Fetch something by words or id, from everyone who has it at once
    Get(GetArgs),
    /// Show and steer what this home's running node fetches by itself
    Jobs(JobsArgs),
    /// Show or change the rates of this home's running node
    Limit(LimitArgs),
    /// Send something to single nodes, which accept or decline it
    Put(PutArgs),
    /// Show, accept or decline what other nodes have sent here
    Inbox(InboxArgs),
    /// Type commands one after the other, while transfers go on
    ///
    /// Hits and jobs have numbers that later commands take.
    Shell(ShellArgs),
    /// Run this home's node, with what its configuration offers
    Node(NodeArgs),
    /// Offer something no longer, nor keep it
    Unshare(UnshareArgs),
    /// Look for names
    Search(SearchArgs),
    /// Show the nodes near this one and, as far as --ttl says, theirs
    Neighbours,
    /// List the nodes that the trackers and the neighbours know
    Peers,
    /// List what a peer offers, or what a collection holds
    Ls(LsArgs),
    /// Show who offers an id, or what words name
    Locate(LocateArgs),
    /// Print or check content ids of files, as b3sum does
    Hash(HashArgs),
    /// Show this home, its running node, and partial files here
    Status,
    /// Follow what this home's running node reports, as JSON lines
    Events,
    /// End the running node of this home, with the commands that go through it
    ///
    /// Transfers that it keeps go on when it runs again; a `share` or a `get` that goes through it ends and says so.
    Stop,
    /// Print this home's node id
    Id,
    /// Show or forget which keys were seen at which address
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Give names to nodes, which may then be served alone
    ///
    /// Friends are dialled first and shown by name.
    #[command(subcommand)]
    Friends(FriendsCommand),
    /// Measure what the network and the disks give
    Bench(BenchArgs),
    /// Say what works here: port, multicast, buffers, paths, clocks
    Doctor,
    /// See it work: tracker, three providers, a download, all here
    Demo(DemoArgs),
    /// Print what a shell needs to complete commands, friends and ids
    Completions(CompletionsArgs),
    /// Print the manual page, or that of a command
    Man(ManArgs),
}

/// The parser: global flags are known to the program and to every subcommand.
pub(crate) fn parser() -> clap::Command {
    let root = clap::Command::new("qshare")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .subcommand_required(true)
        .subcommand_value_name("COMMAND")
        .arg_required_else_help(true);
    help::with_examples(advice::taking_negatives(with_globals(Command::augment_subcommands(root))))
}

fn with_globals(command: clap::Command) -> clap::Command {
    Globals::augment_args(command).mut_subcommands(with_globals)
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// clap's: usage errors, and the wish for help or the version.
pub(crate) fn parse(line: impl IntoIterator<Item = OsString>) -> Result<(Globals, Command), clap::Error> {
    let line: Vec<OsString> = line.into_iter().collect();
    let matches =
        parser().try_get_matches_from(&line).map_err(|error| advice::advised(help::suggesting(error), &line))?;
    let mut globals = Globals::default();
    let mut level: Option<&ArgMatches> = Some(&matches);
    while let Some(matches) = level {
        globals.absorb(Globals::from_arg_matches(matches)?);
        level = matches.subcommand().map(|(_, below)| below);
    }
    Ok((globals, Command::from_arg_matches(&matches)?))
}

/// The command of a line, by its name.
pub(crate) fn command_of(line: &[OsString]) -> Option<String> {
    parser().try_get_matches_from(line).ok()?.subcommand_name().map(ToOwned::to_owned)
}

/// A tracker's place.
pub(crate) fn tracker(text: &str) -> Result<PeerTarget, String> {
    PeerTarget::parse(text, TRACKER_PORT).map_err(misread)
}

/// A node's place.
pub(crate) fn peer(text: &str) -> Result<PeerTarget, String> {
    PeerTarget::parse(text, NODE_PORT).map_err(misread)
}

/// A node, whichever way it is named.
pub(crate) fn any_peer(text: &str) -> Result<PeerRef, String> {
    text.parse().map_err(|error| match error {
        PeerRefError::Target(error) => misread(error),
        PeerRefError::Form(_) => error.to_string(),
    })
}

/// Why it is no place, and where an id is to be had.
fn misread(error: TargetError) -> String {
    match error {
        TargetError::Bare(_) | TargetError::Form(_) => error.to_string(),
        TargetError::Id(_) => format!("{error}, which `qshare id` prints there and `qshare peers --wide` here"),
    }
}

/// A time: a number of seconds, or with units.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let with_units = || humantime::parse_duration(text).ok();
    seconds.or_else(with_units).ok_or_else(|| "give seconds as a number, or a time such as 30s, 5m or 1h30m".to_owned())
}

/// An address for a tracker to listen on.
pub(crate) fn tracker_listen(text: &str) -> Result<SocketAddr, String> {
    listen(text, TRACKER_PORT)
}

/// The same for a node.
pub(crate) fn node_listen(text: &str) -> Result<SocketAddr, String> {
    listen(text, NODE_PORT)
}

/// Without its port the usual one, as everywhere.
fn listen(text: &str, usual: u16) -> Result<SocketAddr, String> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = || inner.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, usual));
    let wrong =
        || format!("give an IP address of this machine, with a port or without, such as 0.0.0.0 or [::]:{usual}");
    text.parse().ok().or_else(alone).ok_or_else(wrong)
}

/// How many connections to a provider.
pub(crate) fn connections(text: &str) -> Result<NonZeroU8, String> {
    let given = text.parse().ok().filter(|given: &NonZeroU8| usize::from(given.get()) <= MAX_CONNECTIONS);
    given.ok_or_else(|| format!("give a number from 1 to {MAX_CONNECTIONS}"))
}

#[cfg(test)]
mod tests;
