//! Doing what the transfer's logic orders: starting and aborting fetch tasks, leaving and barring providers.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::AbortHandle;
use tracing::{Instrument as _, Span, debug_span};

use super::{DownloadNotice, Ending, State};
use crate::actors::download::fetch::{Ask, fetch_list, fetch_units};
use crate::actors::download::supervisor;
use crate::io::net::link::Link;
use crate::logic::transfer::{End, Input, Order, RequestId, Why};
use crate::model::NodeId;

/// A request under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) link: Link,
    task: AbortHandle,
    received: Arc<AtomicU64>,
    seen: u64,
}

impl Running {
    /// Bytes received since the last call.
    pub(super) fn news(&mut self) -> u64 {
        let received = self.received.load(Ordering::Relaxed);
        received - std::mem::replace(&mut self.seen, received)
    }

    /// Dropping the task's stream tells the other side to stop sending.
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

impl State {
    pub(super) fn obey(&mut self, output: Order) {
        match output {
            Order::Bar { node } => self.bar(node),
            Order::Cancel { request } => {
                if let Some(running) = self.running.remove(&request) {
                    running.abort();
                }
            }
            Order::Complete => self.end(Ok(Ending::Complete)),
            Order::Fetch { request, node, units, max } => {
                let content = self.context.wanted.content.id;
                let span = debug_span!("fetch", content = %content.short(), provider = %node.short(), ?units, max);
                let expected = self.bytes(&units, max);
                let Some(ask) = self.ask((request, expected), node, span) else { return self.unlinked(request) };
                self.run(&ask, fetch_units(Arc::clone(&self.context), ask.clone(), units, max));
            }
            Order::Leave { node, why } => self.leave(node, why),
            Order::List { request, node, file } => {
                let content = self.context.wanted.content.id;
                let span = debug_span!("list", content = %content.short(), provider = %node.short(), file);
                let Some(ask) = self.ask((request, self.transfer.list_bytes(file)), node, span) else {
                    return self.unlinked(request);
                };
                self.run(&ask, fetch_list(Arc::clone(&self.context), ask.clone(), file));
            }
        }
    }

    fn run(&mut self, ask: &Ask, fetching: impl Future<Output = ()> + Send + 'static) {
        ask.span.in_scope(|| tracing::debug!("asked"));
        let task = self.tasks.spawn(fetching.instrument(ask.span.clone()));
        let running = Running { link: ask.link.clone(), task, received: Arc::clone(&ask.received), seen: 0 };
        self.running.insert(ask.request, running);
    }

    /// What of these units comes at most.
    fn bytes(&self, units: &[Range<u32>], max: u32) -> u64 {
        let units = units.iter().cloned().flatten().filter_map(|unit| self.context.wanted.map.place(unit));
        units.take(max as usize).map(|place| place.len).sum()
    }

    fn ask(&self, (request, expected): (RequestId, u64), node: NodeId, span: Span) -> Option<Ask> {
        let link = self.idlest(node)?;
        let (received, room, clocks) = (Arc::default(), Arc::default(), self.context.clocks.of(node));
        Some(Ask { request, node, link, received, expected, room, clocks, span })
    }

    /// The link went away between the decision and now; told as a message, not from within the decision.
    fn unlinked(&self, request: RequestId) {
        self.context.tell(Input::Ended { request, end: End::Lost });
    }

    fn leave(&mut self, node: NodeId, why: Why) {
        tracing::info!(node = %node.short(), %why, "provider left");
        let now = self.now();
        self.candidates.rest(node, why, now);
    }

    fn bar(&mut self, node: NodeId) {
        let addr = self.candidates.bar(node);
        self.tallies.warn(DownloadNotice::Lied { node, addr });
        // The supervisor outlives its children.
        let _ = self.supervisor.cast(supervisor::Message::Bar(node, self.context.wanted.content.id));
    }
}
