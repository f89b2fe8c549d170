//! What `qshare doctor` has seen, in one sentence each, and what to do about it where something is wrong.

use crate::cli::say::names::Names;
use crate::cli::say::{error, local, notice};
use crate::io::net::dial::Addresses;
use crate::node::{Check, Seen, SeenAt, Verdict, Who};

/// One look at the surroundings.
pub(crate) fn check(check: &Check, names: &Names) -> String {
    match &check.seen {
        Seen::Buffers(small) if small.is_empty() => "the UDP socket has the buffers that it asked for".to_owned(),
        Seen::Buffers(small) => joined(small.iter().map(|small| notice::small_buffer(*small)), "; "),
        Seen::At { who, seen } => at(who, seen, check.verdict),
        Seen::ClockUnset => {
            "this machine's clock was never set: set it, or nobody can tell which file is newer".to_owned()
        }
        Seen::Homeless(of) | Seen::NotConnected(of) => error(of, names),
        Seen::Home { root, node, other } => {
            let (root, node) = (root.display(), names.whole(*node));
            match other {
                None => format!("{root}, node {node}"),
                Some(pid) => {
                    let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                    format!(
                        "{root} is in use by {who}, of which `qshare status` tells; this command looks for itself, with another \
                         port and a key of its own, node {node}"
                    )
                }
            }
        }
        Seen::Interfaces(_) if check.verdict != Verdict::Fine => {
            "there is no address but loopback, so only this machine can be reached: connect it to a network".to_owned()
        }
        Seen::Interfaces(all) => joined(all.iter().map(|(name, ips)| format!("{name} {}", joined(ips, " "))), ", "),
        Seen::Lan(error) => local::lan(error),
        Seen::Multicast { interfaces, others } => {
            let others = match others {
                0 => "no other node is there".to_owned(),
                1 => "another node is there".to_owned(),
                count => format!("{count} other nodes are there"),
            };
            format!("heard on {}; {others}", joined(interfaces, ", "))
        }
        Seen::NotHeard => {
            "multicast is not heard: see that a firewall lets UDP port 5353 through and that an interface \
                           has multicast, or name others with --peer or --tracker"
                .to_owned()
        }
        Seen::NoTracker => {
            "no tracker is configured, so nobody was asked whether this node can be reached from outside".to_owned()
        }
        Seen::NotListened => "the local network is not to be listened to".to_owned(),
        Seen::Port { port, wanted: None } => format!("UDP port {port} is open here"),
        Seen::Port { port, wanted: Some(wanted) } => format!(
            "UDP {wanted} cannot be opened, port {port} is tried instead: see what uses it, or give another with \
             `node.listen`"
        ),
    }
}

/// One tracker or peer.
fn at(who: &Who, seen: &SeenAt, verdict: Verdict) -> String {
    match seen {
        SeenAt::Clock { apart, .. } if verdict == Verdict::Fine => {
            format!("{:.1} s from that of {who}", apart.as_secs_f64())
        }
        SeenAt::Clock { apart, ahead } => {
            let side = if *ahead { "ahead of" } else { "behind" };
            format!(
                "this machine's clock is {:.0} s {side} that of {who}: set both, or nobody can tell which file is newer",
                apart.as_secs_f64()
            )
        }
        SeenAt::NotAnnounced(Some(error)) => format!("{who} takes no announcement: {error}"),
        SeenAt::NotAnnounced(None) => format!("{who} takes no announcement within 5 s"),
        SeenAt::NotAnswered => format!("{who} does not answer within 5 s"),
        SeenAt::NotReached(port) => format!(
            "{who} does not reach UDP port {port} of this node, so others will not either: open it in the firewall, \
             or forward it on the router"
        ),
        SeenAt::NoTime { friends_only: true } => format!("{who} serves only its friends"),
        SeenAt::NoTime { friends_only: false } => format!("{who} does not tell its time"),
        SeenAt::Path { rtt, mtu, cut } => {
            let cut = match cut {
                true => ": something on the way cuts larger ones, a tunnel or a firewall, which costs speed",
                false => "",
            };
            format!("{who}: round trip {:.1} ms, {mtu} bytes a packet{cut}", rtt.as_secs_f64() * 1000.0)
        }
        SeenAt::Reached { at, not } => {
            let not = if not.is_empty() { String::new() } else { format!(", not at {}", Addresses(not.clone())) };
            format!("{who} reaches this node at {}{not}", Addresses(at.clone()))
        }
    }
}

fn joined(all: impl IntoIterator<Item = impl ToString>, between: &str) -> String {
    all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(between)
}
