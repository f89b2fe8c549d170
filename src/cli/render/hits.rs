//! Hits, offers, peers and trees as tables for people.

use std::net::SocketAddr;

use itertools::Itertools as _;

use crate::cli::render::human::{count, date, duration, percent, word};
use crate::cli::render::table::Align::{Flexible, Id, Left, Path, Right, Spare, SpareRight};
use crate::cli::render::table::{Align, Table};
use crate::cli::say::names::Names;
use crate::model::collection::Entry;
use crate::model::{ContentId, Hit, Kind, Offer, SafePath, Shown, Size};
use crate::node::{FoundHit, Has, Holder, NearRow, PeerRow};

/// Shown for an offer without an id.
const UNHASHED: &str = "(not hashed yet)";

/// What a search found.
pub(crate) fn hits<'a>(hits: impl IntoIterator<Item = &'a Hit>) -> Table {
    Table::of(&HIT_COLUMNS, hits.into_iter().map(hit_cells)).without_empty(CHANGED)
}

/// What words match of which one is meant: a single provider by its name, which can be given.
pub(crate) fn rivals(hits: &[Hit], names: &Names) -> Table {
    let row = |hit: &Hit| {
        let mut cells = hit_cells(hit);
        cells[PROVIDERS] = match hit.providers.as_slice() {
            [one] => names.short(one.node),
            _ => who(hit, names),
        };
        cells
    };
    Table::of(&HIT_COLUMNS, hits.iter().map(row)).without_empty(CHANGED)
}

/// What a search found, and where; friends who have it by their names.
pub(crate) fn found(hits: &[FoundHit], names: &Names) -> Table {
    let mut columns = HIT_COLUMNS.to_vec();
    columns.insert(columns.len() - 1, ("VIA", Spare));
    let row = |found: &FoundHit| {
        let mut cells = hit_cells(&found.hit).to_vec();
        cells[PROVIDERS] = who(&found.hit, names);
        cells.insert(cells.len() - 1, word(&found.plane));
        cells
    };
    Table::of(&columns, hits.iter().map(row)).without_empty(CHANGED)
}

/// The column of when it was last changed.
pub(crate) const CHANGED: (&str, Align) = ("CHANGED", Spare);

const HIT_COLUMNS: [(&str, Align); 6] =
    [("NAME", Path), ("KIND", Spare), ("SIZE", Right), CHANGED, ("PROVIDERS", Spare), ("ID", Id)];
/// The column of those who have it.
const PROVIDERS: usize = 4;

fn hit_cells(hit: &Hit) -> [String; 6] {
    let name = hit.names.first().map_or_else(String::new, ToString::to_string);
    let (size, providers) = (Size(hit.size).to_string(), who(hit, &Names::default()));
    [name, kind(hit.kind, hit.locked), size, date(hit.modified), providers, id(hit.id)]
}

/// How many have it: `3`, or with a friend among them `anna and 2 more`.
fn who(hit: &Hit, names: &Names) -> String {
    // No more travel with a hit, so there may be others.
    let more = if hit.providers.len() >= Hit::MAX_PROVIDERS { "+" } else { "" };
    let all = hit.providers.len() as u64;
    match hit.providers.iter().find_map(|provider| names.of(provider.node)) {
        None => format!("{}{more}", count(all)),
        Some(friend) if all == 1 => friend.to_owned(),
        Some(friend) => format!("{friend} and {}{more} more", count(all - 1)),
    }
}

/// Who provides what a `get` would fetch, and who of them has only parts of its `bytes`.
pub(crate) fn holders(holders: &[Holder], bytes: u64, names: &Names) -> Table {
    let marked = holders.iter().any(|holder| matches!(holder.has, Has::Parts(_)));
    let mut columns = vec![("ADDRESSES", Flexible), ("NODE", Id)];
    columns.extend(marked.then_some(("", Left)));
    let row = |holder: &Holder| {
        let has = match holder.has {
            Has::Parts(Some(have)) => format!("fetches it itself, has {} % of it", percent(have, bytes)),
            Has::Parts(None) => "fetches it itself, has parts of it".to_owned(),
            Has::Unknown | Has::Whole => String::new(),
        };
        [places(&holder.addrs), names.whole(holder.node), has].into_iter().take(columns.len())
    };
    Table::of(&columns, holders.iter().map(row))
}

/// Where a node is; it may only be known that a tracker or neighbour is linked to it.
fn places(addrs: &[SocketAddr]) -> String {
    if addrs.is_empty() { "(not told)".to_owned() } else { addrs.iter().join(" ") }
}

/// What a node offers.
pub(crate) fn offers(offers: &[Offer]) -> Table {
    let columns = [("NAME", Path), ("KIND", Spare), ("SIZE", Right), CHANGED, ("FILES", SpareRight), ("ID", Id)];
    let row = |offer: &Offer| {
        let (name, size, files) = (offer.name.to_string(), Size(offer.size).to_string(), count(offer.files.into()));
        [name, kind(offer.kind, offer.locked), size, date(offer.modified), files, id(offer.id)]
    };
    Table::of(&columns, offers.iter().map(row)).without_empty(CHANGED)
}

/// What a collection or a directory of it holds.
pub(crate) fn tree(entries: &[(SafePath, Entry)]) -> Table {
    let row = |(path, entry): &(SafePath, Entry)| match entry {
        Entry::Directory => [format!("{path}/"), String::new(), String::new(), String::new()],
        Entry::File { size, id, executable } => {
            let mark = if *executable { "x" } else { "" };
            [path.to_string(), mark.to_owned(), Size(*size).to_string(), id.to_string()]
        }
    };
    Table::of(&[("PATH", Path), ("", Left), ("SIZE", Right), ("ID", Id)], entries.iter().map(row))
}

/// The known nodes.
pub(crate) fn peers(rows: &[PeerRow], names: &Names) -> Table {
    let cells = |row: &PeerRow| {
        let node = names.whole(row.peer.node);
        [places(&row.peer.addrs), count(row.peer.offers), word(&row.plane), node]
    };
    Table::of(&[("ADDRESSES", Flexible), ("OFFERS", Right), ("VIA", Spare), ("NODE", Id)], rows.iter().map(cells))
}

/// The nodes near this one: first the neighbours, then those that they tell of.
pub(crate) fn neighbours(rows: &[NearRow], names: &Names) -> Table {
    let columns = [
        ("NODE", Id),
        ("ADDRESSES", Flexible),
        ("DIRECTION", Spare),
        ("RTT", SpareRight),
        ("SINCE", SpareRight),
        ("OFFERS", Right),
    ];
    let cells = |row: &NearRow| {
        let (direction, rtt, since) = match (&row.direct, row.by) {
            (Some(direct), _) => {
                let rtt = format!("{:.1} ms", direct.rtt.as_secs_f64() * 1000.0);
                (word(&direct.direction), rtt, duration(direct.since))
            }
            (None, by) => {
                let by = by.map_or_else(String::new, |by| format!("by {}", names.short(by)));
                (by, String::new(), String::new())
            }
        };
        [names.whole(row.peer.node), places(&row.peer.addrs), direction, rtt, since, count(row.peer.offers)]
    };
    Table::of(&columns, rows.iter().map(cells))
}

/// One line about a hit: `NAME, file, 1.5 GiB, changed 2026-11-30`.
pub(crate) fn headline(hit: &Hit) -> String {
    let name = hit.names.first().map_or("(no name)", |name| name.as_str());
    let changed = hit.modified.map(|_| format!(", changed {}", date(hit.modified))).unwrap_or_default();
    format!("{}, {}, {}{changed}", Shown(name), kind(hit.kind, hit.locked), Size(hit.size))
}

fn kind(kind: Kind, locked: bool) -> String {
    let lock = if locked { ", locked" } else { "" };
    word(&kind) + lock
}

fn id(id: Option<ContentId>) -> String {
    id.map_or_else(|| UNHASHED.to_owned(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Friend, Friends, Modified, NodeId, Provider, SafePath};
    use crate::node::Plane;
    use crate::wire::Peer;

    fn hit(name: &str, id: Option<ContentId>) -> Hit {
        let provider = Provider { node: NodeId::of_public_key(b"n"), addrs: vec!["[::1]:7".parse().expect("addr")] };
        let names = vec![SafePath::parse(name).expect("a name")];
        Hit { names, providers: vec![provider], ..Hit::file(id, 1536) }
    }

    #[test]
    fn hits_show_name_kind_size_providers_and_the_whole_id() {
        let id = ContentId::of(b"");
        let text = hits([&hit("docs/a b.txt", Some(id)), &hit("c", None)]).render(None);
        let expected = format!(
            "NAME          KIND     SIZE  PROVIDERS  ID\n\
             docs/a b.txt  file  1.5 KiB  1          {id}\n\
             c             file  1.5 KiB  1          (not hashed yet)\n"
        );
        assert_eq!(text, expected);
        let text = rivals(&[hit("c", None)], &Names::default()).render(None);
        assert!(text.contains(&NodeId::of_public_key(b"n").short()), "{text}");
        let dated = Hit { modified: Modified::new(1_795_996_799), ..hit("c", None) };
        let text = hits([&dated]).render(None);
        assert!(text.ends_with("\nc     file  1.5 KiB  2026-11-29  1          (not hashed yet)\n"), "{text}");
        let found = |names: Names| found(&[FoundHit { hit: hit("c", None), plane: Plane::Lan }], &names).render(None);
        let text = found(Names::default());
        assert!(text.ends_with("\nc     file  1.5 KiB  1          lan  (not hashed yet)\n"), "{text}");
        let friend = Friend { name: "anna".parse().expect("a name"), node: NodeId::of_public_key(b"n"), at: None };
        let text = found(Names::new(Friends::new([friend])));
        assert!(text.ends_with("\nc     file  1.5 KiB  anna       lan  (not hashed yet)\n"), "{text}");
    }

    #[test]
    fn peers_and_providers_show_whole_node_ids() {
        let node = NodeId::of_public_key(b"n");
        let peer = Peer { node, addrs: vec!["10.0.0.1:4917".parse().expect("addr")], offers: 12_345 };
        let text = peers(&[PeerRow { peer, plane: Plane::Tracker }], &Names::default()).render(None);
        assert!(text.ends_with(&format!("\n10.0.0.1:4917  12,345  tracker  {node}\n")), "{text}");
        let holder = |has| Holder { node, addrs: hit("c", None).providers[0].addrs.clone(), has };
        let text = holders(&[holder(Has::Whole)], 8, &Names::default()).render(None);
        assert_eq!(text, format!("ADDRESSES  NODE\n[::1]:7    {node}\n"));
        let text = holders(&[holder(Has::Parts(Some(2)))], 8, &Names::default()).render(None);
        assert!(text.ends_with(&format!("{node}  fetches it itself, has 25 % of it\n")), "{text}");
    }

    #[test]
    fn a_tree_shows_empty_directories_and_executables() {
        let id = ContentId::of(b"");
        let path = |text| SafePath::parse(text).expect("a path");
        let entries = vec![(path("a"), Entry::File { size: 0, id, executable: true }), (path("b"), Entry::Directory)];
        let text = tree(&entries).render(None);
        assert_eq!(text, format!("PATH     SIZE  ID\na     x   0 B  {id}\nb/\n"));
    }
}
