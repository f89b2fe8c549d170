//! Which units to ask for next: a value over the units of one transfer.
//! Invariant: each unit is in exactly one [`State`]; one in flight has one holder, or two in the endgame.
//! Not responsible for who may be asked how much, nor for what was proven: the transfer is.

mod rarest;
mod region;
mod set;
mod span;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{Bitfield, NodeId, UnitMap};

use rarest::Availability;
use region::Regions;
use set::UnitSet;
pub use span::Span;
use span::Taken;

/// One request, within one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Wanted, but its file's chunk list is not proven yet.
    Blocked,
    /// There.
    Have,
    /// Asked for.
    InFlight,
    /// Left out.
    Unwanted,
    /// To be asked for.
    Wanted,
}

/// A provider that takes units for one of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Taker {
    /// Which.
    pub node: NodeId,
    /// Its bytes a second, lately; 0 while that is not known.
    pub rate: u64,
}

/// What became of an attempt to hold a certain unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// There already, or nobody wants it.
    Refused,
    /// Another request holds it too.
    Shared,
    /// Only this request holds it.
    Taken,
}

/// The picker.
#[derive(Debug, Clone)]
pub struct Picker {
    map: Arc<UnitMap>,
    seed: u64,
    states: Vec<State>,
    wanted: UnitSet,
    wanted_bytes: u64,
    missing: u32,
    flights: HashMap<u32, [Option<RequestId>; 2]>,
    availability: Availability,
    regions: Regions,
    version: u64,
}

impl Picker {
    /// All units unwanted; the seed decides ties, and should differ from node to node.
    pub fn new(map: Arc<UnitMap>, seed: u64) -> Self {
        let units = map.units();
        Self {
            seed,
            states: vec![State::Unwanted; units as usize],
            wanted: UnitSet::new(units),
            wanted_bytes: 0,
            missing: 0,
            flights: HashMap::new(),
            availability: Availability::default(),
            regions: Regions::new(units),
            version: 0,
            map,
        }
    }

    /// Lets the first region begin at a place that the seed decides. To be called before anything is acquired.
    pub fn begin_anywhere(&mut self) {
        self.regions = Regions::from(self.map.units(), rarest::place(self.seed, self.map.units()));
    }

    /// Where a unit stands; unwanted beyond the end.
    pub fn state(&self, unit: u32) -> State {
        self.states.get(unit as usize).copied().unwrap_or(State::Unwanted)
    }

    /// Wanted units that are not there yet, in whatever state.
    pub const fn missing(&self) -> u32 {
        self.missing
    }

    /// Units that could be asked for now.
    pub const fn wanted(&self) -> u32 {
        self.wanted.count()
    }

    /// Their bytes.
    pub const fn wanted_bytes(&self) -> u64 {
        self.wanted_bytes
    }

    /// Changes whenever a unit becomes wanted: who found nothing to do may look again.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The length of a unit in bytes.
    pub fn len(&self, unit: u32) -> u64 {
        self.map.len(unit)
    }

    /// Puts a unit that is not in flight into a state: at the start, when a list was proven, when a re-hash failed.
    pub fn set(&mut self, unit: u32, state: State) {
        if self.state(unit) != State::InFlight && state != State::InFlight {
            self.put(unit, state);
        }
    }

    /// The next units in the provider's own region, in order.
    pub fn acquire_region(
        &mut self,
        request: RequestId,
        taker: Taker,
        span: Span,
        allowed: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let Taker { node, rate } = taker;
        let mut taken = Taken::new(span);
        while let Some(range) = self.regions.of(node).or_else(|| self.regions.claim(node, rate)) {
            let (next, full) = self.collect(&mut taken, range, &allowed);
            self.regions.advance(node, next, rate);
            if full || !taken.units.is_empty() {
                break;
            }
        }
        if taken.units.is_empty() {
            self.collect(&mut taken, 0..self.map.units(), &allowed);
        }
        self.fly(&taken.units, request);
        taken.units
    }

    /// The rarest wanted units among those that the provider has (`None`: all).
    pub fn acquire_rarest(
        &mut self,
        request: RequestId,
        has: Option<&Bitfield>,
        span: Span,
        allowed: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut taken = Taken::new(Span { units: span.units.min(span.ranges), ..span });
        for unit in self.rarest(has, span.units.min(span.ranges), allowed) {
            if !taken.push(unit, self.len(unit)) {
                break;
            }
        }
        taken.units.sort_unstable();
        self.fly(&taken.units, request);
        taken.units
    }

    /// Up to `count` wanted units, rarest first, without taking them: what a loaded provider may choose from.
    /// Units that some partial provider has are listed only when there are no others.
    pub fn candidates(&self, count: usize, allowed: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut units = self.rarest(None, count, allowed);
        let unique = units.iter().take_while(|u| self.availability.of(**u) == 0).count();
        if unique > 0 {
            units.truncate(unique);
        }
        units
    }

    /// Holds a certain unit, in the endgame beside another request.
    pub fn hold(&mut self, unit: u32, request: RequestId) -> Hold {
        match (self.state(unit), self.flights.get_mut(&unit)) {
            (State::InFlight, Some([Some(first), second @ None])) if *first != request => {
                *second = Some(request);
                Hold::Shared
            }
            (State::Wanted, _) => {
                self.fly(&[unit], request);
                Hold::Taken
            }
            _ => Hold::Refused,
        }
    }

    /// The requests that hold the unit.
    pub fn holders(&self, unit: u32) -> [Option<RequestId>; 2] {
        self.flights.get(&unit).copied().unwrap_or_default()
    }

    /// Whether a second request may hold the unit.
    pub fn is_shareable(&self, unit: u32) -> bool {
        matches!(self.flights.get(&unit), Some([Some(_), None]))
    }

    /// The unit is there; says who held it.
    pub fn complete(&mut self, unit: u32) -> Vec<RequestId> {
        if self.state(unit) == State::Have || unit >= self.map.units() {
            return Vec::new();
        }
        let holders = self.flights.remove(&unit).unwrap_or_default();
        self.put(unit, State::Have);
        holders.into_iter().flatten().collect()
    }

    /// The request no longer holds the unit; wanted again when nobody else does.
    pub fn release(&mut self, unit: u32, request: RequestId) {
        let Some(holders) = self.flights.get_mut(&unit) else { return };
        match holders {
            [Some(first), second] if *first == request => *holders = [second.take(), None],
            [_, second] if *second == Some(request) => *second = None,
            _ => return,
        }
        if holders[0].is_none() {
            self.flights.remove(&unit);
            self.put(unit, State::Wanted);
        }
    }

    /// A partial provider has these units now.
    pub fn spread(&mut self, units: impl Iterator<Item = u32>) {
        let total = self.map.units();
        units.for_each(|unit| self.availability.add(unit, total));
    }

    /// A partial provider that had these units is gone, or has everything now.
    pub fn shrink(&mut self, units: impl Iterator<Item = u32>) {
        units.for_each(|unit| self.availability.remove(unit));
    }

    /// The provider's region is free again.
    pub fn forget(&mut self, node: NodeId) {
        self.regions.forget(node);
    }

    fn collect(&self, taken: &mut Taken, range: Range<u32>, allowed: &impl Fn(u32) -> bool) -> (u32, bool) {
        let mut from = range.start;
        while let Some(unit) = self.wanted.next(from).filter(|u| *u < range.end) {
            if allowed(unit) && !taken.push(unit, self.len(unit)) {
                return (unit, true);
            }
            from = unit + 1;
        }
        (range.end, false)
    }

    fn fly(&mut self, units: &[u32], request: RequestId) {
        for &unit in units {
            self.flights.insert(unit, [Some(request), None]);
            self.put(unit, State::InFlight);
        }
    }

    /// The only place where a state changes.
    fn put(&mut self, unit: u32, state: State) {
        let len = self.len(unit);
        let Some(place) = self.states.get_mut(unit as usize) else { return };
        let before = std::mem::replace(place, state);
        let counts = |s: State| u32::from(!matches!(s, State::Have | State::Unwanted));
        self.missing = self.missing + counts(state) - counts(before);
        if state == State::Wanted && self.wanted.insert(unit) {
            self.wanted_bytes += len;
            self.version += 1;
        }
        if state != State::Wanted && self.wanted.remove(unit) {
            self.wanted_bytes -= len;
        }
    }
}
