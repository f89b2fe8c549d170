//! What neighbours say is vetted here before it counts or goes on: queries that nobody could have typed, addresses that
//! the teller cannot vouch for, addresses of no use to who asked.

use std::net::SocketAddr;

use crate::logic::addresses::{AskerView, addresses_for};
use crate::model::address::{Teller, is_publishable};
use crate::model::{Hit, NodeId, Provider};
use crate::wire::{Sought, limits};

/// What nobody could have typed is not passed on.
pub(super) fn is_sound(what: &Sought) -> bool {
    match what {
        Sought::Content(_) | Sought::Nodes => true,
        Sought::Unknown => false,
        Sought::Names(_) | Sought::Words(_) => what.query().is_some_and(|query| query.is_ok()),
    }
}

/// Leaves of what a neighbour tells only addresses that may be dialled on its word.
pub(super) fn keep_what_may_be_claimed(addrs: &mut Vec<SocketAddr>, teller: Teller) {
    addrs.retain(|addr| teller.may_tell(*addr));
    addrs.truncate(limits::ADDRESSES);
}

/// A hit without provider is of the neighbour that sends it, which is reached where it was dialled.
pub(super) fn vouch(hit: &mut Hit, from: NodeId, addrs: &[SocketAddr], teller: Teller) {
    hit.providers.iter_mut().for_each(|provider| keep_what_may_be_claimed(&mut provider.addrs, teller));
    if hit.providers.is_empty() {
        hit.providers.push(Provider { node: from, addrs: addrs.to_vec() });
    }
    hit.providers.truncate(Hit::MAX_PROVIDERS);
    hit.names.truncate(Hit::MAX_NAMES);
}

/// Leaves of a hit the providers that the asker can dial; says whether that is any.
pub(super) fn make_useful_to(hit: &mut Hit, asker: AskerView) -> bool {
    hit.providers.retain_mut(|provider| keep_what_it_can_dial(&mut provider.addrs, asker));
    !hit.providers.is_empty()
}

/// Leaves of addresses what an asker can use; says whether that is any.
pub(super) fn keep_what_it_can_dial(addrs: &mut Vec<SocketAddr>, asker: AskerView) -> bool {
    *addrs = addresses_for(asker, addrs);
    addrs.retain(|addr| is_publishable(*addr));
    !addrs.is_empty()
}
