//! What the node does, in words: of what floors below write to the log, what a person can follow. An event has a short name
//! and fields; here are the sentences. What has none is told by its name and fields.

use crate::cli::say::names::Names;

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
    let get = |name| of.or_unknown(name);
    let node = |name| names.given(of.or_unknown(name));
    match of.name.as_str() {
        "a connection has ended" => format!("the connection to {} has ended: {}", node("peer"), get("cause")),
        "a new phase" => format!("now {}", get("phase").to_lowercase()),
        "a request has ended" => match get("ended") {
            "Ok(())" => format!("{} has sent what it was asked for", node("provider")),
            cause => format!("{} has not sent all that it was asked for: {cause}", node("provider")),
        },
        "an arrival was not taken in" => format!("{} was not let in: {}", get("remote"), get("error")),
        "announced" => format!(
            "the tracker {} has taken {} offers, refused {}, and reaches this node at {}",
            get("at"),
            get("taken"),
            get("refused"),
            get("reachable")
        ),
        "arrived" => format!("{} has connected from {}", node("peer"), get("at")),
        "asked" => asked(of, names),
        "connected" => format!("connected to {} at {}", node("peer"), get("at")),
        "heard" => match get("hits") {
            "1" => format!("1 hit was heard of {}", get("from")),
            hits => format!("{hits} hits were heard of {}", get("from")),
        },
        "looked" => match (of.get("error"), get("hits")) {
            (Some(error), _) => format!("looked at {}: {error}", get("who")),
            (None, "1") => format!("looked at {}: 1 hit", get("who")),
            (None, hits) => format!("looked at {}: {hits} hits", get("who")),
        },
        "not connected" => format!("no connection to {}: {}", get("addrs"), get("error")),
        "provider left" => format!("{} gives nothing now: {}", node("node"), get("why")),
        "refused" => {
            let what = of.get("request").unwrap_or("a request");
            format!("refused {} what it asked, {what}: {}", node("peer"), get("code"))
        }
        "an upload begins" => format!("{} begins to fetch {}", node("peer"), get("what")),
        "an upload is over" => format!("{} has fetched {} bytes of {}", node("peer"), get("bytes"), get("what")),
        _ => plain(of),
    }
}

fn asked(of: &Logged, names: &Names) -> String {
    let get = |name| of.or_unknown(name);
    match (of.get("provider"), of.get("units"), of.get("file")) {
        (Some(node), Some(units), _) => {
            format!("asked {} for units {units} of {}", names.given(node), get("content"))
        }
        (Some(node), None, file) => {
            let file = file.unwrap_or_default();
            format!("asked {} for the chunk list of file {file} of {}", names.given(node), get("content"))
        }
        (None, ..) => format!("{} asked: {}", names.given(get("peer")), get("request")),
    }
}

fn plain(of: &Logged) -> String {
    let fields: Vec<String> = of.fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
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
        let fetch = [("content", "abcd"), ("provider", short.as_str()), ("units", "[(0, 64)]"), ("max", "64")];
        assert_eq!(say(of("asked", &[], &fetch)), format!("asked anna ({short}) for units [(0, 64)] of abcd"));
        let ended = |how: &str| say(of("a request has ended", &[("ended", how)], &fetch));
        assert_eq!(ended("Ok(())"), format!("anna ({short}) has sent what it was asked for"));
        assert!(ended("Err(Told)").ends_with("has not sent all that it was asked for: Err(Told)"));
        let list = [("content", "abcd"), ("provider", "zzzzzzzz"), ("file", "7")];
        assert_eq!(say(of("asked", &[], &list)), "asked zzzzzzzz for the chunk list of file 7 of abcd");
        let around = [("request", "Search"), ("peer", "zzzzzzzz"), ("at", "10.0.0.2:1")];
        assert_eq!(say(of("asked", &[], &around)), "zzzzzzzz asked: Search");
        assert_eq!(say(of("refused", &[("code", "Busy")], &around)), "refused zzzzzzzz what it asked, Search: Busy");
        assert_eq!(
            say(of("a unit cannot be read", &[("error", "it is gone")], &[])),
            "a unit cannot be read: error it is gone"
        );
    }
}
