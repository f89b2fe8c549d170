//! How much of a page an entry takes: never less than its encoding, so that a page always fits its frame.

use crate::model::{Hit, Offer, Provider, SafePath};
use crate::wire::limits;

/// Entries of a page that is filled at most to [`limits::PAGE_FILL`].
#[derive(Debug)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    size: usize,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), size: 0 }
    }
}

impl<T> Page<T> {
    /// Adds an entry of a size unless the page is full. The first entry always fits: see the tests.
    pub fn add(&mut self, size: usize, entry: impl FnOnce() -> T) -> bool {
        if !self.items.is_empty() && self.size + size > limits::PAGE_FILL {
            return false;
        }
        self.size += size;
        self.items.push(entry());
        true
    }
}

/// A socket address: at most 16 bytes of two each, a port and their markers.
const ADDRESS: usize = 56;
/// An id with its marker and field name.
const ID: usize = 48;
/// The other fields of an offer or hit, with their names.
const FIELDS: usize = 96;
/// The marker of a string.
const STRING: usize = 5;

/// How much an offer takes.
pub fn of_offer(offer: &Offer) -> usize {
    FIELDS + ID + of_name(&offer.name)
}

/// How much a name takes. Very short ones count for more, so that no page has more than [`limits::ENTRIES`] of them.
pub fn of_name(name: &SafePath) -> usize {
    const LEAST: usize = limits::PAGE_FILL.div_ceil(limits::ENTRIES);
    (STRING + name.as_str().len()).max(LEAST)
}

/// How much a part takes: its id and its other fields.
pub const fn of_part() -> usize {
    FIELDS + ID
}

/// How much a provider takes, or a peer.
pub fn of_provider(provider: &Provider) -> usize {
    FIELDS + ID + provider.addrs.len() * ADDRESS
}

/// How much a provider takes at most.
pub const MAX_PROVIDER: usize = FIELDS + ID + limits::ADDRESSES * ADDRESS;

/// How much a hit takes.
pub fn of_hit(hit: &Hit) -> usize {
    let names: usize = hit.names.iter().map(of_name).sum();
    FIELDS + ID + names + hit.providers.iter().map(of_provider).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::model::{Content, ContentId, Kind, Modified, NodeId};
    use crate::wire::encode;

    #[test]
    fn an_entry_never_takes_more_than_it_is_counted_for() {
        let name = SafePath::parse(&vec!["n".repeat(250); 16].join("/")).expect("name");
        let id = Some(ContentId::from_bytes([255; 32]));
        let (size, files) = (u64::MAX, u32::MAX);
        let (kind, locked, executable, modified) = (Kind::Collection, true, true, Modified::new(253_402_300_799));
        let offer = Offer { name: name.clone(), size, id, kind, files, locked, executable, modified };
        assert!(encode(&offer, limits::PAGE).expect("fits").len() <= of_offer(&offer));
        let addr = SocketAddr::from(([0xffff; 8], u16::MAX));
        let provider = Provider { node: NodeId::from_bytes([255; 32]), addrs: vec![addr; limits::ADDRESSES] };
        assert!(encode(&provider, limits::PAGE).expect("fits").len() <= of_provider(&provider));
        let part = Content { id: ContentId::from_bytes([255; 32]), kind: Kind::Collection, size };
        assert!(encode(&part, limits::PAGE).expect("fits").len() <= of_part());
        let (names, providers) = (vec![name; Hit::MAX_NAMES], vec![provider; Hit::MAX_PROVIDERS]);
        let hit = Hit { id, kind, size, files, locked, executable, modified, names, providers };
        assert!(encode(&hit, limits::PAGE).expect("fits").len() <= of_hit(&hit));
        assert!(of_hit(&hit) < limits::PAGE_FILL);
    }
}
