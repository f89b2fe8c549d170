//! What comes on a stream that stands for long, from a side that may be of a later version: a kind of frame or look-up
//! that is not known here is heard as such, and is not the end of the stream.
//! Invariant: what is known is read as strictly as anywhere else; only a name decides what is not known.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor};

use crate::wire::names::names_of;
use crate::wire::{FollowEvent, HaveEvent, NeighbourFrame, PutEvent, ResolveEvent};

/// Since which version a node knows what may come to it unasked, on a stream that stands; `docs/protocol.md` has the same
/// table. It is sent to nobody of an earlier version.
pub const SINCE: [(&str, u16); 17] = [
    ("FollowEvent", 1),
    ("HaveEvent", 1),
    ("NeighbourFrame::About", 1),
    ("NeighbourFrame::Done", 1),
    ("NeighbourFrame::Found", 1),
    ("NeighbourFrame::Query", 1),
    ("PutEvent::Declined", 7),
    ("PutEvent::Done", 7),
    ("PutEvent::Have", 7),
    ("PutEvent::Waiting", 7),
    ("ResolveEvent::Done", 1),
    ("ResolveEvent::Failed", 1),
    ("ResolveEvent::Hashing", 1),
    ("Sought::Content", 1),
    ("Sought::Names", 5),
    ("Sought::Nodes", 1),
    ("Sought::Words", 1),
];

/// The version in which this came; never for what no version has.
pub fn since(what: &str) -> u16 {
    SINCE.iter().find(|(name, _)| *name == what).map_or(u16::MAX, |(_, version)| *version)
}

/// What may come on a stream that stands. One is known by the names of its variants, or of its fields.
pub trait Event: DeserializeOwned {}

impl Event for FollowEvent {}
impl Event for HaveEvent {}
impl Event for NeighbourFrame {}
impl Event for PutEvent {}
impl Event for ResolveEvent {}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<T> {
    /// One of those that are known.
    Known(T),
    /// A string, or a map of one entry, whose name is none of the known ones.
    Unknown,
}

impl<'de, T: Event> Deserialize<'de> for Heard<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Listen(PhantomData))
    }
}

struct Listen<T>(PhantomData<T>);

impl<'de, T: Event> Visitor<'de> for Listen<T> {
    type Value = Heard<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a map")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Heard<T>, E> {
        if !names_of::<T>().contains(&name) {
            return Ok(Heard::Unknown);
        }
        T::deserialize(name.into_deserializer()).map(Heard::Known)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Heard<T>, A::Error> {
        let alone = map.size_hint() == Some(1);
        let first: Option<String> = map.next_key()?;
        if alone && first.as_ref().is_some_and(|name| !names_of::<T>().contains(&name.as_str())) {
            map.next_value::<IgnoredAny>()?;
            return Ok(Heard::Unknown);
        }
        T::deserialize(MapAccessDeserializer::new(Again { first, map })).map(Heard::Known)
    }
}

/// A map of which the first key has been read already.
struct Again<A> {
    first: Option<String>,
    map: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Again<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(first) = self.first.take() else { return self.map.next_key_seed(seed) };
        let first: StringDeserializer<A::Error> = first.into_deserializer();
        seed.deserialize(first).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContentId, QueryId};
    use crate::wire::{About, Code, FloodQuery, Refusal, Sought, decode, encode, limits};

    fn heard<T: Event>(value: &[u8]) -> Option<Heard<T>> {
        decode(value).ok()
    }

    fn known<T: Event + serde::Serialize + PartialEq + fmt::Debug>(event: T) {
        let frame = encode(&event, limits::PAGE).expect("small");
        assert_eq!(heard(&frame[4..]), Some(Heard::Known(event)));
    }

    #[test]
    fn what_is_known_is_heard_as_it_was_said() {
        known(HaveEvent { units: vec![(0, 2)], changed: vec![(2, 1)], fetching: 1, ..HaveEvent::default() });
        known(FollowEvent::default());
        known(ResolveEvent::Hashing(1, u64::MAX));
        known(ResolveEvent::Failed(Refusal { code: Code::Other(77), retry_ms: 1 }));
        known(NeighbourFrame::About(About::default()));
        let id = QueryId::from_bytes([7; 16]);
        known(NeighbourFrame::Done(id));
        for what in [Sought::Content(ContentId::of(b"")), Sought::Nodes, Sought::Words(vec!["a".into()])] {
            known(NeighbourFrame::Query(FloodQuery { id, ttl: 2, what }));
        }
    }

    #[test]
    fn what_is_not_known_is_skipped_and_what_is_malformed_is_not() {
        for value in [&b"\x81\xa6Gossip\x92\x01\xc3"[..], b"\xa6Gossip", b"\x81\xa6Gossip\x81\xa1a\xc0"] {
            assert_eq!(heard::<NeighbourFrame>(value), Some(Heard::Unknown));
            assert_eq!(heard::<HaveEvent>(value), Some(Heard::Unknown));
            assert_eq!(heard::<FollowEvent>(value), Some(Heard::Unknown));
            assert_eq!(heard::<ResolveEvent>(value), Some(Heard::Unknown));
        }
        for value in [&b"\x81\xa4Done\xa1x"[..], b"\xa4Done", b"\x82\xa6Gossip\xc0\xa4Done\xc0", b"\x80", b"\x05"] {
            assert_eq!(heard::<NeighbourFrame>(value), None, "{value:?}");
        }
        assert_eq!(heard::<HaveEvent>(b"\x81\xa5units\x90"), None);
        assert_eq!(heard::<FollowEvent>(b"\x82\xa6Gossip\xc0\xa5Other\xc0"), None);
    }

    #[test]
    fn a_look_up_that_is_not_known_leaves_the_rest_of_its_query() {
        let head = b"\x81\xa5Query\x83\xa2id\xc4\x10\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\x9d\xa3ttl\x02\xa4what";
        let id = QueryId::from_bytes([0x9d; 16]);
        for what in [&b"\x81\xa5Regex\xa2a."[..], b"\xa8Friends!"] {
            let query = FloodQuery { id, ttl: 2, what: Sought::Unknown };
            let value = [&head[..], what].concat();
            assert_eq!(heard(&value), Some(Heard::Known(NeighbourFrame::Query(query))));
        }
        let malformed = [&head[..], b"\x81\xa5Words\x05"].concat();
        assert_eq!(heard::<NeighbourFrame>(&malformed), None);
        let unknown = FloodQuery { id, ttl: 2, what: Sought::Unknown };
        assert!(encode(&NeighbourFrame::Query(unknown), limits::PAGE).is_err(), "nobody says what it does not know");
    }

    #[test]
    fn names_are_those_of_the_version_table() {
        let all = |of: &str, names: &[&str]| names.iter().all(|name| since(&format!("{of}::{name}")) < u16::MAX);
        assert!(all("NeighbourFrame", names_of::<NeighbourFrame>()) && all("ResolveEvent", names_of::<ResolveEvent>()));
        assert_eq!((since("HaveEvent"), since("FollowEvent"), since("Gossip")), (1, 1, u16::MAX));
    }
}
