//! Nodes on the same network, by multicast DNS (RFC 6762) and DNS-SD (RFC 6763): the service `_qshare._udp.local`, one
//! instance a node, named by its node id. What comes from there is a hint: the pinned handshake decides.

use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV6};

use mdns_sd::{Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};

use crate::model::NodeId;
use crate::wire::limits::ADDRESSES;

/// The service; its instances are nodes.
const SERVICE: &str = "_qshare._udp.local.";

/// The LAN cannot be listened to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nodes on the local network cannot be found: {0}; give --no-lan to do without")]
pub struct LanError(String);

/// Listens to the network, and says who is here. Stops when dropped.
pub struct Lan {
    own: NodeId,
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
}

/// A node that was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Which it says to be.
    pub node: NodeId,
    /// Where.
    pub addrs: Vec<SocketAddr>,
    /// The names of the interfaces on which it was heard.
    pub interfaces: BTreeSet<String>,
}

impl Lan {
    /// Begins to listen; with a port, the node is announced there too.
    ///
    /// # Errors
    /// When the daemon's socket or thread cannot be had.
    pub fn start(own: NodeId, announce: Option<u16>) -> Result<Self, LanError> {
        let failed = |error: mdns_sd::Error| LanError(error.to_string());
        let daemon = ServiceDaemon::new().map_err(failed)?;
        let events = daemon.browse(SERVICE).map_err(failed)?;
        let lan = Self { own, daemon, events };
        if let Some(port) = announce {
            lan.announce(port).map_err(failed)?;
        }
        Ok(lan)
    }

    fn announce(&self, port: u16) -> mdns_sd::Result<()> {
        let id = self.own.to_string();
        // A host name of its own, so that several nodes on one host do not dispute about one.
        let host = format!("qshare-{}.local.", &id[..16]);
        let none: &[(&str, &str)] = &[];
        let mut info = ServiceInfo::new(SERVICE, &id, &host, "", port, none)?.enable_addr_auto();
        // Nobody else has this name: it is the hash of a key.
        info.set_requires_probe(false);
        self.daemon.register(info)
    }

    /// The next node that is heard of; `None` when there will be none.
    pub async fn heard(&self) -> Option<Heard> {
        loop {
            if let ServiceEvent::ServiceResolved(service) = self.events.recv_async().await.ok()?
                && let Some(heard) = heard_of(&service)
                && heard.node != self.own
            {
                return Some(heard);
            }
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // It says goodbye and ends its thread; nobody waits for that.
        let _ = self.daemon.shutdown();
    }
}

fn heard_of(service: &ResolvedService) -> Option<Heard> {
    let instance = service.get_fullname().strip_suffix(SERVICE)?.strip_suffix('.')?;
    let node = instance.parse().ok()?;
    let port = Some(service.get_port()).filter(|port| *port != 0)?;
    let addrs = service.get_addresses().iter().filter_map(|ip| address(ip, port));
    let mut addrs: Vec<SocketAddr> = addrs.collect();
    // The likeliest first, the same at each time.
    addrs.sort_by_key(|addr| (addr.ip().is_loopback(), is_link_local(*addr), *addr));
    addrs.truncate(ADDRESSES);
    let interfaces = service.get_addresses().iter().flat_map(interfaces).collect();
    Some(Heard { node, addrs, interfaces })
}

fn interfaces(ip: &ScopedIp) -> Vec<String> {
    match ip {
        ScopedIp::V4(v4) => v4.interface_ids().iter().map(|interface| interface.name.clone()).collect(),
        ScopedIp::V6(v6) => vec![v6.scope_id().name.clone()],
        _ => Vec::new(),
    }
}

fn address(ip: &ScopedIp, port: u16) -> Option<SocketAddr> {
    match ip {
        ScopedIp::V4(v4) => Some(SocketAddr::from((*v4.addr(), port))),
        ScopedIp::V6(v6) => {
            let scope = if v6.addr().is_unicast_link_local() { v6.scope_id().index } else { 0 };
            Some(SocketAddrV6::new(*v6.addr(), port, 0, scope).into())
        }
        _ => None,
    }
}

const fn is_link_local(addr: SocketAddr) -> bool {
    matches!(addr, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local())
}
