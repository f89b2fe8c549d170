//! The links of an endpoint that are open, so that the endpoint can tell when all other ends have been sent word of
//! its end. Invariant: no link is kept open by being listed here.

use std::sync::{Mutex, PoisonError};

use crate::io::net::link::{Link, WeakLink};
use crate::wire::Code;

/// The open links.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<Vec<WeakLink>>);

impl Open {
    /// Lists a link.
    pub(crate) fn add(&self, link: &Link) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only when there is no room, and then room for as many again is made: few looks for each link added.
        if links.len() == links.capacity() {
            links.retain(WeakLink::is_alive);
            let alive = links.len();
            links.reserve(alive + 1);
        }
        links.push(link.downgrade());
    }

    /// Closes all links at once; the future resolves when the other ends have been sent word of it.
    pub(crate) fn close(&self, code: Code) -> impl Future<Output = ()> + use<> {
        let links = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let links = links.iter().filter_map(WeakLink::upgrade);
        let farewells: Vec<_> = links.filter_map(|link| link.farewell(code)).collect();
        async move {
            for farewell in farewells {
                farewell.sent().await;
            }
        }
    }
}
