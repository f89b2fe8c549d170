//! What is heard beside a transfer: who was silent when the look was over, and the network around where a
//! tracker's word went first. More providers of the chosen content are passed on; where words have chosen it, a rival, another
//! content with as good a right to them, is told once with both ids.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::actors::neighbours::Answer;
use crate::logic::offers::choose::rivals;
use crate::model::{ContentId, FoundHit, Hit, Plane, Provider, Query};
use crate::node::look::planes::{Overlay, Rest, next, plane_of};
use crate::node::look::resolve::Resolving;
use crate::node::report::Report;
use crate::node::types::{GetNotice, LookNotice, Rival};

/// A transfer of so short a time asks nobody around.
const BEGIN: Duration = Duration::from_millis(200);
/// Between two questions to those around: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Rivals that are told: who shares a thousand files of one name must not fill a terminal.
const TOLD: usize = 3;

/// What is listened to beside a transfer.
pub(crate) struct LateAnswers {
    /// The words that have chosen; none where an id was asked for, or a person has chosen.
    query: Option<Query>,
    /// What was chosen, and where it was found.
    chosen: FoundHit,
    rest: Rest,
    /// Providers of the chosen name that had not hashed it.
    resolving: Option<Resolving>,
    overlay: Option<Overlay>,
    told: BTreeSet<ContentId>,
}

impl LateAnswers {
    /// Of what words have chosen; the network around is asked again and again.
    pub(crate) fn of(query: Query, chosen: FoundHit, rest: Rest, overlay: Option<Overlay>) -> Self {
        Self { query: Some(query), overlay, ..Self::of_known(chosen, rest) }
    }

    /// Of what has no rival, as it is known by its id.
    pub(crate) fn of_known(chosen: FoundHit, rest: Rest) -> Self {
        Self { query: None, chosen, rest, resolving: None, overlay: None, told: BTreeSet::new() }
    }

    /// Its id, once a provider has told it, and the others who may yet tell another one.
    pub(crate) fn resolved(mut self, id: Option<ContentId>, others: Resolving) -> Self {
        self.chosen.hit.id = id;
        Self { resolving: Some(others), ..self }
    }

    /// Tells of rivals among hits that are known already.
    pub(crate) fn compare(&mut self, plane: Plane, hits: &[Hit], report: &Report) {
        let Some(query) = &self.query else { return };
        for rival in rivals(query, &self.chosen.hit, hits) {
            let (Some(own), Some(other)) = (self.chosen.hit.id, rival.id) else { continue };
            if self.told.len() < TOLD && self.told.insert(other) {
                report.warn(GetNotice::Rival(Rival {
                    words: query.words().join(" "),
                    id: other,
                    name: rival.names.first().map(ToString::to_string).unwrap_or_default(),
                    size: rival.size,
                    plane,
                    chosen: (own, self.chosen.plane),
                }));
            }
        }
    }

    /// Hears now whom a transfer would hear beside it: more providers.
    pub(crate) async fn hear_now(mut self, report: &Report) -> Vec<Provider> {
        self.rest.begin();
        let (tell, mut told) = mpsc::channel(TOLD);
        let hearing = timeout(ANSWER, async move { self.hear_out(report, &tell).await });
        let collecting = async {
            let mut all = Vec::new();
            while let Some(more) = told.recv().await {
                all.extend(more);
            }
            all
        };
        tokio::join!(hearing, collecting).1
    }

    /// Listens until the receiver is gone.
    pub(crate) async fn run(mut self, report: Report, providers: mpsc::Sender<Vec<Provider>>) {
        let listening = async {
            let (Some(overlay), Some(query)) = (self.overlay.take(), self.query.clone()) else {
                return self.hear_out(&report, &providers).await;
            };
            // Somebody who was named and is silent does not keep the neighbours from being asked.
            let (mut pause, mut next_pause) = (BEGIN, AGAIN.0);
            loop {
                let _ = timeout(pause, async {
                    self.hear_out(&report, &providers).await;
                    std::future::pending::<()>().await;
                })
                .await;
                let answers = overlay.search((&query).into());
                self.rest.flood = Some(answers);
                // Who has not answered by then is asked again.
                let _ = timeout(ANSWER, self.hear_out(&report, &providers)).await;
                (pause, next_pause) = (next_pause, (next_pause * 2).min(AGAIN.1));
            }
        };
        tokio::select! {
            () = listening => {}
            () = providers.closed() => {}
        }
    }

    /// Hears those out who are being asked.
    async fn hear_out(&mut self, report: &Report, providers: &mpsc::Sender<Vec<Provider>>) {
        loop {
            let (Rest { direct, flood, .. }, resolving) = (&mut self.rest, &mut self.resolving);
            let (plane, hits) = tokio::select! {
                Some(joined) = direct.join_next(), if !direct.is_empty() => match joined {
                    Ok((_, Ok(page))) => (Plane::Peer, page.hits),
                    Ok((_, Err(error))) if self.query.is_some() => {
                        report.warn(LookNotice::Failed(Box::new(error)));
                        continue;
                    }
                    Ok((_, Err(_))) | Err(_) => continue,
                },
                answer = next(flood), if flood.is_some() => match answer {
                    Some(Answer::Found { lan, hits, .. }) => (plane_of(lan), hits),
                    Some(Answer::Known(_) | Answer::Silent(_)) => continue,
                    Some(Answer::Over { .. }) | None => {
                        *flood = None;
                        continue;
                    }
                },
                hit = next_of(resolving), if resolving.is_some() => match hit {
                    Some(hit) => (self.chosen.plane, vec![hit]),
                    None => {
                        *resolving = None;
                        continue;
                    }
                },
                else => return,
            };
            self.compare(plane, &hits, report);
            let more: Vec<Provider> = hits
                .into_iter()
                .filter(|hit| hit.is_same_content(&self.chosen.hit))
                .flat_map(|hit| hit.providers)
                .collect();
            if !more.is_empty() && providers.send(more).await.is_err() {
                return;
            }
        }
    }
}

async fn next_of(resolving: &mut Option<Resolving>) -> Option<Hit> {
    match resolving {
        Some(resolving) => resolving.next().await,
        None => None,
    }
}
