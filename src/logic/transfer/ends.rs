//! How requests and providers end: refusals, resets, lies, silence. A peer's misbehaviour is a value here.

use std::time::Duration;

use crate::model::NodeId;
use crate::wire::Code;

use super::denial::Part;
use super::event::{End, Fault, Order, Why};
use super::provider::{Holding, PAUSE};
use super::request::{Asked, Request};
use super::{RequestId, Transfer};

impl Transfer {
    pub(super) fn on_end(&mut self, id: RequestId, end: End, now: Duration, out: &mut Vec<Order>) {
        let Some(request) = self.requests.get(&id) else { return };
        let node = request.node;
        let done = request.is_pointless() || request.proven > 0;
        match end {
            End::Reset(Code::Changed) => return self.on_changed(id, None, now, out),
            End::Busy { retry } => self.pause(node, Why::Busy(retry), now),
            // A quota refuses before anything is sent: one that breaks off has to look at its file again.
            End::Reset(Code::Busy) => self.pause(node, Why::Hashing(PAUSE), now),
            End::Refused(code) | End::Reset(code) if is_final(code) => return self.refused(id, code, now, out),
            End::Finished | End::Reset(Code::Cancelled) if done => {}
            End::Lost => {}
            End::Finished | End::Refused(_) | End::Reset(_) | End::TimedOut => {
                self.close(id, now);
                return self.strike(node, now, out);
            }
        }
        self.close(id, now);
    }

    pub(super) fn on_changed(&mut self, id: RequestId, unit: Option<u32>, now: Duration, out: &mut Vec<Order>) {
        let Some(Request { node, .. }) = self.requests.get(&id) else { return };
        let (node, file) = (*node, self.file_of(id, unit));
        self.cancel(id, now, out);
        self.spoil(node, file, now, out);
    }

    pub(super) fn on_lie(&mut self, id: RequestId, now: Duration, out: &mut Vec<Order>) {
        let Some(Request { node, .. }) = self.requests.get(&id) else { return };
        let node = *node;
        self.remove_vain(node, now, out);
        self.barred.insert(node);
        out.push(Order::Bar { node });
    }

    pub(super) fn on_missing(&mut self, id: RequestId, unit: Option<u32>, now: Duration, out: &mut Vec<Order>) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let node = request.node;
        let Some(unit) = unit else {
            self.close(id, now);
            return self.strike(node, now, out);
        };
        request.see(0, self.picker.len(unit));
        if request.pending.remove(&unit) {
            self.picker.release(unit, id);
        }
        if request.listed.remove(&unit) {
            self.listed.remove(&unit);
        }
        if let Some(provider) = self.providers.get_mut(&node) {
            provider.denials.deny(Part::Unit(unit), Fault::Missing, now);
        }
    }

    /// The file of the unit under way; of the request's first unit when that is not known.
    fn file_of(&self, id: RequestId, unit: Option<u32>) -> Option<usize> {
        let request = self.requests.get(&id)?;
        if let Asked::List(file) = request.asked {
            return Some(file);
        }
        let unit = unit.or_else(|| request.pending.first().copied()).or_else(|| request.listed.first().copied())?;
        self.map.place(unit).map(|place| place.file)
    }

    /// The provider's copy of a file has changed, or only its times did. The others of a tree can still be had there.
    fn spoil(&mut self, node: NodeId, file: Option<usize>, now: Duration, out: &mut Vec<Order>) {
        let Some(provider) = self.providers.get_mut(&node) else { return };
        let is_tree = self.map.files().iter().filter(|f| !f.layout.is_empty()).nth(1).is_some();
        match file {
            Some(file) if is_tree => provider.denials.deny(Part::File(file), Fault::Changed, now),
            Some(_) => self.leave(node, Why::Changed, now, out),
            None => self.strike(node, now, out),
        }
    }

    /// The provider says that these units are of files that have changed.
    pub(super) fn spoil_units(&mut self, node: NodeId, units: &[(u32, u32)], now: Duration, out: &mut Vec<Order>) {
        let total = self.map.units();
        for &(first, count) in units {
            let end = first.saturating_add(count).min(total);
            let mut unit = first;
            while let Some(place) = self.map.place(unit).filter(|_| unit < end) {
                let Some(provider) = self.providers.get(&node) else { return };
                if !provider.denials.blocks(Part::File(place.file)) {
                    self.spoil(node, Some(place.file), now, out);
                }
                unit = self.map.files()[place.file].units().end;
            }
        }
    }

    fn refused(&mut self, id: RequestId, code: Code, now: Duration, out: &mut Vec<Order>) {
        let Some(Request { node, asked, .. }) = self.requests.get(&id) else { return };
        let (node, asked) = (*node, *asked);
        let Some(provider) = self.providers.get_mut(&node) else { return };
        match asked {
            _ if code == Code::Changed => self.leave(node, Why::Changed, now, out),
            // Whoever has only a part may have no list yet.
            Asked::List(file) if provider.is_partial() => {
                provider.no_list.insert(file);
                self.close(id, now);
            }
            _ => self.leave(node, Why::Refused(code), now, out),
        }
    }

    fn pause(&mut self, node: NodeId, why: Why, now: Duration) {
        let (Why::Busy(retry) | Why::Hashing(retry)) = why else { return };
        if let Some(provider) = self.providers.get_mut(&node) {
            provider.retry_at = provider.retry_at.max(now + retry);
            let hashes = matches!(provider.why_paused, Some(Why::Hashing(_)));
            provider.why_paused = Some(if hashes { Why::Hashing(retry) } else { why });
        }
    }

    fn strike(&mut self, node: NodeId, now: Duration, out: &mut Vec<Order>) {
        if self.providers.get_mut(&node).is_some_and(|p| p.strike(now)) {
            self.leave(node, Why::Failing, now, out);
        }
    }

    /// The provider is gone, for whatever reason but a lie.
    pub(super) fn leave(&mut self, node: NodeId, why: Why, now: Duration, out: &mut Vec<Order>) {
        if self.remove_vain(node, now, out) {
            out.push(Order::Leave { node, why });
        }
    }

    /// Removes one by its own fault: its network stands for that.
    fn remove_vain(&mut self, node: NodeId, now: Duration, out: &mut Vec<Order>) -> bool {
        if let Some(provider) = self.providers.get(&node) {
            self.vain.left(provider);
        }
        self.remove(node, now, out)
    }

    /// Says whether it was there.
    pub(super) fn remove(&mut self, node: NodeId, now: Duration, out: &mut Vec<Order>) -> bool {
        let Some(provider) = self.providers.get(&node) else { return false };
        let ids: Vec<_> = provider.requests.iter().copied().collect();
        ids.into_iter().for_each(|id| self.cancel(id, now, out));
        if let Some(Holding::Part(had)) = self.providers.remove(&node).and_then(|p| p.holding) {
            self.picker.shrink(had.iter());
        }
        self.picker.forget(node);
        self.hungry();
        true
    }

    /// The request's stream is to be reset, for real.
    pub(super) fn cancel(&mut self, id: RequestId, now: Duration, out: &mut Vec<Order>) {
        if self.requests.contains_key(&id) {
            out.push(Order::Cancel { request: id });
            self.close(id, now);
        }
    }

    /// Forgets the request; what it held and did not bring is wanted again.
    pub(super) fn close(&mut self, id: RequestId, now: Duration) {
        self.unlist(id);
        let Some(request) = self.requests.remove(&id) else { return };
        for unit in request.pending {
            self.picker.release(unit, id);
        }
        if let Asked::List(file) = request.asked {
            self.lists.ended(file, id);
        }
        if let Some(provider) = self.providers.get_mut(&request.node) {
            provider.requests.remove(&id);
            if provider.requests.is_empty() {
                provider.stop(now);
            }
        }
    }
}

/// Whether asking again makes no sense.
const fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::BadRequest
            | Code::Changed
            | Code::Forbidden
            | Code::NotFound
            | Code::SizeDiffers
            | Code::Unreadable
            | Code::Unsupported
            | Code::Closing
    )
}
