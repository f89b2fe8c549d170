//! Who gave of a content in an earlier run: noted beside the journal while a transfer lasts, and asked at once by whoever goes
//! on with it, beside the look on all planes. Not responsible for trust: a giver is dialled by its id, and what it sends is
//! proven as everybody's is.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::actors::connections::ConnectionsRef;
use crate::actors::download::supervisor::Download;
use crate::actors::download::{Progress, ProviderProgress};
use crate::io::receive::dest::SafeDir;
use crate::io::receive::partial::Givers;
use crate::model::address::is_publishable;
use crate::model::{ContentId, Hit, NodeId, Plane, Provider};
use crate::node::error::{Error, Result, Who};
use crate::node::get::contents::Contents;
use crate::node::get::{Get, Sink};
use crate::node::look::ask::locate_page;
use crate::node::look::{Looking, Meant};
use crate::node::types::What;

/// How long a giver may take to answer: as long as everyone who is asked.
const ANSWER: Duration = Duration::from_secs(2);

impl Get {
    /// What is meant, and who has it. Where an earlier run of the same id has left something, its givers are asked too; the first
    /// of them that has it is enough, and nobody else need answer.
    pub(super) async fn find(&self) -> Result<Meant> {
        let looked = Looking { finder: &self.finder, report: &self.report }.look(&self.request);
        let What::Id(id) = self.request.what else {
            let meant = match looked.await {
                Err(error @ Error::Ambiguous { .. }) => {
                    self.tell_how_to_go_on().await;
                    return Err(error);
                }
                meant => meant?,
            };
            let givers = if let Some(id) = meant.hit.id { self.remembered(id).await } else { Vec::new() };
            return Ok(joined(meant, givers));
        };
        let givers = self.remembered(id).await;
        let mut asking = ask(&self.finder.connections, id, &givers);
        tokio::pin!(looked);
        let (mut failed, mut nameless) = (None, None);
        loop {
            tokio::select! {
                looked = &mut looked, if failed.is_none() => match looked {
                    Ok(meant) => return Ok(joined(meant, givers)),
                    Err(error) => failed = Some(error),
                },
                Some(answer) = asking.join_next() => match answer.ok().flatten() {
                    Some(hit) if !hit.names.is_empty() => {
                        self.report.plane(Plane::Peer);
                        return Ok(joined(alone(hit), givers));
                    }
                    // It is fetching itself. Somebody else may know under which name the content is to land.
                    Some(hit) => nameless = Some(hit),
                    None => {}
                },
                else => return match (nameless, failed) {
                    (Some(hit), _) => {
                        self.report.plane(Plane::Peer);
                        Ok(joined(alone(hit), givers))
                    }
                    (None, Some(error)) => Err(error),
                    (None, None) => {
                        let asked = self.finder.asked().await;
                        Err(Error::NotFound { what: id.to_string(), asked, near: Vec::new() })
                    }
                },
            }
        }
    }

    /// Who gave of it to an earlier run; nobody where the request names whom to ask.
    async fn remembered(&self, id: ContentId) -> Vec<Provider> {
        let Some(parent) = self.parent(Some(id)).filter(|_| self.request.from.is_none()) else { return Vec::new() };
        let read = move || SafeDir::open(&parent).map(|parent| Givers::of(&parent, id).read()).unwrap_or_default();
        let mut givers = spawn_blocking(read).await.unwrap_or_default();
        givers.retain(|(_, addr)| is_publishable(*addr));
        givers.into_iter().map(|(node, addr)| Provider { node, addrs: vec![addr] }).collect()
    }
}

/// Asks each of them for the id.
fn ask(connections: &ConnectionsRef, id: ContentId, givers: &[Provider]) -> JoinSet<Option<Hit>> {
    let mut asking = JoinSet::new();
    for Provider { node, addrs } in givers.iter().cloned() {
        let connections = connections.clone();
        asking.spawn(async move {
            let answered = timeout(ANSWER, async {
                let link = connections.to_node(node, addrs).await.ok()?;
                let who = Who::peer(link.remote().to_string());
                locate_page(link, who, id).await.ok()?.hits.into_iter().next()
            });
            answered.await.ok().flatten()
        });
    }
    asking
}

/// With the givers among the providers: they are dialled with the others.
fn joined(mut meant: Meant, givers: Vec<Provider>) -> Meant {
    for giver in givers {
        if meant.hit.providers.iter().all(|provider| provider.node != giver.node) {
            meant.hit.providers.push(giver);
        }
    }
    meant
}

/// An id has no rivals.
const fn alone(hit: Hit) -> Meant {
    Meant { hit, late: None, beneath: None }
}

/// Givers being noted: until this is dropped.
pub(super) struct Noting(Option<(JoinHandle<()>, oneshot::Sender<()>)>);

impl Noting {
    /// Waits until the last is noted, after the transfer's end: nothing may be written beside a target that is published.
    pub(super) async fn done(self) {
        if let Some((task, over)) = self.0 {
            drop(over);
            // Nothing else ends it.
            let _ = task.await;
        }
    }
}

/// Begins to note who gives, for the next run. What comes at once needs no next run.
pub(super) fn begin(place: &Sink, contents: &Contents, download: &Download) -> Noting {
    let Sink::Disk { parent, .. } = place else { return Noting(None) };
    if contents.wanted.map.units() < 2 {
        return Noting(None);
    }
    let (over, ended) = oneshot::channel();
    let noting = note(Givers::of(parent, contents.wanted.content.id), download.progress(), ended);
    Noting(Some((tokio::spawn(noting), over)))
}

async fn note(givers: Givers, mut progress: watch::Receiver<Progress>, mut ended: oneshot::Receiver<()>) {
    let (mut noted, mut goes_on) = (Vec::new(), true);
    while goes_on {
        tokio::select! {
            changed = progress.changed() => goes_on = changed.is_ok(),
            _ = &mut ended => goes_on = false,
        }
        let gave = gave(&progress.borrow_and_update());
        if gave.iter().all(|giver| noted.contains(giver)) {
            continue;
        }
        noted.clone_from(&gave);
        let givers = givers.clone();
        if let Ok(Err(error)) = spawn_blocking(move || givers.write(&gave)).await {
            tracing::debug!(%error, "who gave cannot be noted");
        }
    }
}

/// Who gave something, the most first; without its scope a link-local address leads nowhere.
fn gave(now: &Progress) -> Vec<(NodeId, std::net::SocketAddr)> {
    let giver = |provider: &&ProviderProgress| provider.bytes > 0 && is_publishable(provider.addr);
    let mut gave: Vec<_> = now.providers.iter().filter(giver).collect();
    gave.sort_by_key(|provider| std::cmp::Reverse(provider.bytes));
    gave.into_iter().map(|provider| (provider.node, provider.addr)).collect()
}
