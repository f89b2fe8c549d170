//! One tracker or peer: the path to it, whether it reaches this node, and whether its clock agrees.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Doctor, Seen, SeenAt, Verdict};
use crate::io::clock::time_of_day;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::model::{Epoch, PeerTarget};
use crate::node::error::{Error, Who};
use crate::wire::{Announce, Announced, Answer, Clock, ClockNow, Code, Delta, Request, Role, Withdraw, limits};

/// How long anything at one place may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The MTU has been found when it has not grown for so long; and how often is looked, and for how long at most.
const MTU: (Duration, Duration, Duration) =
    (Duration::from_millis(600), Duration::from_millis(50), Duration::from_secs(4));
/// A path that carries no more has something on it that cuts: QUIC's minimum (RFC 9000, section 14).
const LEAST_MTU: u16 = 1200;
/// Clocks that are further apart disagree.
const APART: Duration = Duration::from_secs(60);

impl Doctor<'_> {
    pub(super) async fn place(&self, target: &PeerTarget, role: Role) {
        let who = match role {
            Role::Tracker => Who::tracker(target.host_port()),
            Role::Bench | Role::Node => Who::peer(target.host_port()),
        };
        let connected = timeout(ANSWER, self.inner.connections.to_role(target, role)).await;
        let link = match connected {
            Ok(Ok(link)) => link,
            Ok(Err(error)) => {
                let error = Error::connect(who, self.inner.endpoint.node_id(), error);
                return self.say("path", Verdict::Broken, Seen::NotConnected(Box::new(error))).await;
            }
            Err(_) => return self.say_at(&who, "path", Verdict::Broken, SeenAt::NotAnswered).await,
        };
        self.path(&link, &who).await;
        if role == Role::Tracker {
            self.reachable(&link, &who).await;
        }
        self.agreement(&link, &who).await;
    }

    async fn path(&self, link: &Link, who: &Who) {
        let mtu = settled_mtu(link).await;
        let cut = mtu <= LEAST_MTU;
        let verdict = if cut { Verdict::Doubtful } else { Verdict::Fine };
        self.say_at(who, "path", verdict, SeenAt::Path { rtt: link.rtt(), mtu, cut }).await;
    }

    /// Announces a node without offers, as `share` would, and takes it back.
    async fn reachable(&self, link: &Link, who: &Who) {
        let (endpoint, epoch) = (&self.inner.endpoint, Epoch(rand::random()));
        let (candidates, port) = (endpoint.candidates(), endpoint.port());
        let announced = timeout(ANSWER, announce(link, Announce { epoch, seq: 1, full: true, candidates, port })).await;
        // Unheard, the lease ends by itself.
        let withdraw = Request::Withdraw(Withdraw { epoch });
        let _ = timeout(ANSWER, frames::call::<()>(link, &withdraw, limits::CONTROL)).await;
        let (verdict, seen) = match announced {
            Ok(Ok(announced)) if announced.reachable.is_empty() => (Verdict::Broken, SeenAt::NotReached(port)),
            Ok(Ok(announced)) => {
                let (reached, not): (Vec<_>, Vec<_>) =
                    endpoint.candidates().into_iter().partition(|addr| announced.reachable.contains(addr));
                // As it was heard from, where that is no candidate: behind a router.
                let at = if reached.is_empty() { announced.reachable } else { reached };
                (Verdict::Fine, SeenAt::Reached { at, not })
            }
            Ok(Err(error)) => (Verdict::Broken, SeenAt::NotAnnounced(Some(error))),
            Err(_) => (Verdict::Broken, SeenAt::NotAnnounced(None)),
        };
        self.say_at(who, "reachable", verdict, seen).await;
    }

    async fn agreement(&self, link: &Link, who: &Who) {
        let before = time_of_day();
        let asked = frames::call::<ClockNow>(link, &Request::Clock(Clock {}), limits::CONTROL);
        let theirs = match timeout(ANSWER, asked).await {
            Ok(Ok((clock, ..))) => Duration::from_millis(clock.unix_ms),
            Ok(Err(CallError::Refused(refusal))) if refusal.code == Code::Forbidden => {
                return self.say_at(who, "clock", Verdict::Skipped, SeenAt::NoTime { friends_only: true }).await;
            }
            _ => return self.say_at(who, "clock", Verdict::Skipped, SeenAt::NoTime { friends_only: false }).await,
        };
        let ours = (before + time_of_day()) / 2;
        let apart = ours.abs_diff(theirs);
        let verdict = if apart <= APART { Verdict::Fine } else { Verdict::Doubtful };
        self.say_at(who, "clock", verdict, SeenAt::Clock { apart, ahead: ours > theirs }).await;
    }
}

async fn announce(link: &Link, head: Announce) -> Result<Announced, CallError> {
    let (mut to, mut from) = frames::open(link, &Request::Announce(head)).await?;
    frames::send(&mut to, &Delta::default(), limits::PAGE).await?;
    // Closed already: the answer says why.
    let _ = to.finish();
    let answer = frames::receive::<Answer<Announced>>(&mut from, limits::CONTROL).await?;
    answer.ok_or(CallError::Ended)?.map_err(CallError::Refused)
}

/// The largest UDP payload of the path, when it has been found.
async fn settled_mtu(link: &Link) -> u16 {
    let begun = Instant::now();
    let (mut mtu, mut since) = (link.mtu(), begun);
    while since.elapsed() < MTU.0 && begun.elapsed() < MTU.2 {
        sleep(MTU.1).await;
        if link.mtu() != mtu {
            (mtu, since) = (link.mtu(), Instant::now());
        }
    }
    mtu
}
