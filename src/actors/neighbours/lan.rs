//! Who is heard on the local network, passed on at a pace that nobody there can raise.

use std::path::PathBuf;
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{Message, NeighbourNotice};
use crate::io::net::lan::{Lan, LanError};
use crate::logic::limits::bucket::Tokens;
use crate::logic::neighbours::Source;
use crate::model::NodeId;

/// Announcements that are taken in: so many at once, then one each so often.
const PACE: (u32, Duration) = (256, Duration::from_millis(10));
/// How long a flooded network is left alone: at first, and at most. Listening for as long as at most makes it the first.
const PAUSE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// Listens as long as the node lives, and announces it at a port, if there is one.
pub(super) async fn listen(
    program: PathBuf,
    own: NodeId,
    announced: Option<u16>,
    actor: ActorRef<Message>,
    warnings: mpsc::Sender<NeighbourNotice>,
) {
    let (mut pause, mut told) = (PAUSE.0, false);
    loop {
        let begun = Instant::now();
        let error = match Lan::start(&program, own, announced) {
            Ok(mut lan) => pass_on(&mut lan, &actor).await,
            Err(error) => error,
        };
        if !std::mem::replace(&mut told, true) {
            // Full or closed: a notice must not hold anything up.
            let _ = warnings.try_send(NeighbourNotice::Lan(error.clone()));
        }
        if begun.elapsed() > PAUSE.1 {
            pause = PAUSE.0;
        }
        tracing::debug!(%error, ?pause, "the local network is not listened to");
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn pass_on(lan: &mut Lan, actor: &ActorRef<Message>) -> LanError {
    let (begun, mut pace) = (Instant::now(), Tokens::new(PACE.0, PACE.1));
    loop {
        match lan.heard().await {
            // Gone only with the node itself, which ends this task.
            Ok(heard) => drop(actor.cast(Message::Heard(heard.node, heard.addrs, Source::Lan))),
            Err(error) => return error,
        }
        sleep(pace.owe(begun.elapsed())).await;
    }
}
