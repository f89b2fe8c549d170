//! From what people write to addresses: the system's resolver, with a deadline.
//! Invariant: what comes back is canonical and without repeats. Whether a node there is the right one is judged
//! after the handshake.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use itertools::Itertools as _;
use serde::{Deserialize, Serialize};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::model::PeerTarget;
use crate::model::address::{canonical, is_loopback};

/// The resolver has this long: less than whoever waits for an answer of the host.
pub const RESOLVE: Duration = Duration::from_secs(4);

/// Why a host has no address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ResolveError {
    /// The resolver says so.
    #[error("the host name {host} cannot be resolved ({cause})")]
    Failed {
        /// Which.
        host: String,
        /// Why.
        cause: String,
    },
    /// The resolver does not answer.
    #[error("the host name {host} was not resolved in time")]
    TimedOut {
        /// Which.
        host: String,
    },
}

/// The addresses of a target, in the resolver's order.
///
/// # Errors
/// When there are none, or the resolver does not answer.
pub async fn resolve(target: &PeerTarget) -> Result<Vec<SocketAddr>, ResolveError> {
    let host = target.host.clone();
    let failed = |cause: String| ResolveError::Failed { host: host.clone(), cause };
    let lookup = timeout(RESOLVE, lookup_host((target.host.as_str(), target.port)));
    let found = lookup.await.map_err(|_| ResolveError::TimedOut { host: host.clone() })?;
    let addrs: Vec<_> = found.map_err(|error| failed(cause(&error)))?.map(unmapped).unique().collect();
    if addrs.is_empty() { Err(failed("it has no address".into())) } else { Ok(addrs) }
}

/// What the resolver says, without what is said already.
fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

/// Whether all addresses are of this machine.
pub fn only_loopback(addrs: &[SocketAddr]) -> bool {
    addrs.iter().all(|addr| is_loopback(addr.ip()))
}

/// As [`canonical`], but a link-local address keeps the scope without which it cannot be dialled.
fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => addr,
        _ => canonical(addr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(target: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        resolve(&target.parse().expect(target)).await
    }

    #[tokio::test]
    async fn addresses_resolve_to_themselves() {
        let addrs = resolved("127.0.0.1:7").await.expect("resolved");
        assert_eq!(addrs, ["127.0.0.1:7".parse().expect("addr")]);
        assert!(only_loopback(&addrs));
        assert_eq!(resolved("[::ffff:10.0.0.1]:7").await.expect("resolved"), ["10.0.0.1:7".parse().expect("addr")]);
        assert!(!only_loopback(&resolved("10.0.0.1:7").await.expect("resolved")));
    }

    #[tokio::test]
    async fn an_impossible_name_is_told() {
        let error = resolved("nowhere.invalid:7").await.expect_err("unknown").to_string();
        assert!(error.contains("nowhere.invalid") && !error.contains("address information"), "{error}");
    }
}
