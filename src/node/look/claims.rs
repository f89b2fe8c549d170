//! Which of several things claimed of one id is the true one. An id commits neither to a length nor to a kind: whoever claims
//! a file's size must prove it, by a list that merges to the id and a last chunk that the list proves; a collection's size
//! follows from its list, which is proven whole wherever it is had.
//! Not responsible for the transfer, which proves everything again; asked only when claims differ.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames::{self, CallError, Pace, receive_list, receive_raw};
use crate::io::net::link::Link;
use crate::logic::limits::turns::{by_turns, home};
use crate::logic::offers::merge::add_provider;
use crate::model::units::UnitFile;
use crate::model::{ChunkIndex, Content, ContentId, FoundHit, Kind, Layout, Provider};
use crate::node::look::Looking;
use crate::node::types::LookNotice;
use crate::wire::{Fetch, RECORD_HEAD, RecordHead, RecordKind, Request, limits};

/// Providers that are asked at once, and how long after them each further one is, whatever they do.
const AT_ONCE: usize = 16;
const NEXT: Duration = Duration::from_millis(50);
/// A provider has this long to prove its claim.
const PROOF: Duration = Duration::from_secs(10);
/// The same of all that claim a file, where others claim a collection.
const BESIDE: Duration = Duration::from_secs(2);
/// Those that cannot are told of; a liar with many identities must not fill a terminal.
const TOLD: usize = 3;

impl Looking<'_> {
    /// What is claimed of the id of `chosen` by it and by `hits`: of several claims the one that is proven first, all providers
    /// of a collection whatever size they say. `chosen` itself where nothing is proven.
    pub(crate) async fn of_true_claim(self, chosen: FoundHit, hits: &[FoundHit]) -> FoundHit {
        let claims = claims(&chosen, hits);
        match claims.as_slice() {
            [] => chosen,
            [one] => one.clone(),
            _ => self.true_among(claims).await.unwrap_or(chosen),
        }
    }

    /// Of claims of one id the one that is proven first; else a collection, where one is claimed: its list, which shows whether it
    /// is one, is asked for next.
    pub(crate) async fn true_among(self, claims: Vec<FoundHit>) -> Option<FoundHit> {
        let tree = claims.iter().find(|claim| claim.hit.kind == Kind::Collection).cloned();
        let proving = self.first_proven(claims);
        match tree {
            Some(tree) => timeout(BESIDE, proving).await.ok().flatten().or(Some(tree)),
            None => proving.await,
        }
    }

    /// The first of these claims that a provider proves; collections are none that can be.
    pub(crate) async fn first_proven(self, mut claims: Vec<FoundHit>) -> Option<FoundHit> {
        let mut waiting = trials(&claims).into_iter();
        let (mut asking, mut told) = (JoinSet::new(), 0);
        let mut begin = |asking: &mut JoinSet<_>| {
            let Some((place, content, provider)) = waiting.next() else { return false };
            let connections = self.finder.connections.clone();
            asking.spawn(async move {
                let proven = timeout(PROOF, proves(&connections, &provider, content)).await.ok().flatten();
                (place, content, provider, proven)
            });
            true
        };
        while asking.len() < AT_ONCE && begin(&mut asking) {}
        while !asking.is_empty() {
            tokio::select! {
                Some(answered) = asking.join_next() => {
                    begin(&mut asking);
                    let Ok((place, Content { id, size, .. }, provider, proven)) = answered else { continue };
                    match proven {
                        Some(true) => return Some(claims.swap_remove(place)),
                        Some(false) if told < TOLD => {
                            told += 1;
                            self.report.warn(LookNotice::Unproven { node: provider.node, id, size });
                        }
                        Some(false) | None => {}
                    }
                }
                () = sleep(NEXT) => drop(begin(&mut asking)),
            }
        }
        None
    }
}

/// Whatever is claimed of the id, those of most providers first; a collection is one claim.
pub(crate) fn claims(chosen: &FoundHit, hits: &[FoundHit]) -> Vec<FoundHit> {
    let Some(id) = chosen.hit.id else { return Vec::new() };
    let mut claims: Vec<FoundHit> = Vec::new();
    for found in std::iter::once(chosen).chain(hits).filter(|found| found.hit.id == Some(id)) {
        let is_same = |there: &&mut FoundHit| {
            let (there, hit) = (&there.hit, &found.hit);
            there.kind == hit.kind && (there.size == hit.size || hit.kind == Kind::Collection)
        };
        match claims.iter_mut().find(is_same) {
            Some(there) => {
                found.hit.providers.iter().cloned().for_each(|one| add_provider(&mut there.hit.providers, one));
            }
            None => claims.push(found.clone()),
        }
    }
    claims.sort_by_key(|claim| usize::MAX - claim.hit.providers.len());
    claims
}

/// Whom to ask for which claim, by its place: one claim of each node and one node of each network first.
fn trials(claims: &[FoundHit]) -> Vec<(usize, Content, Provider)> {
    let files = claims.iter().enumerate().filter(|(_, claim)| claim.hit.kind == Kind::File);
    let all = files.filter_map(|(place, claim)| Some((place, claim.hit.content()?, &claim.hit.providers)));
    let all = all.flat_map(|(place, content, of)| of.iter().map(move |one| (place, content, one.clone())));
    let all = by_turns(all, HashMap::new(), |(_, _, provider)| provider.node);
    by_turns(all, HashMap::new(), |(_, _, provider)| home(&provider.addrs))
}

/// Whether the provider proves its size; `None` when it did not answer.
async fn proves(connections: &ConnectionsRef, provider: &Provider, claim: Content) -> Option<bool> {
    let Some(layout) = Layout::of(claim.size) else { return Some(false) };
    let link = connections.to_node(provider.node, provider.addrs.clone()).await.ok()?;
    let proven = if layout.needs_list() { by_list(&link, claim, layout).await } else { by_bytes(&link, claim).await };
    match proven {
        Ok(proven) => Some(proven),
        Err(CallError::Lost(_) | CallError::Refused(_) | CallError::Reset(_) | CallError::TimedOut) => None,
        Err(CallError::Ended | CallError::Frame(_)) => Some(false),
    }
}

async fn by_list(link: &Link, claim: Content, layout: Layout) -> Result<bool, CallError> {
    let file = UnitFile { id: claim.id, layout, first: 0 };
    let mut pace = Pace::without_pause(PROOF);
    let Some((list, _open, mut from)) = receive_list(link, claim, file, &mut pace).await? else { return Ok(false) };
    let last = ChunkIndex(layout.chunks() - 1);
    let bytes = receive_raw(&mut from, usize::try_from(layout.len(last)).unwrap_or(usize::MAX), &mut pace).await?;
    Ok(list.proves(last, &bytes))
}

/// A file of at most one chunk is its own proof.
async fn by_bytes(link: &Link, Content { id, size, .. }: Content) -> Result<bool, CallError> {
    if size == 0 {
        return Ok(id == ContentId::NOTHING);
    }
    let request = Request::Fetch(Fetch { id, size, units: vec![(0, 1)], max: 1 });
    let ((), _open, mut from) = frames::call::<()>(link, &request, limits::CONTROL).await?;
    let mut pace = Pace::without_pause(PROOF);
    let head = receive_raw(&mut from, RECORD_HEAD, &mut pace).await?;
    let bytes = receive_raw(&mut from, usize::try_from(size).unwrap_or(usize::MAX), &mut pace).await?;
    let due = RecordHead { unit: 0, kind: RecordKind::Bytes }.to_bytes();
    Ok(head == due && ContentId::of(&bytes) == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Hit, NodeId, Plane, SafePath};

    fn claim(kind: Kind, size: u64, nodes: &[u8]) -> FoundHit {
        let provider = |n: &u8| Provider {
            node: NodeId::from_bytes([*n; 32]),
            addrs: vec![std::net::SocketAddr::from(([10, 0, 0, *n % 100], 1))],
        };
        let providers = nodes.iter().map(provider).collect();
        let names = vec![SafePath::parse("a").expect("a name")];
        FoundHit {
            hit: Hit { kind, names, providers, ..Hit::file(Some(ContentId::of(b"a")), size) },
            plane: Plane::Lan,
        }
    }

    #[test]
    fn a_collection_is_one_claim_whatever_sizes_are_said() {
        let all = [claim(Kind::Collection, 5, &[1]), claim(Kind::Collection, 6, &[2, 3]), claim(Kind::File, 6, &[4])];
        let claims = claims(&all[0], &all);
        let of = |claim: &FoundHit| (claim.hit.kind, claim.hit.providers.len());
        assert_eq!(claims.iter().map(of).collect::<Vec<_>>(), [(Kind::Collection, 3), (Kind::File, 1)]);
        let other = FoundHit { hit: Hit { id: Some(ContentId::of(b"b")), ..all[1].hit.clone() }, ..all[1].clone() };
        assert_eq!(super::claims(&all[0], &[other]).len(), 1, "another id");
    }

    #[test]
    fn who_claims_many_sizes_is_asked_for_the_second_after_all_others() {
        let mut all: Vec<_> = (10..30).map(|size| claim(Kind::File, size, &[1, 101])).collect();
        all.push(claim(Kind::File, 3, &[2]));
        let asked = trials(&claims(&all[0], &all));
        assert_eq!(asked.len(), 41);
        let honest = asked.iter().position(|(_, content, _)| content.size == 3).expect("asked");
        assert!(honest < 2, "{honest}");
    }
}
