//! Looking on all planes: trackers and given peers are asked directly, the neighbours and the LAN by a flooded query.
//! Answers come as they come; what is enough, and how long to wait for the rest, is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::actors::neighbours::{Answer, NeighboursRef, Row};
use crate::io::link::Link;
use crate::logic::flood::WAVES;
use crate::model::{ContentId, Hit, NodeId};
use crate::node::error::Error;
use crate::node::find::{Asked, Asking, Place};
use crate::node::types::{Direct, NearRow, Plane};
use crate::wire::{Peer, Sought, limits};

/// How long the neighbours may take altogether.
const FLOOD: Duration = Duration::from_secs(2);
/// After the first hit, how long the others of the neighbours have (design, section 9).
const OTHERS: Duration = Duration::from_millis(300);
/// When the trackers know something, how long the neighbours have to add to it.
const BESIDE: Duration = Duration::from_millis(600);
/// When the neighbours know something, how long a tracker that is silent is waited for.
const SILENT: Duration = Duration::from_millis(700);
/// A `get` asks the neighbours when its trackers have been silent for so long.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long a node that was named is waited for. The local network is asked at once, after 1 s and after 3 s (RFC 6762, section
/// 5.2), and who has answered somebody else within the last second keeps silent (section 6): so the third time counts.
const NAMED: Duration = Duration::from_secs(4);

/// How far is asked who is near.
const NEAR: u8 = 2;

/// Hits, and how many more there are.
pub(crate) type Page = (Vec<Hit>, u64);

/// What is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enough {
    /// What every plane knows.
    Everything,
    /// What the trackers know; the neighbours only if that is nothing.
    Something,
    /// One provider.
    First,
}

/// The neighbours, as a place to look.
#[derive(Clone)]
pub(crate) struct Overlay {
    pub(crate) neighbours: NeighboursRef,
    /// How far; one wave instead of wider and wider ones.
    pub(crate) ttl: Option<u8>,
}

impl Overlay {
    /// Begins a search over the neighbours.
    pub(crate) fn search(&self, what: Sought) -> mpsc::Receiver<Answer> {
        let waves = self.ttl.map_or_else(|| WAVES.to_vec(), |ttl| vec![ttl.min(limits::TTL)]);
        self.neighbours.search(what, waves)
    }

    /// The link to a node that was named, when it is a neighbour: one that is on the local network becomes one.
    pub(crate) async fn meet(&self, node: NodeId) -> Option<Link> {
        self.neighbours.meet(node, NAMED).await
    }

    /// The nodes near this one: its neighbours, then those that they tell of, by id.
    pub(crate) async fn near(&self, own: NodeId) -> Vec<NearRow> {
        self.neighbours.settled(FLOOD).await;
        let mut answers = self.neighbours.search(Sought::Nodes, vec![self.ttl.unwrap_or(NEAR)]);
        let mut told: BTreeMap<NodeId, NearRow> = BTreeMap::new();
        let deadline = Instant::now() + FLOOD;
        while let Ok(Some(Answer::Found { nodes, .. })) = timeout_at(deadline, answers.recv()).await {
            for seen in nodes.into_iter().filter(|seen| seen.node != own) {
                let peer = Peer { node: seen.node, addrs: seen.addrs, offers: seen.offers };
                told.insert(seen.node, NearRow { peer, direct: None, by: Some(seen.by) });
            }
        }
        let mut rows: Vec<NearRow> = self.neighbours.all().await.into_iter().map(row).collect();
        rows.iter().for_each(|row| drop(told.remove(&row.peer.node)));
        rows.extend(told.into_values());
        rows
    }
}

fn row(row: Row) -> NearRow {
    let direct = Direct { direction: row.direction, rtt: row.rtt, since: row.since };
    let peer = Peer { node: row.node, addrs: vec![row.addr], offers: row.offers };
    NearRow { peer, direct: Some(direct), by: None }
}

/// Both, until it is enough.
pub(crate) async fn look(
    mut direct: Asking<Page>,
    places: &[Place],
    neighbours: Option<(&Overlay, Sought)>,
    enough: Enough,
) -> Result<Asked<Page>, Error> {
    let begun = Instant::now();
    let patience = if enough == Enough::Something && !places.is_empty() { PATIENCE } else { Duration::ZERO };
    let silent = (0..places.len()).collect();
    let id = match &neighbours {
        Some((_, Sought::Content(id))) => Some(*id),
        _ => None,
    };
    let flood = Flood::Waiting(neighbours);
    let mut search = Search { asked: Asked::default(), silent, flood, id, found: false, enough };
    let (mut flood_until, mut direct_until) = (begun + FLOOD, None);
    while !search.is_over() {
        tokio::select! {
            biased;
            joined = direct.join_next(), if !search.silent.is_empty() => match joined {
                Some(Ok((number, answer))) => {
                    if search.answered(number, places[number].plane, answer) {
                        flood_until = flood_until.min(begun + BESIDE);
                    }
                }
                // Nobody is left to wait for, whatever became of the others' tasks.
                Some(Err(_)) | None => search.silent.retain(|_| !direct.is_empty()),
            },
            () = sleep_until(begun + patience), if search.flood.waits() => search.flood.begin(),
            answer = search.flood.next(), if search.flood.is_under_way() => {
                if search.found(answer) && direct_until.is_none() {
                    flood_until = flood_until.min(Instant::now() + OTHERS);
                    direct_until = Some(Instant::now() + SILENT);
                }
            }
            () = sleep_until(flood_until), if search.flood.is_under_way() => search.flood = Flood::Over,
            () = sleep_until(direct_until.unwrap_or(begun)), if direct_until.is_some() => break,
        }
    }
    search.into_answer(places)
}

struct Search<'a> {
    asked: Asked<Page>,
    /// The places that have not answered.
    silent: BTreeSet<usize>,
    flood: Flood<'a>,
    /// What is looked for, if it has an id: others than it are no answer.
    id: Option<ContentId>,
    /// The neighbours know something.
    found: bool,
    enough: Enough,
}

enum Flood<'a> {
    Waiting(Option<(&'a Overlay, Sought)>),
    UnderWay(mpsc::Receiver<Answer>),
    Over,
}

impl Flood<'_> {
    const fn waits(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }

    const fn is_under_way(&self) -> bool {
        matches!(self, Self::UnderWay(_))
    }

    fn begin(&mut self) {
        let Self::Waiting(neighbours) = self else { return };
        *self = neighbours.take().map_or(Self::Over, |(overlay, what)| Self::UnderWay(overlay.search(what)));
    }

    async fn next(&mut self) -> Option<Answer> {
        match self {
            Self::UnderWay(answers) => answers.recv().await,
            _ => None,
        }
    }
}

impl Search<'_> {
    /// Takes the answer of a place; says whether it was the last one, and some know something.
    fn answered(&mut self, number: usize, plane: Plane, answer: Result<Page, Error>) -> bool {
        self.asked.take(plane, answer);
        self.silent.remove(&number);
        if self.silent.is_empty() && self.flood.waits() && !self.is_over() {
            self.flood.begin();
        }
        self.silent.is_empty() && has_hits(&self.asked)
    }

    /// Takes what came; says whether it is a hit.
    fn found(&mut self, answer: Option<Answer>) -> bool {
        match answer {
            Some(Answer::Found { lan, mut hits, .. }) => {
                let plane = if lan { Plane::Lan } else { Plane::Neighbours };
                hits.retain(|hit| self.id.is_none() || hit.id == self.id);
                let found = !hits.is_empty();
                self.found |= found;
                self.asked.answers.push((plane, (hits, 0)));
                found
            }
            Some(Answer::Over { .. }) | None => {
                self.flood = Flood::Over;
                false
            }
        }
    }

    fn is_over(&self) -> bool {
        let over = self.silent.is_empty() && matches!(self.flood, Flood::Over);
        match self.enough {
            Enough::Everything => over,
            Enough::Something => over || (self.silent.is_empty() && has_hits(&self.asked)),
            Enough::First => over || has_hits(&self.asked),
        }
    }

    /// Who was asked directly and failed becomes a warning, unless nobody knows anything; so does who is silent still.
    fn into_answer(mut self, places: &[Place]) -> Result<Asked<Page>, Error> {
        if self.enough != Enough::First {
            let silence = |number: &usize| {
                format!("{} does not answer; what is shown is what others know", places[*number].who())
            };
            self.asked.warnings.extend(self.silent.iter().map(silence));
        }
        if !self.found {
            self.asked.answers.retain(|(plane, _)| !matches!(plane, Plane::Lan | Plane::Neighbours));
        }
        self.asked.into_result()
    }
}

fn has_hits(asked: &Asked<Page>) -> bool {
    asked.answers.iter().any(|(_, (hits, _))| !hits.is_empty())
}
