//! The arguments of each command. Not responsible for what they mean together with settings.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help that people read: [ID@] is no link")]

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::{any_peer, connections, duration, node_listen, peer, tracker, tracker_listen};
use crate::model::friend::FriendNameError;
use crate::model::{FriendName, NodeId, PeerTarget, Rate, RateLimit};
use crate::node::{JobId, MAX_BENCH_BYTES, Pattern, PeerRef, is_prefix};

#[derive(Args, Debug, Clone)]
pub(crate) struct TrackerArgs {
    /// The UDP address [default: any, port 4917 or the next free one]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = tracker_listen)]
    pub(crate) listen: Option<SocketAddr>,
    /// Serve only the node ids in this file, one a line; it is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) allow: Option<PathBuf>,
}

#[derive(Args, Debug, Clone, Default)]
pub(crate) struct ShareArgs {
    /// Files and directories
    ///
    /// A file is offered under its name, a directory with all that is in it under its own. What is configured as [[share]] is
    /// offered too, and what was kept. Where a node of this home runs already, that offers them, for as long as this command
    /// runs, and for 10 s more if it is killed; without a path what it offers is listed.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Offer more, from a file of `name<TAB>path` lines
    #[arg(long, value_name = "FILE", help_heading = "What is shared")]
    pub(crate) list: Option<PathBuf>,
    /// Leave out what matches, in gitignore syntax; repeatable
    #[arg(long, value_name = "GLOB", help_heading = "What is shared")]
    pub(crate) exclude: Vec<String>,
    /// Leave out .git and what .gitignore files say too, and not only what .qshareignore files say
    #[arg(long, help_heading = "What is shared")]
    pub(crate) gitignore: bool,
    /// Share key stores, .env files, shell histories and the like too
    #[arg(long, help_heading = "What is shared")]
    pub(crate) include_secrets: bool,
    /// Allow `/` or a home directory itself
    #[arg(long, help_heading = "What is shared")]
    pub(crate) all: bool,
    /// Serve friends only
    ///
    /// Others are told nothing of what this command offers, and it is announced to nobody by name.
    #[arg(long, help_heading = "To whom, and how")]
    pub(crate) friends_only: bool,
    /// The UDP address [default: any, port 4918 or the next free one]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = node_listen, help_heading = "To whom, and how")]
    pub(crate) listen: Option<SocketAddr>,
    /// The most that is sent a second of all that this command offers, such as 50M or 100Mbit/s
    ///
    /// A number alone is bytes a second; k, M or G alone count by 1024, as for curl. All uploads of the node: `qshare limit`.
    #[arg(long, value_name = "RATE", help_heading = "To whom, and how")]
    pub(crate) limit: Option<Rate>,
    /// Go on offering it at the next start of this home's node, too, until `qshare unshare`
    #[arg(long, help_heading = "To whom, and how")]
    pub(crate) keep: bool,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct UnshareArgs {
    /// What `qshare share` lists: paths, names, or ids by their first 8 characters or more
    #[arg(value_name = "PATH|NAME|ID", required = true)]
    pub(crate) what: Vec<String>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct GetArgs {
    /// Words of its name, a pattern ('*.pdf'), a directory of it (papers/physics), or ids
    ///
    /// Words that match one thing, or exactly the name of one, fetch it; else those that match are listed, and on a terminal chosen
    /// from. A pattern without a slash is for the last part of a name, else for the whole; `*` and `?` are any characters, `[a-z]`
    /// one of some. An id may be shortened to its first 8 characters or more. Several ids are so many things.
    #[arg(value_name = "WORDS|ID", required = true)]
    pub(crate) words: Vec<String>,
    /// Every thing that the words match, and not only the one that is meant
    #[arg(long, help_heading = "What comes")]
    pub(crate) all: bool,
    /// Only from this peer: a friend, a node id or its beginning, [ID@]HOST[:PORT]
    ///
    /// The beginning of a node id has at least 8 characters, and is one that this home has met. A host without its port means port
    /// 4918.
    #[arg(long, value_name = "PEER", value_parser = any_peer, help_heading = "What comes")]
    pub(crate) from: Option<PeerRef>,
    /// Only the files of the collection that match, such as '*.pdf'; repeatable
    ///
    /// A pattern is tried on the whole path below the collection and on the name alone. With a `!` before it, it leaves out as --exclude does.
    #[arg(long, value_name = "GLOB", help_heading = "What comes")]
    pub(crate) only: Vec<Pattern>,
    /// Not the files that match, nor what is below directories that do; repeatable
    #[arg(long, value_name = "GLOB", value_parser = without, help_heading = "What comes")]
    pub(crate) exclude: Vec<Pattern>,
    /// The most files and directories of a collection [default: 200000]
    #[arg(long, value_name = "N", help_heading = "What comes")]
    pub(crate) max_files: Option<u32>,
    /// Into this directory, or to this file name; `-` is standard output
    ///
    /// A path that ends in a slash or is a directory takes the result under its own name, any other is its name. A directory without
    /// the slash that holds most files of a collection already is that collection. One file alone can be written to standard output.
    #[arg(short, long, value_name = "PATH|-", help_heading = "What is here")]
    pub(crate) output: Option<PathBuf>,
    /// Show what would be fetched, to where and from whom, and change nothing
    ///
    /// It ends as the get would: with 1 where other content is in the way or the place takes nothing. Of several things each has a line,
    /// and all have a sum.
    #[arg(short = 'n', long, help_heading = "What is here")]
    pub(crate) dry_run: bool,
    /// Replace files that exist with other content, and say how many
    #[arg(long, help_heading = "What is here")]
    pub(crate) force: bool,
    /// Replace those that are older, and leave the others; implies --times
    ///
    /// How old the offered files are is the word of one provider. What will be replaced is told first.
    #[arg(long, conflicts_with = "force", help_heading = "What is here")]
    pub(crate) update: bool,
    /// Apply modification times
    #[arg(long, help_heading = "What is here")]
    pub(crate) times: bool,
    /// Go on serving it after the end, until stopped
    ///
    /// Only what is whole is served: a part of a directory is not.
    #[arg(long, conflicts_with_all = ["no_share", "dry_run"], help_heading = "For others")]
    pub(crate) seed: bool,
    /// Never serve it to others
    #[arg(long, help_heading = "For others")]
    pub(crate) no_share: bool,
    /// The most that is sent of it to others, as --limit
    #[arg(long, value_name = "RATE", help_heading = "For others")]
    pub(crate) upload_limit: Option<Rate>,
    /// The most to fetch, such as 50M or 100Mbit/s
    ///
    /// A number alone is bytes a second; k, M or G alone count by 1024, as for curl.
    #[arg(long, value_name = "RATE", help_heading = "How")]
    pub(crate) limit: Option<Rate>,
    /// How long to go on while nothing comes: seconds, or such as 5m [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "How")]
    pub(crate) wait: Option<Duration>,
    /// Connections to each provider, 1 to 8
    ///
    /// Unless given, a fast one gets up to 4, one for every two cores.
    #[arg(long, value_name = "N", value_parser = connections, help_heading = "How")]
    pub(crate) connections: Option<NonZeroU8>,
    /// Leave it to the running node of this home once it is found, print its number and end
    ///
    /// `qshare jobs` shows it. It goes on after a restart of the node, and when whoever has it comes back. What is all there before
    /// it could be left is told as without this.
    #[arg(long, conflicts_with_all = ["seed", "dry_run", "explain"], help_heading = "How")]
    pub(crate) detach: bool,
    /// Say at the end where the time went and what limited it
    #[arg(long, conflicts_with = "dry_run", help_heading = "How")]
    pub(crate) explain: bool,
}

/// The pattern that leaves out what a glob matches.
fn without(glob: &str) -> Result<Pattern, globset::Error> {
    format!("!{glob}").parse()
}

#[derive(Args, Debug, Clone)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JobsArgs {
    /// Show how they get on until none is left that runs or waits
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(subcommand)]
    pub(crate) command: Option<JobsCommand>,
}

#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobsCommand {
    /// End it, and keep what came
    Cancel(Which),
    /// Take those off the list that ended, were cancelled, or failed for good
    Clear {
        /// The number that `qshare jobs` shows; else all that this fits
        #[arg(value_name = "ID|all", value_parser = which, default_value = "all", hide_default_value = true)]
        id: OneOrAll,
    },
    /// Take so much of it at most from now on
    Limit {
        #[command(flatten)]
        which: Which,
        /// Bytes a second, such as 50M or 100Mbit/s; or none
        #[arg(value_name = "RATE|none")]
        rate: RateLimit,
    },
    /// Stop it for a while
    Pause(Which),
    /// Go on with one that was paused
    Resume(Which),
    /// Try one again now that failed or was cancelled
    Retry(Which),
}

#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub(crate) struct Which {
    /// The number that `qshare jobs` shows, or `all`: those that no command follows and that this fits
    #[arg(value_name = "ID|all", value_parser = which)]
    pub(crate) id: OneOrAll,
}

/// One job, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OneOrAll(pub(crate) Option<JobId>);

fn which(text: &str) -> Result<OneOrAll, String> {
    let id = if text == "all" { Ok(None) } else { text.parse().map(Some) };
    id.map(OneOrAll).map_err(|_| "give the number of a job, or `all`".to_owned())
}

#[derive(Args, Debug, Clone)]
pub(crate) struct LimitArgs {
    /// The most that all uploads take together, such as 50M or 100Mbit/s; or none
    ///
    /// A number alone is bytes a second; k, M or G alone count by 1024, as for curl. It holds until the node ends.
    #[arg(long, value_name = "RATE|none")]
    pub(crate) up: Option<RateLimit>,
    /// The same of all downloads, beside what a `get --limit` or `jobs limit` says of one
    #[arg(long, value_name = "RATE|none")]
    pub(crate) down: Option<RateLimit>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct NodeArgs {
    /// Serve friends only
    ///
    /// Others are told nothing of what the configuration offers; what was kept is for whom it was kept for.
    #[arg(long)]
    pub(crate) friends_only: bool,
    /// The UDP address [default: any, port 4918 or the next free one]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = node_listen)]
    pub(crate) listen: Option<SocketAddr>,
    /// The most that all uploads take together, such as 50M or 100Mbit/s
    #[arg(long, value_name = "RATE")]
    pub(crate) limit: Option<Rate>,
}

#[derive(Args, Debug, Clone, Default)]
pub(crate) struct ShellArgs {
    /// The UDP address of a node that runs in the shell [default: any, port 4918 or the next free one]
    ///
    /// Where a node of this home runs already, the shell goes through that.
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = node_listen)]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct SearchArgs {
    /// Words of a name, patterns ('*.pdf'), or the beginning of an id
    ///
    /// A pattern without a slash is for the last part of a name, else for the whole; `*` and `?` are any characters, `[a-z]` one of
    /// some. Where nothing is found, words that are spelled nearly so are told.
    #[arg(value_name = "WORDS", required = true)]
    pub(crate) words: Vec<String>,
    /// How many hits to show [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit_hits: Option<u32>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct LsArgs {
    /// A peer, or a collection or a directory of one, by id or by name
    ///
    /// A peer is a friend's name, a node id or its first 8 characters or more, or [ID@]HOST[:PORT] (port 4918 unless given). Of one
    /// word a friend or a known id goes before what is shared under that name, and that before a host.
    #[arg(value_name = "PEER|ID|NAME", required = true)]
    pub(crate) words: Vec<String>,
    /// The most files and directories of a collection [default: 200000]
    #[arg(long, value_name = "N")]
    pub(crate) max_files: Option<u32>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct LocateArgs {
    /// A content id or its beginning, or words of a name
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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(|one| Self(vec![one])).or_else(|_| Ok(Self(vec![tracker(text)?, peer(text)?])))
    }
}

#[derive(Subcommand, Debug, Clone, PartialEq, Eq)]
pub(crate) enum FriendsCommand {
    /// Call a node by a name; an address is where it is looked for first
    Add {
        /// What you call it
        #[arg(value_name = "NAME", value_parser = new_name)]
        name: FriendName,
        /// Its node id, as `qshare id` prints it there; of one that was shown here the first 8 characters or more
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

/// A name for a friend, and not an address, which would be taken for the place itself elsewhere.
fn new_name(text: &str) -> Result<FriendName, String> {
    if text.contains(':') || text.parse::<IpAddr>().is_ok() {
        return Err(format!("this is an address: give the name first, and the address with the id, `NAME ID@{text}`"));
    }
    text.parse().map_err(|error: FriendNameError| error.to_string())
}

/// A friend's node, and where it is if that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FriendNode {
    /// By the whole id.
    Id(NodeId, Option<PeerTarget>),
    /// By its first characters.
    Prefix(String),
}

impl FromStr for FriendNode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let target = text.contains('@').then(|| peer(text));
        let at = target.transpose()?;
        match at {
            Some(target) => Ok(Self::Id(target.id.ok_or("the node id is missing")?, Some(target))),
            None if is_prefix(text) => Ok(Self::Prefix(text.to_owned())),
            None => text.parse().map(|id| Self::Id(id, None)).map_err(|_| {
                "give the 52 characters that `qshare id` prints there, or the first 8 or more of an id that was shown here"
                    .to_owned()
            }),
        }
    }
}

#[derive(Args, Debug, Clone)]
#[command(
    arg_required_else_help = true,
    override_usage = "qshare bench HOST[:PORT] [OPTIONS]\n       qshare bench --listen ADDR[:PORT]"
)]
pub(crate) struct BenchArgs {
    /// Be the end that is measured, at this UDP address
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = node_listen, group = "end", required = true)]
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

/// A shell that can complete.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Fish,
    Zsh,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct ManArgs {
    /// The page of this command, `friends add` or `friends-add` [default: that of the program]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) into: Option<PathBuf>,
}
