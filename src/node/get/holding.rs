//! What each provider of a content has of it, asked of itself: who only fetches it is a provider, too, and has parts.
//! Not responsible for the transfer, which follows each of its providers for as long as it lasts.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::actors::connections::ConnectionsRef;
use crate::io::net::frames;
use crate::model::{Content, Kind, Provider, UnitMap};
use crate::node::look::find::Finder;
use crate::node::types::Has;
use crate::wire::{HaveEvent, Request, Watch, limits};

/// How long all may take to answer together.
const ANSWER: Duration = Duration::from_secs(1);
/// Providers that are asked.
const ASKED: usize = 32;

impl Finder {
    /// What each of the providers has, in their order. `map` tells how much a collection's units are; a file needs none.
    pub(crate) async fn holdings(&self, content: Content, map: Option<&UnitMap>, providers: &[Provider]) -> Vec<Has> {
        let own = if content.kind == Kind::File { UnitMap::of_file(content.id, content.size) } else { None };
        let map = map.or(own.as_ref());
        let mut asking = JoinSet::new();
        for (place, provider) in providers.iter().take(ASKED).cloned().enumerate() {
            let connections = self.connections.clone();
            asking.spawn(async move {
                (place, timeout(ANSWER, first(connections, content, provider)).await.ok().flatten())
            });
        }
        let mut all = vec![Has::Unknown; providers.len()];
        while let Some(joined) = asking.join_next().await {
            let Ok((place, Some(event))) = joined else { continue };
            all[place] = match (event.complete, map) {
                (true, _) => Has::Whole,
                (false, map) => Has::Parts(map.map(|map| bytes(map, &event))),
            };
        }
        all
    }
}

/// What a provider says first.
async fn first(connections: ConnectionsRef, content: Content, provider: Provider) -> Option<HaveEvent> {
    let link = connections.to_node(provider.node, provider.addrs).await.ok()?;
    let request = Request::Watch(Watch { id: content.id, size: content.size });
    let ((), _to, mut from) = frames::call::<()>(&link, &request, limits::CONTROL).await.ok()?;
    frames::receive::<HaveEvent>(&mut from, limits::CONTROL).await.ok()?.filter(|event| !event.gone)
}

fn bytes(map: &UnitMap, event: &HaveEvent) -> u64 {
    let units = event.units.iter().flat_map(|(first, count)| *first..first.saturating_add(*count).min(map.units()));
    units.map(|unit| map.len(unit)).sum()
}
