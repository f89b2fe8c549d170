//! The arguments of each command. Not responsible for what they mean together with settings.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help that people read: [ID@] is no link")]

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::args::{connections, duration, listen, peer, tracker};
use crate::model::address::TargetError;
use crate::model::{FriendName, NodeId, PeerTarget, Rate};
use crate::node::{MAX_BENCH_BYTES, Pattern, PeerRef};

#[derive(Args, Debug, Clone)]
pub(crate) struct TrackerArgs {
    /// The UDP address [default: any, port 4917 or the next free one, which is told]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen)]
    pub(crate) listen: Option<SocketAddr>,
    /// Serve only the node ids in this file, one a line; it is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct ShareArgs {
    /// Files and directories
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Offer more, from a file of `name<TAB>path` lines
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,
    /// Leave out what matches; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Leave out what .gitignore files say too, and not only .qshareignore files
    #[arg(long)]
    pub(crate) gitignore: bool,
    /// The UDP address [default: any, port 4918 or the next free one, which is told]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen)]
    pub(crate) listen: Option<SocketAddr>,
    /// The most that all uploads take together: bytes a second, such as 50M, 50MiB/s or 100Mbit/s
    #[arg(long, value_name = "RATE")]
    pub(crate) limit: Option<Rate>,
    /// Serve friends only: strangers are refused, and no offer is announced by name
    #[arg(long)]
    pub(crate) friends_only: bool,
    /// Share key stores, .env files, shell histories and the like too
    #[arg(long)]
    pub(crate) include_secrets: bool,
    /// Allow `/` or a home directory itself
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct GetArgs {
    /// Words of its name, a directory of it (papers/physics), or ids
    #[arg(value_name = "WORDS|ID", required = true)]
    pub(crate) words: Vec<String>,
    /// Into this directory or to this file name; `-` writes one file to standard output
    #[arg(short, long, value_name = "PATH|-")]
    pub(crate) output: Option<PathBuf>,
    /// Only from this peer: a friend's name, node id, at least 8 characters of it, or [ID@]HOST[:PORT] (4918)
    #[arg(long, value_name = "PEER")]
    pub(crate) from: Option<PeerRef>,
    /// Every thing that the words match, and not only the one that is meant
    #[arg(long)]
    pub(crate) all: bool,
    /// Only the files of the collection that match; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<Pattern>,
    /// Not the files of the collection that match, nor what is below directories that do; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<Pattern>,
    /// Show what would be fetched, to where and from whom, and change nothing; ends with 0 also where other content is in the way, and as the get would where the place takes nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Replace files that exist with other content
    #[arg(long)]
    pub(crate) force: bool,
    /// Replace files that exist with other content and are older, leave the others; implies --times
    #[arg(long, conflicts_with = "force")]
    pub(crate) update: bool,
    /// Apply modification times
    #[arg(long)]
    pub(crate) times: bool,
    /// Say at the end where the time went and what limited it
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) explain: bool,
    /// Go on serving it after the end, until stopped
    #[arg(long, conflicts_with_all = ["no_share", "dry_run"])]
    pub(crate) seed: bool,
    /// Never serve it to others
    #[arg(long)]
    pub(crate) no_share: bool,
    /// The most to fetch: bytes a second, such as 50M, 50MiB/s or 100Mbit/s
    #[arg(long, value_name = "RATE")]
    pub(crate) limit: Option<Rate>,
    /// The most that all uploads take together
    #[arg(long, value_name = "RATE")]
    pub(crate) upload_limit: Option<Rate>,
    /// Connections to each provider, 1 to 8 [default: to a fast one up to 4, one for every two cores]
    #[arg(long, value_name = "N", value_parser = connections)]
    pub(crate) connections: Option<NonZeroU8>,
    /// How long to go on while nothing comes: seconds, or such as 5m [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// The most files and directories of a collection [default: 200000]
    #[arg(long, value_name = "N")]
    pub(crate) max_files: Option<u32>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct SearchArgs {
    /// Words, each of them somewhere in the name
    #[arg(value_name = "WORDS", required = true)]
    pub(crate) words: Vec<String>,
    /// How many hits to show [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit_hits: Option<u32>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct LsArgs {
    /// A peer (friend's name, node id, at least 8 characters of it, or [ID@]HOST[:PORT]), or a collection, by id or by name
    #[arg(value_name = "PEER|ID|NAME", required = true)]
    pub(crate) words: Vec<String>,
    /// The most files and directories of a collection [default: 200000]
    #[arg(long, value_name = "N")]
    pub(crate) max_files: Option<u32>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct LocateArgs {
    /// A content id, or words of a name
    #[arg(value_name = "ID|WORDS", required = true)]
    pub(crate) words: Vec<String>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct HashArgs {
    /// Files, and directories with all their files; `-` or none is standard input
    #[arg(value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,
    /// Read ids and paths from these files, as this command prints them, and say which still have them
    #[arg(short, long)]
    pub(crate) check: bool,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub(crate) enum TrustCommand {
    /// List which key was seen at which address
    List,
    /// Trust whoever is seen next at this address
    Forget {
        /// The address, as it was given; without its port that of a tracker and of a node
        #[arg(value_name = "HOST[:PORT]")]
        target: Forgettable,
    },
}

/// The addresses that are meant by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forgettable(pub(crate) Vec<PeerTarget>);

impl FromStr for Forgettable {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        text.parse().map(|one| Self(vec![one])).or_else(|_| Ok(Self(vec![tracker(text)?, peer(text)?])))
    }
}

#[derive(Args, Debug, Clone)]
pub(crate) struct FriendsArgs {
    #[command(subcommand)]
    pub(crate) command: FriendsCommand,
}

#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub(crate) enum FriendsCommand {
    /// Call a node by a name; an address is where it is looked for first
    Add {
        /// What you call it
        #[arg(value_name = "NAME")]
        name: FriendName,
        /// Its node id, as `qshare id` prints it there
        #[arg(value_name = "ID[@HOST[:PORT]]")]
        node: FriendNode,
    },
    /// List all friends
    List,
    /// Forget a name
    Remove {
        /// The name
        #[arg(value_name = "NAME")]
        name: FriendName,
    },
}

/// A friend's node, and where it is if that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FriendNode {
    pub(crate) id: NodeId,
    pub(crate) at: Option<PeerTarget>,
}

impl FromStr for FriendNode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target = text.contains('@').then(|| peer(text).map_err(|error| error.to_string()));
        let at = target.transpose()?;
        let id = match &at {
            Some(target) => target.id.ok_or("the node id is missing")?,
            None => text.parse().map_err(|_| "give the 52 characters that `qshare id` prints there")?,
        };
        Ok(Self { id, at })
    }
}

#[derive(Args, Debug, Clone)]
pub(crate) struct BenchArgs {
    /// Be the end that is measured, at this UDP address
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen, group = "end", required = true)]
    pub(crate) listen: Option<SocketAddr>,
    /// Measure to the other end
    #[arg(value_name = "HOST[:PORT]", value_parser = peer, group = "end", required = true)]
    pub(crate) target: Option<PeerTarget>,
    /// Bytes of each of the four tests, at most 16GiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = bench_bytes, conflicts_with = "listen")]
    pub(crate) bytes: u64,
}

/// A size is written like a rate.
fn bench_bytes(text: &str) -> Result<u64, String> {
    let bytes = text.parse::<Rate>().map(Rate::get).ok();
    let bytes = bytes.filter(|bytes| *bytes <= MAX_BENCH_BYTES);
    bytes.ok_or_else(|| "give a size from 1B to 16GiB, such as 64MiB or 1GB".to_owned())
}

#[derive(Args, Debug, Clone)]
pub(crate) struct DemoArgs {
    /// What to share [default: a generated tree of about 256 MiB]
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
