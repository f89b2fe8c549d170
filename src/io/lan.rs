//! Nodes on the same network, by multicast DNS (RFC 6762) and DNS-SD (RFC 6763): the service `_qshare._udp.local`, one
//! instance a node, named by its node id. What comes from there is a hint: the pinned handshake decides.

use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use mdns_sd::{Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::time::{interval, timeout};

use crate::model::NodeId;
use crate::wire::limits::ADDRESSES;

/// The service; its instances are nodes.
const SERVICE: &str = "_qshare._udp.local.";

/// Records that the daemon may keep. It sets itself no bound, and 500 nodes on one network take some 3000.
const RECORDS: i64 = 20_000;
/// How often they are counted.
const COUNT: Duration = Duration::from_millis(500);

/// How long the daemon may be too busy to say how many there are.
const BUSY: Duration = Duration::from_secs(5);

/// The LAN cannot be listened to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LanError {
    /// There is no socket or thread for it.
    #[error("nodes on the local network cannot be found: {0}; give --no-lan to do without")]
    Daemon(String),
    /// Somebody announces more than can be true, or faster than it can be taken in.
    #[error(
        "somebody floods the local network with announcements, so it is not listened to for a while: find out who, or \
         name nodes with --peer or --tracker"
    )]
    Flooded,
}

impl From<mdns_sd::Error> for LanError {
    fn from(error: mdns_sd::Error) -> Self {
        Self::Daemon(error.to_string())
    }
}

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
        let daemon = ServiceDaemon::new()?;
        let events = daemon.browse(SERVICE)?;
        let lan = Self { own, daemon, events };
        if let Some(port) = announce {
            lan.announce(port)?;
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

    /// The next node that is heard of.
    ///
    /// # Errors
    /// When there will be none, because somebody floods the network: start again after a pause.
    pub async fn heard(&self) -> Result<Heard, LanError> {
        let mut counts = interval(COUNT);
        loop {
            tokio::select! {
                // The daemon drops who listens too slowly.
                event = self.events.recv_async() => {
                    if let ServiceEvent::ServiceResolved(service) = event.map_err(|_| LanError::Flooded)?
                        && let Some(heard) = heard_of(&service)
                        && heard.node != self.own
                    {
                        return Ok(heard);
                    }
                }
                _ = counts.tick() => {
                    if self.records().await? > RECORDS {
                        return Err(LanError::Flooded);
                    }
                }
            }
        }
    }

    /// How many records the daemon keeps.
    async fn records(&self) -> Result<i64, LanError> {
        // Its queue of commands is full when it is too busy for them.
        let counters = self.daemon.get_metrics().map_err(|_| LanError::Flooded)?;
        // It reads all that comes before it obeys: while packets come faster than it reads, it never answers.
        let answered = timeout(BUSY, counters.recv_async()).await.map_err(|_| LanError::Flooded)?;
        let counters = answered.map_err(|_| LanError::Flooded)?;
        Ok(counters.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| count).sum())
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
