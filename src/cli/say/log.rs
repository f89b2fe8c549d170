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

    /// A sentence with the fields in it.
    fn within(&self, sentence: &str, names: &Names) -> String {
        let mut text = String::new();
        for part in sentence.split('}') {
            let (plain, field) = part.split_once('{').unwrap_or((part, ""));
            text.push_str(plain);
            match field {
                "" => {}
                "addrs" => text.push_str(bare(self.or_unknown(field))),
                "node" | "peer" | "provider" => text.push_str(&names.given(self.or_unknown(field))),
                _ => text.push_str(self.or_unknown(field)),
            }
        }
        text
    }
}

/// What happens, and its sentence: a name in braces stands for a field.
const SENTENCES: [(&str, &str); 28] = [
    // Of connections.
    ("a connection has ended", "the connection to {peer} has ended: {cause}"),
    ("a key is not remembered", "the key of {host_port} is not remembered: {error}"),
    ("an arrival was not taken in", "{remote} was not let in: {error}"),
    ("arrived", "{peer} has connected from {at}"),
    ("connected", "connected to {peer} at {at}"),
    ("dialled back", "{remote} has seen who answers here"),
    ("not connected", "no connection to {addrs}: {error}"),
    // Of requests and their answers, in both directions.
    (
        "a frame that this version does not know is skipped",
        "{due} was due, and what came this version does not know: skipped",
    ),
    ("a request that cannot be read", "{peer} asks what cannot be read: {error}"),
    // Of transfers and of what is shared.
    ("a link is left out", "{path} is left out: it leads to a directory, outside, or nowhere"),
    ("an upload begins", "{peer} begins to fetch {what}"),
    ("does not prove", "unit {unit} of {provider} does not prove right"),
    ("its place goes to one of another network", "{node} gives way to a provider of another network"),
    ("provider cannot be reached", "{node} cannot be reached: {error}"),
    ("provider left", "{node} gives nothing now: {why}"),
    ("uploads that do not move", "{recalled} of {held} uploads do not move and give way"),
    ("watch ended", "{node} tells no more of what it has: {cause}"),
    // Of trackers.
    ("cannot follow", "the tracker {tracker} does not tell who joins: {error}"),
    ("lost", "the tracker {at} is lost: {error}"),
    ("not reached", "the tracker {at} is not reached: {error}"),
    ("tried again", "the tracker {at} is tried again in {pause}"),
    // Of neighbours.
    ("a neighbour does not read what it is sent", "{peer} does not read what it is sent: left"),
    ("a neighbour misbehaved for long and is left", "the neighbour {peer} misbehaved for long and is left: {fault}"),
    ("a neighbour misbehaves", "the neighbour {peer} misbehaves: {fault}"),
    ("a neighbour says what this version does not know", "{peer} says what this version does not know"),
    ("a neighbour's stream ended", "{peer} is no neighbour any more: {error}"),
    ("not a neighbour", "{peer} does not become a neighbour: {error}"),
    ("the local network is not listened to", "the local network is not listened to, tried again in {pause}: {error}"),
];

/// What happened, in one sentence; nodes by the names of friends.
pub(crate) fn logged(of: &Logged, names: &Names) -> String {
    let known = SENTENCES.iter().find(|(name, _)| *name == of.name).map(|(_, sentence)| (*sentence).to_owned());
    known.or_else(|| by_its_fields(of)).map_or_else(|| plain(of), |sentence| of.within(&sentence, names))
}

/// The sentence of what has another one with other fields.
fn by_its_fields(of: &Logged) -> Option<String> {
    let get = |name| of.or_unknown(name);
    let sentence = match of.name.as_str() {
        "a new phase" => return Some(format!("now {}", get("phase").to_lowercase())),
        "a request has ended" if get("ended") == "whole" => "{provider} has sent what it was asked for",
        "a request has ended" => "{provider} has not sent all that it was asked for: {ended}",
        "an upload is over" => match get("bytes").parse() {
            Ok(bytes) => return Some(format!("{{peer}} has fetched {} of {{what}}", Size(bytes))),
            Err(_) => "{peer} has fetched some of {what}",
        },
        "announced" => return Some(announced(of)),
        "asked" => match (of.get("provider"), of.get("units")) {
            (Some(_), Some(units)) => {
                return Some(format!("asked {{provider}} for {} of {{content}}", asked_units(units)));
            }
            (Some(_), None) => "asked {provider} for the chunk list of file {file} of {content}",
            (None, _) => return Some(format!("{{peer}} asks {}", request(get("request")))),
        },
        "heard" => return Some(format!("{} heard of {{from}}", hits(get("hits")))),
        "looked" if of.get("error").is_some() => "looked at {who}: {error}",
        "looked" => return Some(format!("looked at {{who}}: {}", hits(get("hits")))),
        "refused" => match of.get("request") {
            Some(asked) => return Some(format!("refused {{peer}}, which asks {}: {{code}}", request(asked))),
            None => "refused what {peer} asks: {code}",
        },
        "renewed" if get("known") == "false" => "the tracker {at} does not know this node any more",
        "renewed" => return Some(format!("the tracker {{at}} still knows this node, and {}", reachable(of))),
        "side connections" if get("sides") == "0" => "no further connections to {node} could be had",
        "side connections" => "{sides} further connections to {node} are there, for speed",
        _ => return None,
    };
    Some(sentence.to_owned())
}

/// What a tracker has taken, and where it reaches this node.
fn announced(of: &Logged) -> String {
    let offers = match (of.or_unknown("taken"), of.or_unknown("refused")) {
        ("0", "0") => "",
        (_, "0") => ", has taken {taken} of its offers",
        _ => ", has taken {taken} of its offers, refused {refused}",
    };
    format!("the tracker {{at}} knows this node{offers}, and {}", reachable(of))
}

fn reachable(of: &Logged) -> String {
    match bare(of.or_unknown("reachable")) {
        "" => "does not reach it itself".to_owned(),
        addrs => format!("reaches it at {addrs}"),
    }
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
