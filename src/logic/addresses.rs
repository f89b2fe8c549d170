//! Which of a node's published addresses are told to whom (design, section 3, "Which address is published").

use std::net::{IpAddr, SocketAddr};

use itertools::Itertools as _;

use crate::model::address::{Teller, canonical, is_loopback};
use crate::wire::limits;

/// How the asker sees who answers: a tracker, or a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AskerView {
    /// The asker's own address is a loopback address.
    pub loopback: bool,
    /// The address of who answers at which it was reached.
    pub reached: Option<IpAddr>,
}

impl AskerView {
    /// Of who is at the other end of a connection.
    pub fn of(asker: Teller) -> Self {
        Self { loopback: is_loopback(asker.remote), reached: asker.local }
    }
}

/// The addresses to tell the asker. A loopback address goes only to loopback askers, before the others; other
/// askers get the address at which they themselves reached who answers, with that node's port.
pub fn addresses_for(asker: AskerView, addrs: &[SocketAddr]) -> Vec<SocketAddr> {
    let (near, far): (Vec<_>, Vec<_>) = addrs.iter().map(|a| canonical(*a)).partition(|a| is_loopback(a.ip()));
    let reached = asker.reached.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified() && !is_loopback(*ip));
    let seen = |addr: SocketAddr| reached.map(|ip| SocketAddr::new(ip, addr.port()));
    let ordered: Vec<_> = if asker.loopback {
        near.into_iter().chain(far).collect()
    } else {
        far.into_iter().chain(near.into_iter().filter_map(seen)).collect()
    };
    ordered.into_iter().unique().take(limits::ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[test]
    fn loopback_is_told_on_loopback_only() {
        let addrs = [addr("10.0.0.5:7"), addr("[::ffff:127.0.0.1]:7")];
        let near = AskerView { loopback: true, reached: Some([127, 0, 0, 1].into()) };
        assert_eq!(addresses_for(near, &addrs), [addr("127.0.0.1:7"), addr("10.0.0.5:7")]);
        let far = AskerView { loopback: false, reached: Some([192, 168, 1, 9].into()) };
        assert_eq!(addresses_for(far, &addrs), [addr("10.0.0.5:7"), addr("192.168.1.9:7")]);
        assert_eq!(addresses_for(AskerView::default(), &addrs), [addr("10.0.0.5:7")]);
    }

    #[test]
    fn an_address_is_told_once() {
        let far = AskerView { loopback: false, reached: Some([10, 0, 0, 5].into()) };
        assert_eq!(addresses_for(far, &[addr("127.0.0.1:7"), addr("10.0.0.5:7")]), [addr("10.0.0.5:7")]);
    }
}
