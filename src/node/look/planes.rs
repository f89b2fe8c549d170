//! Looking on all planes: trackers and given peers are asked directly, the neighbours and the LAN by a flooded query.
//! Answers come as they come; what is enough, and how long to wait for the rest, `logic::look` decides. What is still under way
//! at the end is handed on, to be heard beside a transfer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::actors::neighbours::{Answer, NeighboursRef, Row};
use crate::logic::flood::WAVES;
use crate::logic::look::{self, Enough, Look};
use crate::model::{Hit, NodeId, Plane};
use crate::node::error::{Result, Who};
use crate::node::look::ask::{Asked, Asking, Looked, Page, Responder};
use crate::node::types::{Direct, LookNotice, NearRow};
use crate::wire::{Peer, Sought, limits};

/// How long the nodes near may take to tell who they are.
const ACQUAINTED: Duration = Duration::from_secs(2);

/// How far is asked who is near.
const NEAR: u8 = 2;

/// The neighbours, who are asked all together.
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
        self.neighbours.settled(ACQUAINTED).await;
        let mut answers = self.neighbours.search(Sought::Nodes, vec![self.ttl.unwrap_or(NEAR)]);
        let mut told: BTreeMap<NodeId, NearRow> = BTreeMap::new();
        let deadline = Instant::now() + ACQUAINTED;
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

/// Asks on all planes until it is enough.
///
/// # Errors
/// When nobody answered and somebody failed.
pub(crate) async fn look(
    direct: Asking<Page>,
    (responders, own): (&[Responder], NodeId),
    neighbours: Option<Overlay>,
    looked: Looked,
    enough: Enough,
) -> Result<(Asked<Page>, Rest)> {
    let trackers = responders.iter().filter(|responder| responder.plane == Plane::Tracker).count();
    let look = Look::new(enough, trackers, responders.len() - trackers, neighbours.is_some());
    let rest = Rest { direct, flood: None, unasked: neighbours.map(|overlay| (overlay, looked.sought())), cut: false };
    let silent = (0..responders.len()).collect();
    let (begun, asked, friends) = (Instant::now(), Asked::default(), Vec::new());
    let mut search = Search { begun, look, rest, asked, silent, known: false, friends, looked };
    search.run(responders).await;
    search.into_answer(responders, own)
}

/// What was still under way when a look was over.
#[derive(Default)]
pub(crate) struct Rest {
    /// The responders that are silent.
    pub(crate) direct: Asking<Page>,
    /// The neighbours, if they were asked and have not all answered.
    pub(crate) flood: Option<mpsc::Receiver<Answer>>,
    /// What they would be asked, if they were not.
    pub(crate) unasked: Option<(Overlay, Sought)>,
    /// Of what those near know something may have been left out.
    pub(crate) cut: bool,
}

impl Rest {
    /// Asks the neighbours, if they were not asked yet.
    pub(super) fn begin(&mut self) {
        if let Some((overlay, what)) = self.unasked.take() {
            self.flood = Some(overlay.search(what));
        }
    }
}

/// The next answer of the neighbours; never, where they are not asked.
pub(crate) async fn next(flood: &mut Option<mpsc::Receiver<Answer>>) -> Option<Answer> {
    match flood {
        Some(answers) => answers.recv().await,
        None => std::future::pending().await,
    }
}

struct Search {
    begun: Instant,
    look: Look,
    rest: Rest,
    asked: Asked<Page>,
    /// The responders that have not answered.
    silent: BTreeSet<usize>,
    /// All neighbours who are known have answered; others may still be heard of.
    known: bool,
    /// Friends near that have not answered.
    friends: Vec<NodeId>,
    /// What is looked for: other things are no answer.
    looked: Looked,
}

impl Search {
    async fn run(&mut self, responders: &[Responder]) {
        loop {
            let now = self.begun.elapsed();
            if self.look.begins_near(now) {
                self.rest.begin();
            }
            if self.rest.flood.is_some() && self.look.gives_up_near(now) {
                self.near_over(false);
            }
            if self.look.is_over(now) {
                return;
            }
            let wake = self.begun + self.look.wake().unwrap_or_default();
            let Rest { direct, flood, .. } = &mut self.rest;
            tokio::select! {
                biased;
                joined = direct.join_next(), if !self.silent.is_empty() => match joined {
                    Some(Ok((number, answer))) => self.answered(number, &responders[number], answer),
                    Some(Err(_)) if !direct.is_empty() => {}
                    // Nobody is left to wait for, whatever became of the others' tasks.
                    Some(Err(_)) | None => {
                        self.silent.clear();
                        self.look.none_left();
                    }
                },
                answer = next(flood), if flood.is_some() => self.heard(answer),
                () = sleep_until(wake), if self.look.wake().is_some() => {}
            }
        }
    }

    /// Takes the answer of a responder.
    fn answered(&mut self, number: usize, responder: &Responder, mut answer: Result<Page>) {
        let plane = responder.plane;
        if let Ok(page) = &mut answer {
            self.vet(&mut page.hits, || Some(responder.who()));
        }
        let who = if plane == Plane::Tracker { look::Asked::Tracker } else { look::Asked::Peer };
        let hit = answer.as_ref().is_ok_and(|page| !page.hits.is_empty());
        match &answer {
            Ok(page) => tracing::info!(who = %responder.who(), hits = page.hits.len(), "looked"),
            Err(error) => tracing::info!(who = %responder.who(), %error, "looked"),
        }
        self.asked.take(plane, answer);
        self.silent.remove(&number);
        self.look.answered(who, hit, self.begun.elapsed());
    }

    /// Leaves what answers the question: who answers with something else is told of.
    fn vet(&mut self, hits: &mut Vec<Hit>, who: impl FnOnce() -> Option<Who>) {
        if self.looked.keep_what_answers(hits) > 0 {
            let notice = LookNotice::Untrue(who()).into();
            if !self.asked.warnings.contains(&notice) {
                self.asked.warnings.push(notice);
            }
        }
    }

    /// Takes what came from the neighbours.
    fn heard(&mut self, answer: Option<Answer>) {
        match answer {
            Some(Answer::Found { lan, mut hits, full, .. }) => {
                (self.asked.cut, self.rest.cut) = (self.asked.cut | full, self.rest.cut | full);
                self.vet(&mut hits, || None);
                if !hits.is_empty() {
                    let from = if lan { "the local network" } else { "neighbours" };
                    tracing::info!(from, hits = hits.len(), "heard");
                    self.look.found(self.begun.elapsed());
                    self.asked.answers.push((plane_of(lan), Page { hits, more: None }));
                }
            }
            Some(Answer::Known(known)) => self.known = known,
            Some(Answer::Silent(friends)) => {
                self.look.awaits_friends(friends.awaited);
                self.friends = friends.nodes;
            }
            Some(Answer::Over { whole }) => {
                self.known = whole;
                self.near_over(whole);
            }
            None => self.near_over(false),
        }
    }

    fn near_over(&mut self, whole: bool) {
        self.rest.flood = None;
        self.look.near_over(whole);
    }

    /// Who was asked directly and failed becomes a warning, unless nobody knows anything; so does who is silent still.
    fn into_answer(mut self, responders: &[Responder], own: NodeId) -> Result<(Asked<Page>, Rest)> {
        let told = self.look.enough != Enough::First;
        let silent = self.silent.iter().map(|number| &responders[*number]).filter(|_| told);
        self.asked.warnings.extend(silent.map(|responder| match responder.unresolved(own) {
            Some(error) => LookNotice::Failed(Box::new(error)).into(),
            None => LookNotice::Silent(responder.who()).into(),
        }));
        let friends = Some(self.friends).filter(|friends| !friends.is_empty());
        self.asked.warnings.extend(friends.and_then(|nodes| match self.look.enough {
            Enough::Choice => Some(LookNotice::SilentFriends(nodes).into()),
            Enough::Completions | Enough::Everything => Some(LookNotice::UnheardFriends(nodes).into()),
            Enough::First => None,
        }));
        // Whom nobody has heard of by now is not known to have anything.
        self.asked.whole = self.look.is_whole() || (self.known && self.silent.is_empty());
        Ok((self.asked.into_result()?, self.rest))
    }
}

/// On which plane the neighbours' answer was found.
pub(crate) const fn plane_of(lan: bool) -> Plane {
    if lan { Plane::Lan } else { Plane::Neighbours }
}
