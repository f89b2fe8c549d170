//! What neighbours say is checked here before it counts or goes on: queries, providers, addresses.

use std::net::{IpAddr, SocketAddr};

use crate::logic::addresses::{AskerView, addresses_for};
use crate::model::address::{Teller, is_loopback, is_publishable};
use crate::model::query::MAX_WORDS;
use crate::model::{Hit, NodeId, Provider, Query};
use crate::wire::{Sought, limits};

/// What nobody could have typed is not passed on.
pub(super) fn is_sound(what: &Sought) -> bool {
    match what {
        Sought::Content(_) | Sought::Nodes => true,
        Sought::Unknown => false,
        Sought::Words(words) => words.len() <= MAX_WORDS && Query::parse(words).is_ok(),
    }
}

/// Leaves of what a neighbour tells only addresses that may be dialled on its word.
pub(super) fn keep_usable(addrs: &mut Vec<SocketAddr>, teller: Teller) {
    addrs.retain(|addr| teller.may_tell(*addr));
    addrs.truncate(limits::ADDRESSES);
}

/// A hit without provider is of the neighbour that sends it, which is reached where it was dialled.
pub(super) fn vouch(hit: &mut Hit, from: NodeId, addrs: &[SocketAddr], teller: Teller) {
    hit.providers.iter_mut().for_each(|provider| keep_usable(&mut provider.addrs, teller));
    if hit.providers.is_empty() {
        hit.providers.push(Provider { node: from, addrs: addrs.to_vec() });
    }
    hit.providers.truncate(Hit::MAX_PROVIDERS);
    hit.names.truncate(Hit::MAX_NAMES);
}

/// Whether a hit is of use to who asked: it can dial somebody who has it.
pub(super) fn can_be_told(hit: &mut Hit, view: AskerView) -> bool {
    hit.providers.retain_mut(|provider| can_be_dialled(&mut provider.addrs, view));
    !hit.providers.is_empty()
}

/// Leaves of addresses what an asker can use; says whether that is any.
pub(super) fn can_be_dialled(addrs: &mut Vec<SocketAddr>, view: AskerView) -> bool {
    *addrs = addresses_for(view, addrs);
    addrs.retain(|addr| is_publishable(*addr));
    !addrs.is_empty()
}

/// How a neighbour with these ends of its connection sees this node.
pub(super) fn view_of((remote, local): (IpAddr, Option<IpAddr>)) -> AskerView {
    AskerView { loopback: is_loopback(remote), reached: local }
}
