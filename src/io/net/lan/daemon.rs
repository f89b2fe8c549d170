//! The process that listens to the local network and announces a node there, with `mdns-sd`, and asks once who is there.
//! What it hears it tells on its standard output, a line of JSON each; it ends when its standard input does.
//! It is a process of its own because the daemon of `mdns-sd` bounds neither its memory nor its work, and obeys nobody
//! while packets come faster than it reads them: a process can have limits, and end.

use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use mdns_sd::{Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{interval, timeout};

use super::question::Question;
use super::{Heard, LanError, SERVICE, Told, in_order};
use crate::model::NodeId;

/// Records that the daemon may keep. It sets itself no bound, and 500 nodes on one network take some 3000.
const RECORDS: i64 = 20_000;
/// How often they are counted.
const COUNT: Duration = Duration::from_millis(500);
/// How long the daemon may be too busy to say how many there are.
const BUSY: Duration = Duration::from_secs(5);
/// How long the last line, or the goodbye to the network, may take.
const LAST: Duration = Duration::from_secs(1);

/// Listens until standard input ends; with a port, the node is announced there too.
///
/// # Errors
/// When it cannot be listened to, or is flooded: the process is to end with [`LanError::exit_status`].
pub async fn run(own: NodeId, announce: Option<u16>) -> Result<(), LanError> {
    confine();
    let result = match Daemon::start(own, announce) {
        Ok(daemon) => daemon.listen().await,
        Err(error) => Err(error.into()),
    };
    // Of a flood the exit status tells: the reader may be gone, or not read.
    if let Err(error @ (LanError::Daemon(_) | LanError::Unread(_))) = &result {
        let _ = timeout(LAST, write(&Err(error.clone()))).await;
    }
    result
}

/// The daemon's thread is not ours to bound; its process is. Where the system refuses, the counting has to do.
#[cfg(unix)]
fn confine() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    /// Of the process, in bytes: it has 29 MiB when it begins, 42 MiB with [`RECORDS`]; a flood may fill it in a second.
    const MEMORY: u64 = 128 << 20;
    let at_most = |most| Rlimit { current: Some(most), maximum: Some(most) };
    let _ = setrlimit(Resource::Data, at_most(MEMORY));
    // Its end by that limit is nothing to look into.
    let _ = setrlimit(Resource::Core, at_most(0));
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"qshare-lan");
}

#[cfg(not(unix))]
const fn confine() {}

async fn end_of_input() {
    // An error is an end, too.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

async fn write(told: &Told) -> io::Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    let mut output = tokio::io::stdout();
    output.write_all(&line).await?;
    output.flush().await
}

impl From<mdns_sd::Error> for LanError {
    fn from(error: mdns_sd::Error) -> Self {
        Self::Daemon(error.to_string())
    }
}

struct Daemon {
    own: NodeId,
    handle: ServiceDaemon,
    events: Receiver<ServiceEvent>,
}

impl Daemon {
    fn start(own: NodeId, announce: Option<u16>) -> mdns_sd::Result<Self> {
        let handle = ServiceDaemon::new()?;
        let events = handle.browse(SERVICE)?;
        if let Some(port) = announce {
            handle.register(service(own, port)?)?;
        }
        Ok(Self { own, handle, events })
    }

    async fn listen(self) -> Result<(), LanError> {
        let result = tokio::select! {
            () = end_of_input() => Ok(()),
            error = self.overrun() => Err(error),
            error = self.pass_on() => Err(error),
        };
        if let Ok(done) = self.handle.shutdown() {
            // It says goodbye to the network. Too busy for it, or gone: the process ends anyway.
            let _ = timeout(LAST, done.recv_async()).await;
        }
        result
    }

    /// Tells who is heard.
    async fn pass_on(&self) -> LanError {
        let (mut question, mut over) = (Question::new(), false);
        loop {
            let heard = tokio::select! {
                event = self.events.recv_async() => match event {
                    Ok(ServiceEvent::ServiceResolved(service)) => heard_of(&service),
                    Ok(_) => None,
                    Err(_) => break,
                },
                answer = question.next(), if !over => {
                    over = answer.is_none();
                    answer
                }
            };
            if let Some(heard) = heard.filter(|heard| heard.node != self.own)
                && let Err(error) = write(&Ok(heard)).await
            {
                return LanError::Unread(error.into());
            }
        }
        match self.handle.get_metrics() {
            Err(error @ mdns_sd::Error::DaemonShutdown) => error.into(),
            // It drops who takes its events too slowly.
            _ => LanError::Flooded,
        }
    }

    /// Returns when there is more than can be true, or it comes faster than it can be taken in.
    async fn overrun(&self) -> LanError {
        let mut counts = interval(COUNT);
        loop {
            counts.tick().await;
            // It reads all that comes before it obeys: while packets come faster than it reads, it never answers.
            match timeout(BUSY, self.records()).await {
                Ok(Some(records)) if records <= RECORDS => {}
                _ => return LanError::Flooded,
            }
        }
    }

    /// How many records the daemon keeps; `None` when its queue of commands is full.
    async fn records(&self) -> Option<i64> {
        let counters = self.handle.get_metrics().ok()?.recv_async().await.ok()?;
        Some(counters.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| count).sum())
    }
}

fn service(own: NodeId, port: u16) -> mdns_sd::Result<ServiceInfo> {
    let id = own.to_string();
    // A host name of its own, so that several nodes on one host do not dispute about one.
    let host = format!("qshare-{}.local.", &id[..16]);
    let none: &[(&str, &str)] = &[];
    let mut info = ServiceInfo::new(SERVICE, &id, &host, "", port, none)?.enable_addr_auto();
    // Nobody else has this name: it is the hash of a key.
    info.set_requires_probe(false);
    Ok(info)
}

fn heard_of(service: &ResolvedService) -> Option<Heard> {
    let instance = service.get_fullname().strip_suffix(SERVICE)?.strip_suffix('.')?;
    let node = instance.parse().ok()?;
    let port = Some(service.get_port()).filter(|port| *port != 0)?;
    // Of itself only this machine tells on its loopback interface.
    let own =
        |ip: &&ScopedIp| !ip.to_ip_addr().is_loopback() || interfaces(ip).iter().all(|name| name.starts_with("lo"));
    let addrs = in_order(service.get_addresses().iter().filter(own).filter_map(|ip| address(ip, port)));
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
