//! What the node does, in words: of what floors below write to the log, what a person can follow. An event has a short name
//! and fields; here are the sentences. What has none is told by its name and fields.

use crate::cli::say::names::Names;
use crate::model::Size;

/// Something that was logged.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    /// The event's name.
    pub(crate) name: String,
    /// Its own fields.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// Those of what it happened in, the innermost first.
    pub(crate) around: Vec<(&'static str, String)>,
}

impl Logged {
    fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter().chain(&self.around);
        all.find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }

    fn or_unknown(&self, name: &str) -> &str {
        self.get(name).unwrap_or("unknown")
    }
}

/// What happened, in one sentence; nodes by the names of friends.
pub(crate) fn logged(of: &Logged, names: &Names) -> String {
    let told = connection(of, names).or_else(|| exchange(of, names)).or_else(|| transfer(of, names));
    told.or_else(|| tracker(of)).or_else(|| neighbour(of, names)).unwrap_or_else(|| plain(of))
}

/// Of connections.
fn connection(of: &Logged, names: &Names) -> Option<String> {
    let get = |name| of.or_unknown(name);
    let node = |name| names.given(of.or_unknown(name));
    Some(match of.name.as_str() {
        "a connection has ended" => format!("the connection to {} has ended: {}", node("peer"), get("cause")),
        "a key is not remembered" => format!("the key of {} is not remembered: {}", get("host_port"), get("error")),
        "an arrival was not taken in" => format!("{} was not let in: {}", get("remote"), get("error")),
        "arrived" => format!("{} has connected from {}", node("peer"), get("at")),
        "connected" => format!("connected to {} at {}", node("peer"), get("at")),
        "dialled back" => format!("{} has seen who answers here", get("remote")),
        "not connected" => format!("no connection to {}: {}", bare(get("addrs")), get("error")),
        "side connections" => match get("sides") {
            "0" => format!("no further connections to {} could be had", node("node")),
            sides => format!("{sides} further connections to {} are there, for speed", node("node")),
        },
        _ => return None,
    })
}

/// Of requests and their answers, in both directions.
fn exchange(of: &Logged, names: &Names) -> Option<String> {
    let get = |name| of.or_unknown(name);
    let node = |name| names.given(of.or_unknown(name));
    Some(match of.name.as_str() {
        "a request has ended" => match get("ended") {
            "whole" => format!("{} has sent what it was asked for", node("provider")),
            cause => format!("{} has not sent all that it was asked for: {cause}", node("provider")),
        },
        "asked" => match (of.get("provider"), of.get("units"), of.get("file")) {
            (Some(_), Some(units), _) => {
                format!("asked {} for {} of {}", node("provider"), asked_units(units), get("content"))
            }
            (Some(_), None, file) => {
                let file = file.unwrap_or_default();
                format!("asked {} for the chunk list of file {file} of {}", node("provider"), get("content"))
            }
            (None, ..) => format!("{} asks {}", node("peer"), request(get("request"))),
        },
        "a frame that this version does not know is skipped" => {
            format!("{} was due, and what came this version does not know: skipped", get("due"))
        }
        "a request that cannot be read" => format!("{} asks what cannot be read: {}", node("peer"), get("error")),
        "heard" => format!("{} heard of {}", hits(get("hits")), get("from")),
        "looked" => match (of.get("error"), get("hits")) {
            (Some(error), _) => format!("looked at {}: {error}", get("who")),
            (None, count) => format!("looked at {}: {}", get("who"), hits(count)),
        },
        "refused" => match of.get("request") {
            Some(asked) => format!("refused {}, which asks {}: {}", node("peer"), request(asked), get("code")),
            None => format!("refused what {} asks: {}", node("peer"), get("code")),
        },
        _ => return None,
    })
}

/// Of transfers, and of what others take.
fn transfer(of: &Logged, names: &Names) -> Option<String> {
    let get = |name| of.or_unknown(name);
    let node = |name| names.given(of.or_unknown(name));
    Some(match of.name.as_str() {
        "a link is left out" => format!("{} is left out: it leads to a directory, outside, or nowhere", get("path")),
        "a new phase" => format!("now {}", get("phase").to_lowercase()),
        "an upload begins" => format!("{} begins to fetch {}", node("peer"), get("what")),
        "an upload is over" => match get("bytes").parse() {
            Ok(bytes) => format!("{} has fetched {} of {}", node("peer"), Size(bytes), get("what")),
            Err(_) => format!("{} has fetched some of {}", node("peer"), get("what")),
        },
        "does not prove" => format!("unit {} of {} does not prove right", get("unit"), node("provider")),
        "its place goes to one of another network" => {
            format!("{} gives way to a provider of another network", node("node"))
        }
        "provider cannot be reached" => format!("{} cannot be reached: {}", node("node"), get("error")),
        "provider left" => format!("{} gives nothing now: {}", node("node"), get("why")),
        "uploads that do not move" => {
            format!("{} of {} uploads do not move and give way", get("recalled"), get("held"))
        }
        "watch ended" => format!("{} tells no more of what it has: {}", node("node"), get("cause")),
        _ => return None,
    })
}

/// Of a session with a tracker.
fn tracker(of: &Logged) -> Option<String> {
    let get = |name| of.or_unknown(name);
    let at = || match bare(get("reachable")) {
        "" => "does not reach it itself".to_owned(),
        addrs => format!("reaches it at {addrs}"),
    };
    Some(match of.name.as_str() {
        "announced" => {
            let offers = match (get("taken"), get("refused")) {
                ("0", "0") => String::new(),
                (taken, "0") => format!(", has taken {taken} of its offers"),
                (taken, refused) => format!(", has taken {taken} of its offers, refused {refused}"),
            };
            format!("the tracker {} knows this node{offers}, and {}", get("at"), at())
        }
        "cannot follow" => format!("the tracker {} does not tell who joins: {}", get("tracker"), get("error")),
        "lost" => format!("the tracker {} is lost: {}", get("at"), get("error")),
        "not reached" => format!("the tracker {} is not reached: {}", get("at"), get("error")),
        "renewed" if get("known") == "false" => format!("the tracker {} does not know this node any more", get("at")),
        "renewed" => format!("the tracker {} still knows this node, and {}", get("at"), at()),
        "tried again" => format!("the tracker {} is tried again in {}", get("at"), get("pause")),
        _ => return None,
    })
}

/// Of neighbours and the local network.
fn neighbour(of: &Logged, names: &Names) -> Option<String> {
    let get = |name| of.or_unknown(name);
    let node = |name| names.given(of.or_unknown(name));
    Some(match of.name.as_str() {
        "a neighbour does not read what it is sent" => format!("{} does not read what it is sent: left", node("peer")),
        "a neighbour misbehaved for long and is left" => {
            format!("the neighbour {} misbehaved for long and is left: {}", node("peer"), get("fault"))
        }
        "a neighbour misbehaves" => format!("the neighbour {} misbehaves: {}", node("peer"), get("fault")),
        "a neighbour says what this version does not know" => {
            format!("{} says what this version does not know", node("peer"))
        }
        "a neighbour's stream ended" => format!("{} is no neighbour any more: {}", node("peer"), get("error")),
        "not a neighbour" => format!("{} does not become a neighbour: {}", node("peer"), get("error")),
        "the local network is not listened to" => {
            format!("the local network is not listened to, tried again in {}: {}", get("pause"), get("error"))
        }
        _ => return None,
    })
}

/// Several values without the brackets that programs put around them.
fn bare(list: &str) -> &str {
    list.strip_prefix(['[', '{']).and_then(|inner| inner.strip_suffix([']', '}'])).unwrap_or(list)
}

/// `[0..2, 7..8]` as people count: `units 0-1, 7`.
fn asked_units(ranges: &str) -> String {
    let one = |range: &str| {
        let (first, end) = range.split_once("..")?;
        let last = end.parse::<u32>().ok()?.checked_sub(1)?.to_string();
        Some(if first == last { last } else { format!("{first}-{last}") })
    };
    let all: Vec<String> =
        bare(ranges).split(", ").map(|range| one(range).unwrap_or_else(|| range.to_owned())).collect();
    format!("units {}", all.join(", "))
}

fn hits(count: &str) -> String {
    if count == "1" { "1 hit".to_owned() } else { format!("{count} hits") }
}

/// What is asked, by the name of the request.
fn request(text: &str) -> &str {
    let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(text);
    match name {
        "Announce" => "to be known here",
        "Bench" => "to measure",
        "Clock" => "what time it is here",
        "Fetch" => "for bytes",
        "FilesOf" => "for a list of offers",
        "Follow" => "who joins and leaves",
        "Join" => "to be a neighbour",
        "List" => "for a chunk list",
        "Locate" => "who has an id",
        "Manifest" => "for a collection's list",
        "Peers" => "which nodes are known",
        "Renew" => "to be known further",
        "Resolve" => "to hash an offer first",
        "Search" => "for names",
        "Times" => "for modification times",
        "Watch" => "what is here of a content",
        "Withdraw" => "to be forgotten",
        other => other,
    }
}

/// What is told by its name alone, and why it is.
fn plain(of: &Logged) -> String {
    let told = |(name, value): &(&str, String)| match *name {
        "error" | "cause" => value.clone(),
        name => format!("{name} {value}"),
    };
    let fields: Vec<String> = of.fields.iter().map(told).collect();
    match (of.name.is_empty(), fields.is_empty()) {
        (_, true) => of.name.clone(),
        (true, false) => fields.join(", "),
        (false, false) => format!("{}: {}", of.name, fields.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Friend, Friends, NodeId};

    fn of(name: &str, fields: &[(&'static str, &str)], around: &[(&'static str, &str)]) -> Logged {
        let owned = |fields: &[(&'static str, &str)]| fields.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        Logged { name: name.to_owned(), fields: owned(fields), around: owned(around) }
    }

    #[test]
    fn what_happens_is_said_in_words() {
        let anna = NodeId::of_public_key(b"a");
        let friend = Friend { name: "anna".parse().expect("a name"), node: anna, at: None };
        let names = Names::new(Friends::new([friend]));
        let short = anna.short();
        let say = |event: Logged| logged(&event, &names);
        let connected = of("connected", &[("peer", &short), ("at", "10.0.0.1:4918")], &[("addrs", "[10.0.0.1:4918]")]);
        assert_eq!(say(connected), format!("connected to anna ({short}) at 10.0.0.1:4918"));
        let looked = of("looked", &[("who", "tracker h:1"), ("hits", "3")], &[]);
        assert_eq!(say(looked), "looked at tracker h:1: 3 hits");
        let fetch = [("content", "abcd"), ("provider", short.as_str()), ("units", "[0..64, 70..71]"), ("max", "64")];
        assert_eq!(say(of("asked", &[], &fetch)), format!("asked anna ({short}) for units 0-63, 70 of abcd"));
        let ended = |how: &str| say(of("a request has ended", &[("ended", how)], &fetch));
        assert_eq!(ended("whole"), format!("anna ({short}) has sent what it was asked for"));
        assert!(ended("it is busy").ends_with("has not sent all that it was asked for: it is busy"));
        let list = [("content", "abcd"), ("provider", "zzzzzzzz"), ("file", "7")];
        assert_eq!(say(of("asked", &[], &list)), "asked zzzzzzzz for the chunk list of file 7 of abcd");
        let around = [("request", "Search(Search { words: [\"x\"] })"), ("peer", "zzzzzzzz"), ("at", "10.0.0.2:1")];
        assert_eq!(say(of("asked", &[], &around)), "zzzzzzzz asks for names");
        let refused = say(of("refused", &[("code", "it is stopping")], &around));
        assert_eq!(refused, "refused zzzzzzzz, which asks for names: it is stopping");
        let announced = |taken, at| {
            say(of("announced", &[("taken", taken), ("refused", "0"), ("reachable", at)], &[("at", "h:1")]))
        };
        assert_eq!(announced("0", "[]"), "the tracker h:1 knows this node, and does not reach it itself");
        let told = "the tracker h:1 knows this node, has taken 3 of its offers, and reaches it at 10.0.0.1:4918";
        assert_eq!(announced("3", "[10.0.0.1:4918]"), told);
        let unread = of("a unit cannot be read", &[("error", "it is gone")], &[]);
        assert_eq!(say(unread), "a unit cannot be read: it is gone");
    }
}
