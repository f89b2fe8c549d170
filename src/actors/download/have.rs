//! Follows what one provider has of a content: one Watch stream, one frame at a time.
//! Invariant: the next frame is read only after the transfer has taken the last one, so no mailbox can be flooded.

use std::time::Duration;

use ractor::ActorRef;

use crate::actors::download::Message;
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::model::Content;
use crate::wire::{HaveEvent, Request, Watch, limits};

/// A transfer that takes so long to take in one event is gone.
const TAKEN: Duration = Duration::from_secs(10);

/// Tells the transfer, which may be limited, every event until the stream ends, and then that it has.
pub(crate) async fn watch(link: Link, content: Content, limited: bool, actor: ActorRef<Message>) {
    let ended = match link.may_watch(limited) {
        Some(_place) => follow(&link, content, &actor).await,
        None => Err(CallError::many()),
    };
    // A transfer that has ended needs no news.
    let _ = actor.cast(Message::WatchEnded { link, error: ended.err() });
}

async fn follow(link: &Link, content: Content, actor: &ActorRef<Message>) -> Result<(), CallError> {
    let request = Request::Watch(Watch { id: content.id, size: content.size });
    let ((), _to, mut from) = frames::call::<()>(link, &request, limits::CONTROL).await?;
    while let Some(event) = frames::receive_known::<HaveEvent>(&mut from, limits::CONTROL).await? {
        let taken = ractor::call_t!(actor, Message::Have, millis(TAKEN), link.peer(), event);
        if taken.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
