//! A world of nodes on a virtual clock: servers with slots that send to their clients side by side at a limited rate,
//! each client's requests in order, links with a latency, deaths and lies. Every downloader is a real [`Transfer`]; only
//! bytes, hashes and disks are left out.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Range;

use super::super::*;
use crate::logic::limits::shares::Who;
use crate::logic::limits::slots::{Admission, Slots, Ticket};
use crate::model::ContentId;

const QUANTUM: u64 = 64 << 10;
/// As in the actor that owns the slots.
const PATIENCE: Duration = ms(1000);
pub(super) const MIB: u64 = 1 << 20;

pub(super) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn node(n: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(n).expect("few nodes"); 32])
}

/// The network of a node: all are in a private one, where each address stands for itself.
pub(super) fn place(n: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, u8::try_from(n).expect("few nodes")])
}

pub(super) fn file_of(bytes: u64) -> Arc<UnitMap> {
    Arc::new(UnitMap::of_file(ContentId::of(if bytes == 0 { b"" } else { b"sim" }), bytes).expect("small"))
}

#[derive(Debug)]
enum Event {
    Arrive(usize, Stream),
    Cancel(usize, usize, RequestId),
    Deliver(usize, Input),
    Hurry(usize, Ticket),
    Kill(usize),
    Release(usize, Ticket),
    Send(usize),
    Tick(usize),
}

/// One request at a server.
#[derive(Debug, Clone)]
struct Stream {
    ticket: Ticket,
    client: usize,
    request: RequestId,
    list: Option<usize>,
    choices: Vec<u32>,
    queue: VecDeque<u32>,
    max: u32,
    current: Option<(u32, u64)>,
}

/// What a node does for others.
#[derive(Debug, Default)]
pub(super) struct Server {
    rate: u64,
    latency: Duration,
    has: Bitfield,
    pub(super) lies: bool,
    pub(super) dead: bool,
    slots: Slots,
    waiting: BTreeMap<Ticket, Stream>,
    streams: BTreeMap<usize, VecDeque<Stream>>,
    turns: VecDeque<usize>,
    /// A client whose flow gets so many times as much of the link as another's.
    pub(super) greedy: Option<(usize, u32)>,
    pub(super) sent: BTreeMap<u32, u32>,
    /// When it had sent so many different units.
    pub(super) distinct_at: BTreeMap<usize, Duration>,
}

/// What a downloader went through.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) transfer: Transfer,
    pub(super) done: Option<Duration>,
    pub(super) barred: Vec<usize>,
    pub(super) left: Vec<(usize, Why)>,
    pub(super) bytes: BTreeMap<usize, u64>,
    pub(super) last: BTreeMap<usize, Duration>,
    pub(super) longest_gap: Duration,
    last_proven: Duration,
    owner: BTreeMap<RequestId, usize>,
}

/// The world.
pub(super) struct World {
    map: Arc<UnitMap>,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    bodies: BTreeMap<u64, Event>,
    serial: u64,
    pub(super) servers: BTreeMap<usize, Server>,
    pub(super) clients: BTreeMap<usize, Client>,
    /// Whoever is done goes away.
    pub(super) leaving: bool,
}

impl World {
    pub(super) fn new(map: Arc<UnitMap>) -> Self {
        Self {
            map,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            serial: 0,
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            leaving: false,
        }
    }

    pub(super) fn source(&mut self, n: usize, rate: u64, latency: Duration) {
        let has = Bitfield::full(self.map.units());
        self.servers.insert(n, Server { rate, latency, has, ..Server::default() });
    }

    pub(super) fn downloader(&mut self, n: usize, rate: u64, latency: Duration) {
        let units = self.map.units();
        let settings = Settings::new(n as u64 * 77);
        let (all, none) = (Bitfield::full(units), Bitfield::empty(units));
        let transfer = Transfer::new(Arc::clone(&self.map), &all, &none, &BTreeSet::new(), settings);
        self.servers.insert(n, Server { rate, latency, has: none, ..Server::default() });
        let client = Client {
            transfer,
            done: None,
            barred: Vec::new(),
            left: Vec::new(),
            bytes: BTreeMap::new(),
            last: BTreeMap::new(),
            longest_gap: Duration::ZERO,
            last_proven: Duration::ZERO,
            owner: BTreeMap::new(),
        };
        self.clients.insert(n, client);
        self.at(ms(100), Event::Tick(n));
    }

    pub(super) fn kill_at(&mut self, n: usize, when: Duration) {
        self.at(when, Event::Kill(n));
    }

    /// Everybody meets everybody; returns when all are done or the deadline has passed.
    pub(super) fn run(&mut self, deadline: Duration) {
        let (clients, servers): (Vec<_>, Vec<_>) =
            (self.clients.keys().copied().collect(), self.servers.keys().copied().collect());
        let crowd = u32::try_from(clients.len()).expect("few");
        for &client in &clients {
            for &server in servers.iter().filter(|s| **s != client) {
                let rtt = self.servers[&server].latency * 2;
                let complete = self.servers[&server].has.is_full();
                let event = HaveEvent { units: vec![], complete, fetching: crowd, ..HaveEvent::default() };
                self.at(rtt, Event::Deliver(client, Input::Ready { node: node(server), rtt, network: place(server) }));
                self.at(rtt, Event::Deliver(client, Input::Have { node: node(server), event }));
            }
        }
        while let Some(Reverse((when, serial))) = self.events.pop() {
            if when > deadline || self.clients.values().all(|c| c.done.is_some()) {
                return;
            }
            self.now = when;
            let event = self.bodies.remove(&serial).expect("entered");
            self.happen(event);
        }
    }

    fn at(&mut self, when: Duration, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((when, self.serial)));
        self.bodies.insert(self.serial, event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(server, stream) => self.arrive(server, stream),
            Event::Cancel(server, client, request) => self.forget(server, client, request),
            Event::Deliver(client, input) => self.tell(client, input),
            Event::Hurry(n, ticket) => self.hurry(n, ticket),
            Event::Kill(n) => {
                self.servers.get_mut(&n).expect("known").dead = true;
            }
            Event::Release(n, ticket) => {
                let granted = self.servers.get_mut(&n).expect("known").slots.release(ticket, true, self.now);
                self.grant(n, granted);
            }
            Event::Send(server) => self.send(server),
            Event::Tick(client) => {
                if self.clients[&client].done.is_none() {
                    self.tell(client, Input::Tick);
                    self.at(self.now + ms(100), Event::Tick(client));
                }
            }
        }
    }

    fn arrive(&mut self, n: usize, mut stream: Stream) {
        let now = self.now;
        let server = self.servers.get_mut(&n).expect("known");
        if server.dead {
            return;
        }
        self.serial += 1;
        stream.ticket = self.serial;
        let who = Who { peer: node(stream.client), network: std::net::Ipv4Addr::LOCALHOST.into(), friend: false };
        match server.slots.ask(who, self.serial, now) {
            Admission::Busy => {
                let input = Input::Ended { request: stream.request, end: End::Busy { retry: ms(500) } };
                self.at(now + self.servers[&n].latency, Event::Deliver(stream.client, input));
            }
            Admission::Granted => self.serve(n, stream),
            Admission::Queued(_) => {
                server.waiting.insert(self.serial, stream);
                self.at(now + PATIENCE, Event::Hurry(n, self.serial));
            }
        }
    }

    fn hurry(&mut self, n: usize, ticket: Ticket) {
        let server = self.servers.get_mut(&n).expect("known");
        let granted = server.slots.hurry(ticket, self.now);
        if granted.is_empty() && server.waiting.contains_key(&ticket) {
            self.at(self.now + PATIENCE, Event::Hurry(n, ticket));
        }
        self.grant(n, granted);
    }

    fn grant(&mut self, n: usize, tickets: Vec<Ticket>) {
        for ticket in tickets {
            let stream = self.servers.get_mut(&n).expect("known").waiting.remove(&ticket).expect("it waits");
            self.serve(n, stream);
        }
    }

    fn serve(&mut self, n: usize, stream: Stream) {
        let server = self.servers.get_mut(&n).expect("known");
        let (idle, client) = (server.turns.is_empty(), stream.client);
        if !server.turns.contains(&client) {
            server.turns.push_back(client);
        }
        server.streams.entry(client).or_default().push_back(stream);
        if idle {
            self.at(self.now, Event::Send(n));
        }
    }

    fn forget(&mut self, n: usize, client: usize, request: RequestId) {
        let server = self.servers.get_mut(&n).expect("known");
        let is_it = |s: &Stream| s.client == client && s.request == request;
        let granted = if let Some(ticket) = server.waiting.iter().find(|(_, s)| is_it(s)).map(|(ticket, _)| *ticket) {
            server.waiting.remove(&ticket);
            server.slots.forget(ticket, self.now)
        } else {
            let streams = server.streams.entry(client).or_default();
            let served = streams.iter().position(is_it).and_then(|at| streams.remove(at));
            served.map(|served| server.slots.release(served.ticket, false, self.now)).unwrap_or_default()
        };
        self.grant(n, granted);
    }

    /// One quantum of the first request of the client whose turn it is.
    fn send(&mut self, n: usize) {
        let server = self.servers.get_mut(&n).expect("known");
        let Some(mut stream) = server.next_stream() else { return };
        let Some((unit, sent)) = stream.current.take().or_else(|| server.next_unit(&mut stream)) else {
            let end = Input::Ended { request: stream.request, end: End::Finished };
            let arrives = self.now + server.latency;
            let acknowledged = arrives + server.latency;
            self.at(arrives, Event::Deliver(stream.client, end));
            self.at(acknowledged, Event::Release(n, stream.ticket));
            return self.at(self.now, Event::Send(n));
        };
        server.distinct_at.entry(server.sent.len()).or_insert(self.now);
        let len = self.map.len(unit);
        let bytes = QUANTUM.min(len - sent);
        let next_at = self.now + Duration::from_secs_f64(bytes as f64 / server.rate as f64);
        let (arrives, lies) = (next_at + server.latency, server.lies);
        let (client, request) = (stream.client, stream.request);
        let inputs = [
            (sent == 0).then_some(stream.begun(unit)),
            Some(Input::Bytes { request, bytes }),
            (sent + bytes == len).then(|| stream.done(unit, lies)),
        ];
        stream.current = (sent + bytes < len).then_some((unit, sent + bytes));
        server.streams.entry(client).or_default().push_front(stream);
        inputs.into_iter().flatten().for_each(|input| self.at(arrives, Event::Deliver(client, input)));
        self.at(next_at, Event::Send(n));
    }

    fn tell(&mut self, n: usize, input: Input) {
        let now = self.now;
        let client = self.clients.get_mut(&n).expect("known");
        if client.done.is_some() {
            return;
        }
        client.note(&input, now);
        let proven = match &input {
            Input::Proven { units, .. } => units.clone(),
            _ => Vec::new(),
        };
        let out = client.transfer.handle(input, now);
        self.spread(n, &proven);
        out.into_iter().for_each(|output| self.obey(n, output));
    }

    /// A downloader serves what it has proven and tells everybody at once.
    fn spread(&mut self, n: usize, units: &[u32]) {
        let server = self.servers.get_mut(&n).expect("known");
        let new: Vec<_> = units.iter().filter(|u| server.has.set(**u)).map(|u| (*u, 1)).collect();
        let (latency, complete) = (server.latency, server.has.is_full());
        if new.is_empty() {
            return;
        }
        let crowd = u32::try_from(self.clients.len()).expect("few");
        let others: Vec<_> = self.clients.keys().copied().filter(|c| *c != n).collect();
        for other in others {
            let event = HaveEvent { units: new.clone(), complete, fetching: crowd, ..HaveEvent::default() };
            self.at(self.now + latency, Event::Deliver(other, Input::Have { node: node(n), event }));
        }
    }

    fn obey(&mut self, n: usize, output: Order) {
        match output {
            Order::Bar { node } => self.client(n).barred.push(number(node)),
            Order::Cancel { request } => {
                let server = self.client(n).owner[&request];
                let arrives = self.now + self.servers[&server].latency;
                self.at(arrives, Event::Cancel(server, n, request));
            }
            Order::Complete => self.finish(n),
            Order::Fetch { request, node, units, max } => {
                let units: Vec<u32> = units.into_iter().flatten().collect();
                assert!(max > 0 && max as usize <= units.len());
                self.ask(n, number(node), Stream::units(n, request, units, max));
            }
            Order::Leave { node, why } => self.client(n).left.push((number(node), why)),
            Order::List { request, node, file } => {
                let last = self.map.files()[file].units().end - 1;
                self.ask(n, number(node), Stream { list: Some(file), ..Stream::units(n, request, vec![last], 1) });
            }
        }
    }

    fn finish(&mut self, n: usize) {
        self.client(n).done = Some(self.now);
        if self.leaving {
            let server = self.servers.get_mut(&n).expect("known");
            server.dead = true;
            let arrives = self.now + server.latency;
            let others: Vec<_> = self.clients.keys().copied().filter(|other| *other != n).collect();
            others.into_iter().for_each(|c| self.at(arrives, Event::Deliver(c, Input::Lost { node: node(n) })));
        }
    }

    fn ask(&mut self, n: usize, server: usize, stream: Stream) {
        self.client(n).owner.insert(stream.request, server);
        let arrives = self.now + self.servers[&server].latency;
        self.at(arrives, Event::Arrive(server, stream));
    }

    fn client(&mut self, n: usize) -> &mut Client {
        self.clients.get_mut(&n).expect("known")
    }
}

impl Client {
    fn note(&mut self, input: &Input, now: Duration) {
        match input {
            Input::Bytes { request, bytes } => {
                let server = self.owner[request];
                *self.bytes.entry(server).or_default() += bytes;
                self.last.insert(server, now);
            }
            Input::Proven { .. } => {
                self.longest_gap = self.longest_gap.max(now - self.last_proven);
                self.last_proven = now;
            }
            _ => {}
        }
    }

    /// Each server's part of all bytes that came, in percent.
    pub(super) fn shares(&self) -> Vec<u64> {
        let total: u64 = self.bytes.values().sum();
        self.bytes.values().map(|b| b * 100 / total).collect()
    }
}

impl Stream {
    fn units(client: usize, request: RequestId, units: Vec<u32>, max: u32) -> Self {
        let choice = (max as usize) < units.len();
        let (choices, queue) = if choice { (units, VecDeque::new()) } else { (Vec::new(), units.into()) };
        Self { ticket: 0, client, request, list: None, choices, queue, max, current: None }
    }

    fn begun(&self, unit: u32) -> Input {
        let request = self.request;
        self.list.map_or(Input::Started { request, unit }, |file| Input::ListKnown { request, file })
    }

    fn done(&self, unit: u32, lies: bool) -> Input {
        let request = self.request;
        if lies {
            return Input::Fault { request, unit: Some(unit), fault: Fault::Lie };
        }
        Input::Proven { request, units: vec![unit] }
    }
}

impl Server {
    /// The first request of whoever is next; its client goes to the back. A client without one loses its turn.
    fn next_stream(&mut self) -> Option<Stream> {
        while let Some(client) = self.turns.pop_front().filter(|_| !self.dead) {
            if let Some(stream) = self.streams.get_mut(&client).and_then(VecDeque::pop_front) {
                let again = self.greedy.filter(|(greedy, _)| *greedy == client).map_or(1, |(_, times)| times);
                let turns = self.turns.iter().filter(|other| **other == client).count();
                (turns..again as usize).for_each(|_| self.turns.push_back(client));
                return Some(stream);
            }
        }
        None
    }

    /// The next unit of a stream: in order, or of those to choose from the one sent least.
    fn next_unit(&mut self, stream: &mut Stream) -> Option<(u32, u64)> {
        let unit = if stream.choices.is_empty() {
            stream.queue.pop_front()?
        } else {
            stream.max = stream.max.checked_sub(1)?;
            let least = stream.choices.iter().copied().min_by_key(|u| self.sent.get(u).copied().unwrap_or(0))?;
            stream.choices.retain(|u| *u != least);
            least
        };
        *self.sent.entry(unit).or_default() += 1;
        Some((unit, 0))
    }
}

fn number(node: NodeId) -> usize {
    usize::from(node.as_bytes()[0])
}

/// All units of a range of percentages.
pub(super) fn within(shares: &[u64], range: Range<u64>) -> bool {
    shares.iter().all(|share| range.contains(share))
}
