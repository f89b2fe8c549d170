//! What a person should know that ends nothing, in one sentence each.

use std::path::Path;

use crate::actors::announcer::AnnouncerNotice;
use crate::actors::connections::ConnectKind;
use crate::actors::directory::Refusals;
use crate::actors::download::DownloadNotice;
use crate::actors::neighbours::{JoinError, NeighbourNotice};
use crate::cli::say::names::Names;
use crate::cli::say::{connect, error, found, local, share};
use crate::io::net::udp::{BUFFER, SmallBuffer};
use crate::io::receive::partial::holder;
use crate::model::text::shell::{quoted, quoted_path};
use crate::model::{Cause, LocalPath, NodeId, Shown, Size};
use crate::node::{GetNotice, Kept, ListName, LookNotice, Notice, Rival, Several, Without};
use crate::wire::{Code, LeftOutFile};

/// A notice in one sentence.
pub(crate) fn notice(notice: &Notice, names: &Names) -> String {
    match notice {
        Notice::Announcer(notice) => announcer(notice, names),
        Notice::Broken(error) => local::lines(error),
        Notice::CacheRenewed(renewed) => format!(
            "the hash cache was unusable ({}) and is begun again: the old one is {}",
            renewed.cause,
            renewed.aside.display()
        ),
        Notice::DirectoryFull(Refusals { node, names: count }) => format!(
            "the directory is full: {count} names of node {} were not taken; where there is memory for more, raise names-per-node, names or memory-mib in the configuration's [tracker]",
            names.brief(*node)
        ),
        Notice::Get(notice) => get(notice, names),
        Notice::Index(notice) => share::index(notice),
        Notice::Inbox { path, cause } => format!(
            "{} cannot be written ({cause}), so what waits in the inbox is not kept over the node's end: {}",
            path.display(),
            local::advice(cause.kind)
        ),
        Notice::InboxUnread { path, cause } => unread(
            (path, cause),
            "what came into the inbox before is not listed: stop the node and put a sound copy in its place, or go on without \
             it, as it is written anew with what comes next",
        ),
        Notice::Put { number, error } => {
            format!("what is sent as number {number} is not any more: {}", super::error(error, names))
        }
        Notice::PutsUnread { path, cause } => {
            unread((path, cause), "what was left to be sent is not: send it again, and remove the file")
        }
        Notice::Job { path, cause } => format!(
            "{} does not keep a transfer over the node's end, which goes on until then ({cause}): {}",
            path.display(),
            local::advice(cause.kind)
        ),
        Notice::JobUnread { path, cause } => {
            unread((path, cause), "what it was to fetch is not gone on with: start that again, and remove the file")
        }
        Notice::Kept { path, cause } => {
            unread((path, cause), "what was kept is not offered: share it again with --keep")
        }
        Notice::KeyRenewed { path, len } => format!(
            "{} had {len} bytes instead of 32 and was made anew: peers notice this start some seconds later",
            path.display()
        ),
        Notice::List { list, stays, error } => format!("{}: {}", remaining(*list, *stays), local::lines(error)),
        Notice::Look(notice) => look(notice, names),
        Notice::Neighbour(notice) => neighbour(notice, names),
        Notice::NoControl(cause) => format!(
            "commands of this home do not reach this node, for its control socket cannot be had ({cause}): {}",
            local::advice(cause.kind)
        ),
        Notice::PortTaken { usual, got } => format!(
            "UDP port {usual} is another program's, so this listens on {got}: who names this machine by its host alone does \
             not find it there; end that program, or choose a port with --listen and name it"
        ),
        Notice::SmallBuffer(buffer) => small_buffer(*buffer),
    }
}

/// That a file of the home cannot be read, what follows of it, and what to do.
fn unread((path, cause): (&LocalPath, &Cause), so: &str) -> String {
    format!("{} cannot be read ({cause}), so {so}", path.display())
}

/// Notices of a transfer.
fn get(notice: &GetNotice, names: &Names) -> String {
    match notice {
        GetNotice::Dest(error) => local::dest(error),
        GetNotice::Download(notice) => download(notice, names),
        GetNotice::Earlier { name, path } => {
            let path = path.to_string_lossy();
            let into = quoted_path(&format!("{path}/"));
            format!(
                "{} holds most of {name} already and is taken for it: `-o {into}` would put another {name} into it",
                Shown(&path)
            )
        }
        GetNotice::GoOn { kept, output, only } => {
            let output = output.as_ref().map(|path| format!(" -o {}", quoted_path(&path.to_string_lossy())));
            let only: String = only.iter().map(|glob| format!(" --only {}", quoted(glob))).collect();
            let (kept, id, output) = (of(kept), kept.id, output.unwrap_or_default());
            format!("{kept} are kept from an earlier run: go on with `qshare get {id}{output}{only}`")
        }
        GetNotice::Kept { kept, dir } => format!(
            "{} are kept {} from an earlier run ({}): the same command goes on with them when it is found",
            of(kept),
            if **dir == *Path::new(".") { "here".to_owned() } else { format!("in {}", Shown(&dir.to_string_lossy())) },
            kept.id
        ),
        GetNotice::LeftOut(left) => without(left),
        GetNotice::NotOlder(paths) => {
            format!("{} with other content, not older than what is offered, and left so", several(paths))
        }
        GetNotice::NotServed(name) => format!("{name} is not served further: not all of it is there"),
        GetNotice::PartNotServed(name) => format!(
            "{name} will not be served after the end, as only a part of it was asked for: get all of it, or share what comes with \
             `qshare share`"
        ),
        GetNotice::Replaces(paths) => {
            format!("{} with other content, older than what is offered, and replaced", several(paths))
        }
        GetNotice::Rival(of) => rival(of),
        GetNotice::Superseded { name, earlier, whole } => {
            let end = match whole {
                true => "it is removed when this one is done",
                false => "it stays, as not all of this one was asked for",
            };
            format!(
                "an unfinished transfer of other content to `{}` is here ({} of {}, {}): what is the same is taken from it, and {end}",
                Shown(name.as_str()),
                Size(earlier.have),
                Size(earlier.size),
                earlier.id,
            )
        }
        GetNotice::TimesUnknown(name) => {
            format!("the times of {name} are those of its arrival because no provider tells others")
        }
        GetNotice::Waiting { path, pid } => {
            format!("{} fetches the same content into {}: waiting until it has ended", holder(*pid), path.display())
        }
    }
}

/// Notices of who was asked.
fn look(notice: &LookNotice, names: &Names) -> String {
    match notice {
        LookNotice::Failed(failed) => error(failed, names),
        LookNotice::Impossible { node, id, size } => {
            let by = node.map_or_else(|| "somebody".to_owned(), |node| names.whole(node));
            format!("{by} offers {id} with {size} bytes, which nothing of that id has: it is not asked")
        }
        LookNotice::Silent(who) => format!("{who} has not answered in time; what is shown is what others know"),
        LookNotice::SilentFriends(nodes) => silent_friends(nodes, names),
        LookNotice::UnheardFriends(nodes) => {
            format!("{} not answered; what is shown is what others know", friends_have(nodes, names))
        }
        LookNotice::Unproven { node, id, size } => {
            format!("{} offers {id} with a size, {size}, that it cannot prove: it is not asked", names.whole(*node))
        }
        LookNotice::Untrue(who) => {
            let who = who.as_ref().map_or_else(|| "a node near this one".to_owned(), ToString::to_string);
            format!("{who} answers with names or ids that do not match what was asked: they are left out")
        }
        LookNotice::WrongList { node, id } => format!(
            "{} sent a wrong list of the collection {id}: it is not asked for this collection again for an hour",
            names.whole(*node)
        ),
    }
}

fn announcer(notice: &AnnouncerNotice, names: &Names) -> String {
    match notice {
        AnnouncerNotice::Back { tracker } => format!("the tracker {tracker} is used again"),
        AnnouncerNotice::Cut { tracker, held, names: all } => format!(
            "the tracker {tracker} is full and holds only {held} of {all} names now: the others are not found by name but \
             still arrive with their collection, and are announced again when there is room; use another tracker too"
        ),
        AnnouncerNotice::Full { tracker, taken, names: all } => format!(
            "the tracker {tracker} took {taken} of {all} names, its quota is used up: the others are not found by name but \
             still arrive with their collection, and are announced again when there is room; share less, or use another tracker \
             too"
        ),
        AnnouncerNotice::NotTaken { tracker, error } => {
            format!("the tracker {tracker} does not take the announcement ({error}): trying again")
        }
        AnnouncerNotice::Unlinked { tracker, error } => {
            let what = match error.kind() {
                ConnectKind::Forbidden => "refuses this node",
                ConnectKind::NotQshare | ConnectKind::OtherKey | ConnectKind::OtherRole | ConnectKind::Own => {
                    "is not used"
                }
                ConnectKind::Resolve | ConnectKind::Stopped | ConnectKind::Trust | ConnectKind::Unreachable => {
                    "cannot be reached"
                }
            };
            format!("the tracker {tracker} {what}, trying again: {}", connect(error, names))
        }
        AnnouncerNotice::Unreached { tracker, port } => format!(
            "the tracker {tracker} cannot reach this node's UDP port {port}: open it in the firewall or forward it, or only \
             those to whom this node connects itself can fetch from it"
        ),
    }
}

fn download(notice: &DownloadNotice, names: &Names) -> String {
    match notice {
        DownloadNotice::Lied { node, addr } => format!(
            "{}{} sent wrong bytes: it is not asked for this content again for an hour, nothing of it was kept",
            names.whole(*node),
            addr.map(|addr| format!(" ({addr})")).unwrap_or_default()
        ),
        DownloadNotice::Unreachable { node, error } => {
            format!("provider {} cannot be reached: {}", names.brief(*node), connect(error, names))
        }
    }
}

fn neighbour(notice: &NeighbourNotice, names: &Names) -> String {
    match notice {
        NeighbourNotice::Lan(error) => local::lan(error),
        NeighbourNotice::NotANeighbour { target, error } => {
            let cause = match error {
                JoinError::Connect(error) => connect(error, names),
                JoinError::Call(_) | JoinError::NotNow(_) => error.to_string(),
            };
            format!("{target} is not a neighbour, trying again: {cause}")
        }
        NeighbourNotice::NotTheFriend { addr, found, name } => format!(
            "{addr} answers as node {} and not as your friend {name}: ask {name}, and if the key is new, run \
             `qshare friends remove {name}` and add the new id",
            names.whole(*found)
        ),
    }
}

/// `a, b and 3 more are there`.
fn several(of: &Several) -> String {
    let first: Vec<String> = of.first.iter().map(|path| Shown(path.as_str()).to_string()).collect();
    let more = if of.more == 0 { String::new() } else { format!(" and {} more", of.more) };
    let verb = if of.first.len() + of.more == 1 { "is" } else { "are" };
    format!("{}{more} {verb} there", first.join(", "))
}

const fn remaining(list: ListName, stays: bool) -> &'static str {
    match (list, stays) {
        (ListName::Allowed, false) => "only the nodes on the other lines are allowed",
        (ListName::Allowed, true) => "the allowed nodes stay as they were",
        (ListName::Friends, false) => "only those on the other lines are friends",
        (ListName::Friends, true) => "friends stay as they were",
    }
}

/// `1.0 MiB of 2.0 MiB of` the name, or of the id while there is none.
fn of(kept: &Kept) -> String {
    let name = kept.name.as_ref().map_or_else(|| kept.id.to_string(), ToString::to_string);
    format!("{} of {} of `{}`", Size(kept.have), Size(kept.size), Shown(&name))
}

fn rival(of: &Rival) -> String {
    let (words, name, size) = (Shown(&of.words), Shown(&of.name), Size(of.size));
    let (id, (own, plane)) = (of.id, of.chosen);
    format!(
        "`{words}` names another thing, too: {id} (`{name}`, {size}), {}; this is {own}, {}: to fetch the other, give its id",
        found(of.plane),
        found(plane)
    )
}

pub(super) fn small_buffer(SmallBuffer { sends, got }: SmallBuffer) -> String {
    let (name, sysctl) = if sends { ("send", "net.core.wmem_max") } else { ("receive", "net.core.rmem_max") };
    format!(
        "the system gave {} KiB of {} KiB for the UDP {name} buffer, which costs speed: raise it with `sysctl -w {sysctl}={BUFFER}`",
        got >> 10,
        BUFFER >> 10
    )
}

/// Friends near that have not answered.
fn silent_friends(nodes: &[NodeId], names: &Names) -> String {
    let from = nodes.first().map(|node| names.short(*node)).unwrap_or_default();
    format!(
        "{} not answered, and may have another thing of that name: what others know is taken; `--from {from}` takes what \
         {from} has",
        friends_have(nodes, names)
    )
}

/// `your friends anna and bob have`.
fn friends_have(nodes: &[NodeId], names: &Names) -> String {
    let all: Vec<String> = nodes.iter().map(|node| names.brief(*node)).collect();
    let (friends, have) = if all.len() == 1 { ("your friend", "has") } else { ("your friends", "have") };
    format!("{friends} {} {have}", all.join(", "))
}

/// Files that a collection comes without.
pub(super) fn without(of: &Without) -> String {
    let (name, files) = (&of.name, &of.files.files);
    let Some((first, others)) = files.split_first() else {
        let count = of.files.more;
        return format!("{name} comes without {count} of its files: whoever shares it was told which and why");
    };
    let more = u32::try_from(others.len()).unwrap_or(u32::MAX).saturating_add(of.files.more);
    let rest = if more == 0 { String::new() } else { format!(" (and {more} more of its files)") };
    let changes = |file: &&LeftOutFile| file.why == Code::Changed;
    let why = match files.iter().filter(changes).count() {
        0 => "it cannot be read where it is shared: whoever shares it was told so",
        all if all == files.len() => {
            "it is being written all the time where it is shared: get it again once it has settled"
        }
        _ if first.why == Code::Changed => {
            "it is being written all the time where it is shared, and others cannot be read there: whoever shares it was told so"
        }
        _ => {
            "it cannot be read where it is shared, and others are being written all the time: whoever shares it was told so"
        }
    };
    format!("{name} comes without {}{rest} because {why}", first.path)
}
