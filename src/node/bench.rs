//! Both sides of `qshare bench`: one that listens, and one that measures memory to memory and file to file, both ways.
//! Invariant: at most one temporary file at a time, without a name.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::actors::access::Access;
use crate::actors::bench::{BenchAnswers, BenchError, Storage, Usage, ready, receive, send, settling};
use crate::actors::serve::{Places, serve_links};
use crate::io::net::frames::{self, CallError};
use crate::io::net::link::Link;
use crate::model::{NodeId, PeerTarget};
use crate::node::error::{Error, Result, Who};
use crate::node::host::{Host, Started};
use crate::node::types::{Event, Options};
use crate::wire::{self, BenchEnd, Request, Role, limits};

pub use crate::actors::bench::MAX_BYTES as MAX_BENCH_BYTES;

/// How many tests a report has.
pub const BENCH_TESTS: u64 = 4;

/// What was measured between two machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// Who was measured.
    pub node: NodeId,
    /// The round trip before the first test, while nothing else was on the way.
    pub rtt: Duration,
    /// Four rows: memory and file, to us and from us.
    pub rows: Vec<BenchRow>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchRow {
    /// Through files on both sides, until the bytes are on the disk; else memory.
    pub file: bool,
    /// The other side sent.
    pub download: bool,
    /// Payload in bytes.
    pub bytes: u64,
    /// From when both ends were ready to the last byte.
    pub elapsed: Duration,
    /// Processor time of this process.
    pub cpu_here: Duration,
    /// Processor time of the other.
    pub cpu_there: Duration,
    /// The round trip at the end, with its own queues.
    pub rtt: Duration,
    /// The MTU that the sender reached, in bytes.
    pub mtu: u16,
    /// Packets that the sender sent.
    pub sent: u64,
    /// How many of them were lost.
    pub lost: u64,
    /// The most memory that this process has held so far, in bytes.
    pub memory_here: u64,
    /// The same of the other.
    pub memory_there: u64,
}

impl BenchRow {
    /// What was measured, as in JSON.
    #[must_use]
    pub const fn test(&self) -> &'static str {
        if self.file { "file" } else { "memory" }
    }

    /// Which way, as in JSON.
    #[must_use]
    pub const fn direction(&self) -> &'static str {
        if self.download { "download" } else { "upload" }
    }
}

/// A bench that listens. Dropping it ends it at once; [`Host::stop`] ends it cleanly.
pub struct Bench {
    host: Host,
}

impl Bench {
    /// Starts a bench and gives what it reports. Of the options those count that concern every host.
    ///
    /// # Errors
    /// When the home is locked or cannot be used, or the port cannot be had.
    pub async fn start(options: &Options) -> Result<(Self, mpsc::Receiver<Event>)> {
        let Started { host, links, events } = Host::start(options, Role::Bench, Access::everyone()).await?;
        host.run(serve_links(links, Arc::new(BenchAnswers::default()), Places::default()));
        Ok((Self { host }, events))
    }
}

impl Deref for Bench {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

/// Runs all four tests with this many bytes each, and counts them as they move.
pub(crate) async fn measure(host: &Host, target: &PeerTarget, bytes: u64, moved: &AtomicU64) -> Result<BenchReport> {
    let who = Who::bench(target.host_port());
    let own = host.endpoint.node_id();
    let connected = host.connections.to_target(target).await;
    let link = connected.map_err(|error| Error::connect(who.clone(), own, error))?;
    if let Some(role) = link.role().filter(|role| *role != Role::Bench) {
        return Err(Error::WrongRole { who, role });
    }
    let run = Run { link: &link, who: &who, bytes, moved };
    let rtt = link.rtt();
    // Filled before the first test: the other end keeps the turn for us only for a moment between two.
    let filled = run.storage(true, Some(bytes)).await?;
    let rows = vec![
        run.row(false, true, Storage::Memory).await?,
        run.row(false, false, Storage::Memory).await?,
        run.row(true, false, filled).await?,
        run.row(true, true, run.storage(true, None).await?).await?,
    ];
    Ok(BenchReport { node: link.peer(), rtt, rows })
}

struct Run<'a> {
    link: &'a Link,
    who: &'a Who,
    bytes: u64,
    moved: &'a AtomicU64,
}

impl Run<'_> {
    async fn row(&self, file: bool, download: bool, storage: Storage) -> Result<BenchRow> {
        self.link.widen();
        let request = Request::Bench(wire::Bench { bytes: self.bytes, download, file });
        let called = frames::call::<()>(self.link, &request, limits::CONTROL).await;
        let ((), mut to, mut from) = called.map_err(|error| self.call(error))?;
        ready(&mut from, self.bytes).await.map_err(|error| self.call(error))?;
        let (started, before) = (Instant::now(), Usage::of(self.link));
        let count = |bytes| {
            self.moved.fetch_add(bytes, Ordering::Relaxed);
        };
        let pumped = if download {
            receive(&mut from, self.bytes, storage, &count).await
        } else {
            send(&mut to, self.bytes, storage, &count).await
        };
        pumped.map_err(|error| self.failed(error))?;
        let received = started.elapsed();
        // Closed already: the end that is missing then says why.
        let _ = to.finish();
        let there = self.end(&mut from, file && !download).await?;
        let elapsed = if download { received } else { started.elapsed() };
        let here = before.until_now(self.link);
        let sender = if download { there } else { here };
        Ok(BenchRow {
            file,
            download,
            bytes: self.bytes,
            elapsed,
            cpu_here: Duration::from_micros(here.cpu_us),
            cpu_there: Duration::from_micros(there.cpu_us),
            rtt: self.link.rtt(),
            mtu: sender.mtu,
            sent: sender.sent,
            lost: sender.lost,
            memory_here: here.memory,
            memory_there: there.memory,
        })
    }

    /// What the other end says when it has everything, or knows that we have. What is still on the way to it, at most
    /// the windows, comes before.
    async fn end(&self, from: &mut quinn::RecvStream, settles: bool) -> Result<BenchEnd> {
        let limit = frames::ANSWER + settling(settles, self.bytes);
        let end = timeout(limit, frames::receive::<BenchEnd>(from, limits::CONTROL)).await;
        let end = end.unwrap_or(Err(CallError::TimedOut)).and_then(|end| end.ok_or(CallError::Ended));
        end.map_err(|error| self.call(error))
    }

    async fn storage(&self, file: bool, fill: Option<u64>) -> Result<Storage> {
        Storage::new(file, fill).await.map_err(|error| self.failed(error))
    }

    fn call(&self, error: CallError) -> Error {
        Error::call(self.who.clone(), error)
    }

    fn failed(&self, error: BenchError) -> Error {
        match error {
            BenchError::Call(error) => self.call(error),
            BenchError::File(source) => Error::Temporary { dir: std::env::temp_dir().into(), source: source.into() },
        }
    }
}
