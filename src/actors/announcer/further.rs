//! Trackers that are told of some offers only, for as long as somebody wants that: a session each, which sees nothing else.
//! Invariant: a tracker that is told of everything, under whatever name, is told nothing by such a session: it has one lease for a
//! node, and what is announced last is what it knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ractor::ActorRef;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument as _, info_span};

use super::session::Session;
use super::{Connect, Dependencies, Message};
use crate::logic::offers::table::OfferTable;
use crate::model::{Epoch, NodeId, PeerTarget, SafePath};

/// Roots of offers.
type Roots = Arc<BTreeSet<SafePath>>;

/// Which trackers are to be told of which offers, with all beneath them.
#[derive(Debug, Clone)]
pub struct Further {
    /// Whom.
    pub trackers: Vec<PeerTarget>,
    /// Of what.
    pub roots: Vec<SafePath>,
}

/// Trackers are told of some offers until this is dropped.
#[derive(Debug)]
pub struct Announcing {
    pub(super) number: u64,
    pub(super) announcer: ActorRef<Message>,
}

impl Drop for Announcing {
    fn drop(&mut self) {
        // A stopped announcer has told of the end of everything.
        let _ = self.announcer.cast(Message::NoFurther(self.number));
    }
}

/// A session for some offers.
struct Partial {
    target: PeerTarget,
    roots: watch::Sender<Roots>,
    stop: watch::Sender<bool>,
}

/// All of them.
#[derive(Default)]
pub(super) struct FurtherSessions {
    wanted: BTreeMap<u64, Further>,
    running: BTreeMap<String, Partial>,
    /// The trackers that are told of everything, as far as they were reached.
    whole: watch::Sender<BTreeSet<NodeId>>,
}

impl FurtherSessions {
    /// The way to a tracker that is told of everything.
    pub(super) fn noted(&self, connect: &Connect) -> Connect {
        let whole = self.whole.clone();
        noting(connect, move |tracker| {
            whole.send_if_modified(|all| all.insert(tracker));
            true
        })
    }

    pub(super) fn add(&mut self, number: u64, further: Further) {
        self.wanted.insert(number, further);
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.wanted.remove(&number);
    }

    /// Whom it tells.
    pub(super) fn trackers(&self) -> Vec<PeerTarget> {
        self.running.values().map(|session| session.target.clone()).collect()
    }

    /// Ends all.
    pub(super) fn stop(&mut self) {
        std::mem::take(&mut self.running).values().for_each(|session| _ = session.stop.send_replace(true));
    }

    /// Has each tracker told what is wanted by now: begins sessions, and ends those of which nothing is wanted any more.
    pub(super) fn arrange(&mut self, needs: &Dependencies, sessions: &mut JoinSet<()>) {
        while sessions.try_join_next().is_some() {}
        let mut wanted = BTreeMap::<String, (PeerTarget, BTreeSet<SafePath>)>::new();
        for Further { trackers, roots } in self.wanted.values() {
            for tracker in trackers.iter().filter(|tracker| !needs.tells(tracker)) {
                let of = wanted.entry(tracker.host_port()).or_insert_with(|| (tracker.clone(), BTreeSet::new()));
                of.1.extend(roots.iter().cloned());
            }
        }
        self.running.retain(|at, session| {
            let goes_on = wanted.contains_key(at);
            session.stop.send_if_modified(|stop| std::mem::replace(stop, !goes_on) == goes_on);
            goes_on
        });
        for (at, (target, roots)) in wanted {
            let roots = Arc::new(roots);
            match self.running.get(&at) {
                Some(session) => drop(session.roots.send_replace(roots)),
                None => drop(self.running.insert(at, begin(needs, (target, roots), &self.whole, sessions))),
            }
        }
    }
}

/// Begins a session that is told of these roots alone. Its epoch is its own: the lease that an earlier one has ended stays so.
fn begin(
    needs: &Dependencies,
    (target, roots): (PeerTarget, Roots),
    whole: &watch::Sender<BTreeSet<NodeId>>,
    sessions: &mut JoinSet<()>,
) -> Partial {
    let (roots, stop) = (watch::Sender::new(roots), watch::Sender::new(false));
    let (to, offers) = watch::channel(Arc::default());
    let narrow = narrow(needs.offers.clone(), roots.subscribe(), to);
    let (met, mut at) = watch::channel(None);
    let (told, mut whole) = (whole.subscribe(), whole.subscribe());
    let connect = noting(&needs.connect, move |tracker| {
        met.send_replace(Some(tracker));
        !told.borrow().contains(&tracker)
    });
    let (needs, parts) = (Dependencies { offers, connect, ..needs.clone() }, watch::Sender::default().subscribe());
    let span = info_span!("tracker", at = %target.host_port());
    let session = Session::new(&needs, target.clone(), Epoch(rand::random()), parts, stop.subscribe());
    let mut stopped = stop.subscribe();
    let run = async move {
        let is_told = async {
            let tracker = at.wait_for(Option::is_some).await.ok().and_then(|at| *at);
            drop(whole.wait_for(|whole| tracker.is_some_and(|tracker| whole.contains(&tracker))).await);
        };
        tokio::select! {
            () = session.run() => {}
            () = is_told => drop(stopped.wait_for(|stopped| *stopped).await),
            never = narrow => match never {},
        }
    };
    sessions.spawn(run.instrument(span));
    Partial { target, roots, stop }
}

/// The same way, saying which tracker was reached; it leads nowhere when that is answered with no.
fn noting(connect: &Connect, met: impl Fn(NodeId) -> bool + Send + Sync + 'static) -> Connect {
    let (connect, met) = (Arc::clone(connect), Arc::new(met));
    Arc::new(move |target| {
        let (connecting, met) = (connect(target), Arc::clone(&met));
        Box::pin(async move {
            let link = connecting.await?;
            if !met(link.peer()) {
                std::future::pending::<()>().await;
            }
            Ok(link)
        })
    })
}

/// Passes on what of the offers is within the roots.
async fn narrow(
    mut all: watch::Receiver<Arc<OfferTable>>,
    mut roots: watch::Receiver<Roots>,
    to: watch::Sender<Arc<OfferTable>>,
) -> std::convert::Infallible {
    loop {
        let (offers, wanted) = (Arc::clone(&all.borrow_and_update()), Arc::clone(&roots.borrow_and_update()));
        let is_within = |name: &SafePath| {
            wanted.iter().any(|root| root == name || name.above().any(|above| above == root.as_str()))
        };
        let some = Arc::new(offers.only(|offer| is_within(&offer.name)));
        to.send_if_modified(|told| std::mem::replace(told, some.clone()) != some);
        tokio::select! {
            Ok(()) = all.changed() => {}
            Ok(()) = roots.changed() => {}
            else => std::future::pending().await,
        }
    }
}
