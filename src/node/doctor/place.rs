//! One tracker or peer: the path to it, whether it reaches this node, and whether its clock agrees.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Doctor, Verdict};
use crate::actors::serve::clock;
use crate::io::net::dial::Addresses;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::model::{Epoch, PeerTarget};
use crate::node::convert::connect_error;
use crate::node::error::Who;
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
                let error = connect_error(who, self.inner.endpoint.node_id(), error);
                return self.say("path", Verdict::Broken, error.to_string()).await;
            }
            Err(_) => return self.say("path", Verdict::Broken, format!("{who} does not answer within 5 s")).await,
        };
        self.path(&link, &who).await;
        if role == Role::Tracker {
            self.reachable(&link, &who).await;
        }
        self.agreement(&link, &who).await;
    }

    async fn path(&self, link: &Link, who: &Who) {
        let mtu = settled_mtu(link).await;
        let path = format!("{who}: round trip {:.1} ms, {mtu} bytes a packet", link.rtt().as_secs_f64() * 1000.0);
        if mtu > LEAST_MTU {
            return self.say("path", Verdict::Fine, path).await;
        }
        let cut = format!("{path}: something on the way cuts larger ones, a tunnel or a firewall, which costs speed");
        self.say("path", Verdict::Doubtful, cut).await;
    }

    /// Announces a node without offers, as `share` would, and takes it back.
    async fn reachable(&self, link: &Link, who: &Who) {
        let (endpoint, epoch) = (&self.inner.endpoint, Epoch(rand::random()));
        let (candidates, port) = (endpoint.candidates(), endpoint.port());
        let announced = timeout(ANSWER, announce(link, Announce { epoch, seq: 1, full: true, candidates, port })).await;
        // Unheard, the lease ends by itself.
        let withdraw = Request::Withdraw(Withdraw { epoch });
        let _ = timeout(ANSWER, frames::call::<()>(link, &withdraw, limits::CONTROL)).await;
        match announced {
            Ok(Ok(announced)) if announced.reachable.is_empty() => {
                let message = format!(
                    "{who} does not reach UDP port {port} of this node, so others will not either: open it in the firewall, \
                     or forward it on the router"
                );
                self.say("reachable", Verdict::Broken, message).await;
            }
            Ok(Ok(announced)) => {
                let (reached, not): (Vec<_>, Vec<_>) =
                    endpoint.candidates().into_iter().partition(|addr| announced.reachable.contains(addr));
                let not = if not.is_empty() { String::new() } else { format!(", not at {}", Addresses(not)) };
                // As it was heard from, where that is no candidate: behind a router.
                let reached = if reached.is_empty() { announced.reachable } else { reached };
                let message = format!("{who} reaches this node at {}{not}", Addresses(reached));
                self.say("reachable", Verdict::Fine, message).await;
            }
            Ok(Err(error)) => {
                self.say("reachable", Verdict::Broken, format!("{who} takes no announcement: {error}")).await
            }
            Err(_) => self.say("reachable", Verdict::Broken, format!("{who} takes no announcement within 5 s")).await,
        }
    }

    async fn agreement(&self, link: &Link, who: &Who) {
        let before = clock::now();
        let asked = frames::call::<ClockNow>(link, &Request::Clock(Clock {}), limits::CONTROL);
        let theirs = match timeout(ANSWER, asked).await {
            Ok(Ok((clock, ..))) => Duration::from_millis(clock.unix_ms),
            Ok(Err(CallError::Refused(refusal))) if refusal.code == Code::Forbidden => {
                return self.say("clock", Verdict::Skipped, format!("{who} serves only its friends")).await;
            }
            _ => return self.say("clock", Verdict::Skipped, format!("{who} does not tell its time")).await,
        };
        let ours = (before + clock::now()) / 2;
        let apart = ours.abs_diff(theirs);
        let seconds = apart.as_secs_f64();
        if apart <= APART {
            return self.say("clock", Verdict::Fine, format!("{seconds:.1} s from that of {who}")).await;
        }
        let side = if ours > theirs { "ahead of" } else { "behind" };
        let message = format!(
            "this machine's clock is {seconds:.0} s {side} that of {who}: set both, or nobody can tell which file is newer"
        );
        self.say("clock", Verdict::Doubtful, message).await;
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
