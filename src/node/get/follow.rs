//! Follows a content at a tracker while a transfer lasts: who joins becomes a provider of the transfer.
//! A tracker that goes away is asked again; the transfer itself does not notice.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::io::net::frames::{self, CallError};
use crate::model::{Content, Provider};
use crate::node::look::ask::{Responder, connect};
use crate::node::look::find::Finder;
use crate::wire::{FollowEvent, Request, limits};

/// How long to wait before a tracker is asked again: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Sends the providers that this tracker tells of until the receiver is gone.
pub(crate) async fn follow(
    finder: Finder,
    responder: Responder,
    content: Content,
    providers: mpsc::Sender<Vec<Provider>>,
) {
    let mut pause = AGAIN.0;
    while !providers.is_closed() {
        match once(&finder, &responder, content, &providers).await {
            Ok(()) => pause = AGAIN.0,
            Err(error) => tracing::debug!(tracker = %responder.target.host_port(), %error, "cannot follow"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN.1);
    }
}

async fn once(
    finder: &Finder,
    responder: &Responder,
    content: Content,
    providers: &mpsc::Sender<Vec<Provider>>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let link = connect(&finder.connections, responder, finder.own).await?;
    let _place = link.may_watch(false).ok_or_else(CallError::many)?;
    let request = Request::Follow(content);
    let ((), _open, mut events) = frames::call(&link, &request, limits::CONTROL).await?;
    while let Some(event) = frames::receive_known::<FollowEvent>(&mut events, limits::PAGE).await? {
        let others = event.joined.into_iter().filter(|provider| provider.node != finder.own);
        let usable = |mut provider: Provider| {
            provider.addrs.retain(|addr| link.teller().may_tell(*addr));
            provider
        };
        let others: Vec<_> = others.map(usable).collect();
        // Who left is noticed by its connection; a tracker that lies about it must not matter.
        if !others.is_empty() && providers.send(others).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
