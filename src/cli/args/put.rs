//! The arguments of `put` and `inbox`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help that people read: [ID@] is no link")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::args::{any_peer, duration};
use crate::model::SafePath;
use crate::node::PeerRef;

#[derive(Args, Debug, Clone)]
pub(crate) struct PutArgs {
    /// Files and directories; `-` is standard input
    ///
    /// Without any, and without --text, what was left to the running node is listed, and what became of it.
    #[arg(value_name = "PATH|-")]
    pub(crate) paths: Vec<PathBuf>,
    /// Whom it is for: a friend, a node id or its beginning, [ID@]HOST[:PORT]; repeatable
    ///
    /// The beginning of a node id has at least 8 characters, and is one that this home has met. A host without its port means port
    /// 4918.
    #[arg(long, value_name = "PEER", value_parser = any_peer)]
    pub(crate) to: Vec<PeerRef>,
    /// A message that is shown with it, or alone
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// What standard input is called
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<SafePath>,
    /// How long to go on while nothing moves [default: an hour on a terminal, else 2 minutes; with --detach without end]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Leave it to the running node of this home, also over its next starts
    #[arg(long)]
    pub(crate) detach: bool,
    /// End what was left to the running node, by the number that `qshare put` shows, or `all`
    #[arg(long, value_name = "NUMBER|all", value_parser = which, conflicts_with_all = ["paths", "text", "to"])]
    pub(crate) cancel: Option<OneOrAll>,
    /// Take what is over off the list, by the number that `qshare put` shows, or `all`
    #[arg(long, value_name = "NUMBER|all", value_parser = which, conflicts_with_all = ["paths", "text", "to", "cancel"])]
    pub(crate) clear: Option<OneOrAll>,
    /// Send key stores, .env files, shell histories and the like too
    #[arg(long)]
    pub(crate) include_secrets: bool,
    /// Leave out what matches, in gitignore syntax; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
}

#[derive(Args, Debug, Clone)]
pub(crate) struct InboxArgs {
    #[command(subcommand)]
    pub(crate) command: Option<InboxCommand>,
}

#[derive(Subcommand, Debug, Clone)]
pub(crate) enum InboxCommand {
    /// List what was offered, which is what it does without a word
    List,
    /// Fetch something that waits
    Accept {
        /// The number that `qshare inbox` shows, or `all`
        #[arg(value_name = "NUMBER|all", value_parser = which)]
        which: OneOrAll,
        /// Into this directory, made if it is not there [default: inbox.dir of the configuration, else the downloads]
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Leave it to the running node, and do not wait until it is there
        #[arg(long)]
        detach: bool,
    },
    /// Take what is over off the list: what is there, declined or withdrawn, and what was read
    Clear {
        /// The number that `qshare inbox` shows, or `all`
        #[arg(value_name = "NUMBER|all", value_parser = which, default_value = "all")]
        which: OneOrAll,
    },
    /// Decline something that waits, which whoever offers it is told
    ///
    /// By its number also something that is being fetched: what of it is unfinished is removed. `all` is all that waits: what is being
    /// fetched goes on.
    Decline {
        /// The number that `qshare inbox` shows, or `all` that waits
        #[arg(value_name = "NUMBER|all", value_parser = which)]
        which: OneOrAll,
    },
    /// Show one whole: its message, and all that it names
    Read {
        /// The number that `qshare inbox` shows
        #[arg(value_name = "NUMBER")]
        number: u32,
    },
    /// Tell what waits, what comes and what becomes of it, until stopped
    Watch,
}

/// One offer, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OneOrAll(pub(crate) Option<u32>);

fn which(text: &str) -> Result<OneOrAll, String> {
    let number = if text == "all" { Ok(None) } else { text.parse().map(Some) };
    number.map(OneOrAll).map_err(|_| "give the number of an offer, or `all`".to_owned())
}
