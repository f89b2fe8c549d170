//! Looking on all planes: trackers and given peers are asked directly, the neighbours and the LAN by a flooded query.
//! Answers come as they come; what is enough, and how long to wait for the rest, is decided here.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::actors::neighbours::{Answer, NeighboursRef, Row};
use crate::logic::flood::WAVES;
use crate::model::{Hit, NodeId};
use crate::node::error::Error;
use crate::node::find::Asked;
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

    /// The nodes near this one: its neighbours, then those that they tell of, by id.
    pub(crate) async fn near(&self, own: NodeId) -> Vec<NearRow> {
        self.neighbours.settled(FLOOD).await;
        let mut answers = self.neighbours.search(Sought::Nodes, vec![self.ttl.unwrap_or(NEAR)]);
        let mut told: BTreeMap<NodeId, NearRow> = BTreeMap::new();
        while let Ok(Some(Answer::Found { nodes, .. })) = timeout(FLOOD, answers.recv()).await {
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

/// Both, until it is enough. `names` are those of who is asked directly.
pub(crate) async fn look<F>(
    direct: Option<F>,
    names: &[String],
    neighbours: Option<(&Overlay, Sought)>,
    enough: Enough,
) -> Result<Asked<Page>, Error>
where
    F: Future<Output = Result<Asked<Page>, Error>>,
{
    let begun = Instant::now();
    let has_direct = direct.is_some();
    let mut search = Search { direct: None, flood: Flood::Waiting(neighbours), hits: Vec::new(), enough };
    let direct = async {
        match direct {
            Some(direct) => direct.await,
            None => Ok(Asked::default()),
        }
    };
    tokio::pin!(direct);
    let patience = if enough == Enough::Something && has_direct { PATIENCE } else { Duration::ZERO };
    let (mut flood_until, mut direct_until) = (begun + FLOOD, None);
    loop {
        if search.is_over() {
            break;
        }
        tokio::select! {
            biased;
            answered = &mut direct, if search.direct.is_none() => {
                if search.answered(answered) {
                    flood_until = flood_until.min(begun + BESIDE);
                }
            }
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
    search.into_answer(names)
}

struct Search<'a> {
    direct: Option<Result<Asked<Page>, Error>>,
    flood: Flood<'a>,
    hits: Vec<(Plane, Page)>,
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
    /// Takes the answer of those who were asked directly; says whether they know something.
    fn answered(&mut self, answered: Result<Asked<Page>, Error>) -> bool {
        let known = answered.as_ref().is_ok_and(has_hits);
        self.direct = Some(answered);
        if self.flood.waits() {
            self.flood.begin();
        }
        known
    }

    /// Takes what came; says whether it is a hit.
    fn found(&mut self, answer: Option<Answer>) -> bool {
        match answer {
            Some(Answer::Found { lan, hits, .. }) => {
                let plane = if lan { Plane::Lan } else { Plane::Neighbours };
                let found = !hits.is_empty();
                self.hits.push((plane, (hits, 0)));
                found
            }
            Some(Answer::Over { .. }) | None => {
                self.flood = Flood::Over;
                false
            }
        }
    }

    fn is_over(&self) -> bool {
        let direct = self.direct.as_ref().is_some_and(|direct| direct.as_ref().is_ok_and(has_hits));
        let flood = self.hits.iter().any(|(_, (hits, _))| !hits.is_empty());
        let over = self.direct.is_some() && matches!(self.flood, Flood::Over);
        match self.enough {
            Enough::Everything => over,
            Enough::Something => over || direct,
            Enough::First => over || direct || flood,
        }
    }

    /// Who was asked directly and failed becomes a warning, unless nobody else knows anything either.
    fn into_answer(self, names: &[String]) -> Result<Asked<Page>, Error> {
        let flood = self.hits.iter().any(|(_, (hits, _))| !hits.is_empty());
        let mut asked = match self.direct {
            Some(Err(error)) if !flood => return Err(error),
            Some(Err(error)) => Asked { answers: Vec::new(), warnings: vec![error.to_string()] },
            Some(Ok(asked)) => asked,
            None => Asked { answers: Vec::new(), warnings: vec![silence(names)] },
        };
        asked.answers.extend(self.hits);
        Ok(asked)
    }
}

fn has_hits(asked: &Asked<Page>) -> bool {
    asked.answers.iter().any(|(_, (hits, _))| !hits.is_empty())
}

fn silence(names: &[String]) -> String {
    let who = match names {
        [one] => format!("{one} does not answer"),
        many => format!("not all of {} answer", many.join(", ")),
    };
    format!("{who}; what is shown is what the others know")
}
