//! One exchange with somebody who is asked directly: how long it is waited for, and that it goes on over another connection where
//! the one that it had gave way.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::io::net::frames::{self, CallError, REQUEST};
use crate::io::net::link::Link;
use crate::node::error::Result;
use crate::wire::{Clock, ClockNow, Request, limits};

/// So long before the time for an answer is over somebody is asked whether it is there.
const AHEAD: Duration = Duration::from_millis(500);
/// Who is asked that has so long to say so: beside much load it took up to 2.1 s in all.
const THERE: Duration = Duration::from_secs(2);
/// Between an answer to that and the next time it is asked.
const PAUSE: Duration = Duration::from_secs(1);

/// What somebody answers; none when nothing has come by the deadline and it does not answer what costs nothing either. Who is
/// there and has much to do is waited for as long as an answer may take.
pub(super) async fn asked<T, C, A>(
    deadline: Instant,
    connect: impl Fn() -> C,
    ask: impl Fn(Link) -> A,
) -> Option<Result<T>>
where
    C: Future<Output = Result<Link>>,
    A: Future<Output = Result<T>>,
{
    loop {
        let link = match timeout_at(deadline, connect()).await.ok()? {
            Ok(link) => link,
            Err(error) => return Some(Err(error)),
        };
        match patiently(&link, deadline, ask(link.clone())).await {
            Some(Err(_)) if link.gave_way() && Instant::now() < deadline => {}
            answer => return answer,
        }
    }
}

async fn patiently<T>(link: &Link, deadline: Instant, answering: impl Future<Output = T>) -> Option<T> {
    let mut answering = pin!(answering);
    let last = Instant::now() + REQUEST;
    let mut next = deadline - AHEAD;
    loop {
        if let Ok(answer) = timeout_at(next.min(last), &mut answering).await {
            return Some(answer);
        }
        if Instant::now() >= last {
            return None;
        }
        tokio::select! {
            answer = &mut answering => return Some(answer),
            there = is_there(link, last) => if !there { return None },
        }
        next = Instant::now() + PAUSE;
    }
}

/// Whether it answers at all, whatever that is.
async fn is_there(link: &Link, last: Instant) -> bool {
    let clock = Request::Clock(Clock {});
    let until = last.min(Instant::now() + THERE);
    let answer = timeout_at(until, frames::call::<ClockNow>(link, &clock, limits::CONTROL)).await;
    matches!(answer, Ok(Ok(_) | Err(CallError::Refused(_))))
}
