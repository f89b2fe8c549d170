//! What the events of a node tell of what was left to it: each receiver's state, once.

use super::Putting;
use crate::node::error::Error;
use crate::node::inner::Inner;
use crate::node::types::{Event, PeerRef, PutProgress, Receiving};

/// What the events have told of one: how it stands at whom.
pub(super) struct Told {
    number: u32,
    states: Vec<(PeerRef, Receiving)>,
}

impl Told {
    /// Nothing yet, of the one of this number.
    pub(super) const fn new(number: u32) -> Self {
        Self { number, states: Vec::new() }
    }

    /// Tells how it stands until it ends.
    pub(super) async fn follow(&mut self, node: &Inner, putting: &mut Putting) -> Result<PutProgress, Error> {
        let mut progress = putting.progress.clone();
        loop {
            let now = progress.borrow_and_update().clone();
            self.tell(node, &now);
            tokio::select! {
                ended = putting.finish() => return ended,
                Ok(()) = progress.changed() => {}
            }
        }
    }

    /// Tells of those at whom it stands otherwise than was told.
    pub(super) fn tell(&mut self, node: &Inner, now: &PutProgress) {
        for receiver in &now.receivers {
            let state = (receiver.peer.clone(), receiver.state);
            if self.states.contains(&state) {
                continue;
            }
            self.states.retain(|(peer, _)| *peer != receiver.peer);
            self.states.push(state);
            let (items, receivers) = (now.items.clone(), vec![receiver.clone()]);
            let number = Some(self.number);
            let one = PutProgress { items, total: now.total, receivers, number, ..PutProgress::default() };
            // Full: who listens may ask for all.
            let _ = node.host.events.try_send(Event::Put(Box::new(one)));
        }
    }
}
