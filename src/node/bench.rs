//! The asking side of `qshare bench`: memory to memory and file to file, both ways, against one bench that listens.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actors::bench::{BenchError, Usage, receive, send, temporary};
use crate::io::frames;
use crate::io::link::Link;
use crate::model::{NodeId, PeerTarget};
use crate::node::convert::{call_error, connect_error};
use crate::node::error::{Error, Who};
use crate::node::inner::Inner;
use crate::wire::{Bench, BenchEnd, Request, Role, limits};

/// What was measured between two machines.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchReport {
    /// Who was measured.
    pub node: NodeId,
    /// The round trip at the end.
    pub rtt: Duration,
    /// Four rows: memory and file, to us and from us.
    pub rows: Vec<BenchRow>,
}

/// One test.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchRow {
    /// Through files on both sides; else memory.
    pub file: bool,
    /// The other side sent.
    pub download: bool,
    /// Payload in bytes.
    pub bytes: u64,
    /// From the granted request to the last byte.
    pub elapsed: Duration,
    /// Processor time of this process.
    pub cpu_here: Duration,
    /// Processor time of the other.
    pub cpu_there: Duration,
    /// The MTU that the sender reached, in bytes.
    pub mtu: u16,
    /// Packets that the sender sent.
    pub sent: u64,
    /// How many of them were lost.
    pub lost: u64,
}

/// Runs all four tests with this many bytes each.
pub(crate) async fn measure(inner: &Inner, target: &PeerTarget, bytes: u64) -> Result<BenchReport, Error> {
    let who = Who::bench(target.host_port());
    let own = inner.endpoint.node_id();
    let connected = inner.connections.to_target(target).await;
    let link = connected.map_err(|error| connect_error(who.clone(), own, error))?;
    if let Some(role) = link.role().filter(|role| *role != Role::Bench) {
        return Err(Error::WrongRole { who, role });
    }
    let mut rows = Vec::new();
    for (file, download) in [(false, true), (false, false), (true, true), (true, false)] {
        rows.push(row(&link, &who, Bench { bytes, download, file }).await?);
    }
    Ok(BenchReport { node: link.peer(), rtt: link.rtt(), rows })
}

async fn row(link: &Link, who: &Who, bench: Bench) -> Result<BenchRow, Error> {
    let failed = |error: BenchError| Error::Refused { who: who.clone(), cause: error.to_string() };
    let local = if bench.file { Some(local_file(&bench).await.map_err(failed)?) } else { None };
    let request = Request::Bench(bench.clone());
    let called = frames::call::<()>(link, &request, limits::CONTROL).await;
    let ((), mut to, mut from) = called.map_err(|error| call_error(who.clone(), error))?;
    let (started, before) = (Instant::now(), Usage::of(link));
    if bench.download {
        receive(&mut from, bench.bytes, local).await.map_err(failed)?;
    } else {
        send(&mut to, bench.bytes, local).await.map_err(failed)?;
        // Closed already: the end that is missing then says why.
        let _ = to.finish();
    }
    let there = frames::receive::<BenchEnd>(&mut from, limits::CONTROL).await;
    let there = there.and_then(|end| end.ok_or(frames::CallError::Ended));
    let there = there.map_err(|error| call_error(who.clone(), error))?;
    let elapsed = started.elapsed();
    let here = before.until_now(link);
    let sender = if bench.download { there } else { here };
    Ok(BenchRow {
        file: bench.file,
        download: bench.download,
        bytes: bench.bytes,
        elapsed,
        cpu_here: Duration::from_micros(here.cpu_us),
        cpu_there: Duration::from_micros(there.cpu_us),
        mtu: sender.mtu,
        sent: sender.sent,
        lost: sender.lost,
    })
}

async fn local_file(bench: &Bench) -> Result<Arc<File>, BenchError> {
    Ok(Arc::new(temporary((!bench.download).then_some(bench.bytes)).await?))
}
