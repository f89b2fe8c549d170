//! One bottleneck on a virtual clock: flows of [`Path`] paced as quinn does, and flows of TCP with CUBIC, through a
//! link with a rate, a delay, a queue, random loss and late packets.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::super::cubic::Cubic;
use super::super::path::Path;

pub(super) const PACKET: u64 = 1500;

pub(super) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The link, the same way there and back but for the rate.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Bytes a second.
    pub(super) rate: u64,
    /// One way.
    pub(super) delay: Duration,
    /// Of the queue, bytes.
    pub(super) queue: u64,
    /// Of ten thousand packets: lost, late.
    pub(super) loss: u64,
    pub(super) late: u64,
    pub(super) late_by: Duration,
}

impl Link {
    /// 100 Mbit/s with a queue of `tenths` of the product of bandwidth and delay.
    pub(super) fn new(rtt: Duration, tenths: u64) -> Self {
        let rate = 12_500_000;
        let queue = rate * u64::try_from(rtt.as_micros()).expect("short") / 10_000_000 * tenths;
        Self { rate, delay: rtt / 2, queue, loss: 0, late: 0, late_by: Duration::ZERO }
    }
}

#[derive(Debug)]
enum Control {
    Ours(Box<Path>),
    /// The window of its slow start, then CUBIC.
    Tcp(u64, Option<Cubic>),
}

impl Control {
    fn window(&self) -> u64 {
        match self {
            Self::Ours(path) => path.window(),
            Self::Tcp(_, Some(cubic)) => cubic.window(),
            Self::Tcp(window, None) => *window,
        }
    }
}

#[derive(Debug)]
struct Flow {
    control: Control,
    from: Duration,
    until: Duration,
    next: u64,
    sent: BTreeMap<u64, Duration>,
    largest: u64,
    srtt: Duration,
    latest: Duration,
    tokens: u64,
    refilled: Duration,
    waking: bool,
    heard: Duration,
    // The receiver.
    unacked: Vec<u64>,
    received: u64,
    spurious: u64,
    pub(super) lost: u64,
    queueing: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive(usize, u64),
    Acks(usize, Vec<u64>),
    Wake(usize),
    Check(usize),
}

/// The world.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) link: Link,
    pub(super) now: Duration,
    free: Duration,
    flows: Vec<Flow>,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    order: u64,
    random: u64,
    pub(super) dropped: u64,
    /// Later packets acknowledged, and eighths of a round trip, after which one is lost.
    pub(super) thresholds: (u64, u32),
}

impl Net {
    pub(super) fn new(link: Link, seed: u64) -> Self {
        Self {
            link,
            now: Duration::ZERO,
            free: Duration::ZERO,
            flows: Vec::new(),
            events: BinaryHeap::new(),
            order: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            dropped: 0,
            thresholds: (128, 12),
        }
    }

    pub(super) fn ours(&mut self, from: Duration, until: Duration) -> usize {
        let chance = self.random();
        self.add(Control::Ours(Box::new(Path::new(1500, chance))), from, until)
    }

    pub(super) fn cubic(&mut self, from: Duration, until: Duration) -> usize {
        self.add(Control::Tcp(10 * PACKET, None), from, until)
    }

    fn add(&mut self, control: Control, from: Duration, until: Duration) -> usize {
        let flow = self.flows.len();
        self.flows.push(Flow {
            control,
            from,
            until,
            next: 1,
            sent: BTreeMap::new(),
            largest: 0,
            srtt: ms(100),
            latest: ms(100),
            tokens: 10 * PACKET,
            refilled: from,
            waking: false,
            heard: from,
            unacked: Vec::new(),
            received: 0,
            spurious: 0,
            lost: 0,
            queueing: Duration::ZERO,
        });
        self.at(from, Event::Wake(flow));
        self.at(from + ms(500), Event::Check(flow));
        flow
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn chance(&mut self, of_ten_thousand: u64) -> bool {
        of_ten_thousand > 0 && self.random() % 10_000 < of_ten_thousand
    }

    /// Until this time.
    pub(super) fn run(&mut self, until: Duration) {
        while let Some(Reverse((time, ..))) = self.events.peek() {
            if *time > until {
                break;
            }
            let Some(Reverse((time, _, event))) = self.events.pop() else { break };
            self.now = time;
            match event {
                Event::Arrive(flow, number) => self.arrive(flow, number),
                Event::Acks(flow, numbers) => self.acks(flow, &numbers),
                Event::Wake(flow) => {
                    self.flows[flow].waking = false;
                    self.send(flow);
                }
                Event::Check(flow) => self.check(flow),
            }
        }
        self.now = until;
    }

    /// Bytes that a flow has brought, each counted once.
    pub(super) fn bytes(&self, flow: usize) -> u64 {
        (self.flows[flow].received - self.flows[flow].spurious) * PACKET
    }

    /// Percent of the link over the time since a count of bytes was taken.
    pub(super) fn share(&self, flow: usize, before: u64, since: Duration) -> u64 {
        let micros = u64::try_from((self.now - since).as_micros()).expect("short");
        (self.bytes(flow) - before) * 100 / (self.link.rate * micros / 1_000_000)
    }

    pub(super) fn lost(&self, flow: usize) -> u64 {
        self.flows[flow].lost
    }

    /// What its packets waited in the queue, in the mean.
    pub(super) fn queueing(&self, flow: usize) -> Duration {
        let flow = &self.flows[flow];
        flow.queueing / u32::try_from(flow.received.max(1)).expect("few")
    }

    pub(super) fn window(&self, flow: usize) -> u64 {
        self.flows[flow].control.window()
    }

    fn send(&mut self, index: usize) {
        let now = self.now;
        loop {
            let flow = &mut self.flows[index];
            let in_flight = flow.sent.len() as u64 * PACKET;
            let window = flow.control.window();
            if now < flow.from || now >= flow.until || in_flight + PACKET >= window {
                return;
            }
            if matches!(flow.control, Control::Ours(_)) {
                let nanos = u64::try_from(flow.srtt.as_nanos()).expect("short");
                let most = (window * 2_000_000 / nanos).clamp(10 * PACKET, 256 * PACKET);
                let elapsed = u64::try_from((now - flow.refilled).as_nanos()).expect("short");
                if flow.tokens < PACKET {
                    let more = u128::from(window) * 5 / 4 * u128::from(elapsed) / u128::from(nanos);
                    flow.tokens = (flow.tokens + u64::try_from(more).expect("fits")).min(most);
                    flow.refilled = now;
                }
                if flow.tokens < PACKET {
                    if !flow.waking {
                        flow.waking = true;
                        let wait = flow.srtt.mul_f64((most - flow.tokens) as f64 / window as f64 * 0.8);
                        self.at(now + wait.max(Duration::from_micros(10)), Event::Wake(index));
                    }
                    return;
                }
                flow.tokens -= PACKET;
            }
            let number = flow.next;
            flow.next += 1;
            flow.sent.insert(number, now);
            if let Control::Ours(path) = &mut flow.control {
                path.sent(now, PACKET);
            }
            self.carry(index, number);
        }
    }

    /// Through the queue, over the link.
    fn carry(&mut self, flow: usize, number: u64) {
        self.free = self.free.max(self.now);
        let waits = self.free - self.now;
        let queued = u64::try_from(waits.as_nanos()).expect("short") * (self.link.rate / 1000) / 1_000_000;
        if queued > self.link.queue {
            self.dropped += 1;
            return;
        }
        self.flows[flow].queueing += waits;
        self.free += Duration::from_nanos(PACKET * 1_000_000_000 / self.link.rate);
        let mut arrives = self.free + self.link.delay;
        if self.chance(self.link.loss) {
            return;
        }
        if self.chance(self.link.late) {
            let most = u64::try_from(self.link.late_by.as_micros()).expect("short");
            arrives += Duration::from_micros(self.random() % most.max(1));
        }
        self.at(arrives, Event::Arrive(flow, number));
    }

    fn arrive(&mut self, index: usize, number: u64) {
        let gone = !self.flows[index].sent.contains_key(&number);
        let (mut way, lost) = (self.link.delay, self.chance(self.link.loss));
        if self.chance(self.link.late) {
            way += self.link.late_by / 2;
        }
        let flow = &mut self.flows[index];
        flow.received += 1;
        flow.spurious += u64::from(gone);
        flow.unacked.push(number);
        if flow.unacked.len() >= 2 && !lost {
            let numbers = std::mem::take(&mut flow.unacked);
            self.at(self.now + way, Event::Acks(index, numbers));
        }
    }

    fn acks(&mut self, index: usize, numbers: &[u64]) {
        let now = self.now;
        let flow = &mut self.flows[index];
        flow.heard = now;
        for number in numbers {
            let Some(sent) = flow.sent.remove(number) else { continue };
            if *number > flow.largest {
                flow.largest = *number;
                flow.latest = now - sent;
            }
            match &mut flow.control {
                Control::Ours(path) => path.acked(now, sent, PACKET, false),
                Control::Tcp(_, Some(cubic)) => cubic.acked(now, flow.srtt, PACKET, PACKET),
                Control::Tcp(window, None) => *window += PACKET,
            }
        }
        let in_flight = flow.sent.len() as u64 * PACKET;
        if let Control::Ours(path) = &mut flow.control {
            path.acks_end(now, in_flight, false);
        }
        flow.srtt = (flow.srtt * 7 + flow.latest) / 8;
        let (packets, eighths) = self.thresholds;
        let old = flow.srtt.max(flow.latest) * eighths / 8;
        let largest = flow.largest;
        let lost = |(number, sent): &(u64, Duration)| number + packets <= largest || now - *sent >= old;
        let gone: Vec<_> = flow.sent.range(..largest).map(|(n, s)| (*n, *s)).filter(lost).collect();
        self.lose(index, &gone, false);
        self.send(index);
    }

    fn lose(&mut self, index: usize, gone: &[(u64, Duration)], all: bool) {
        let now = self.now;
        let flow = &mut self.flows[index];
        let Some((_, sent)) = gone.last() else { return };
        for (number, _) in gone {
            flow.sent.remove(number);
        }
        flow.lost += gone.len() as u64;
        match &mut flow.control {
            Control::Ours(path) => path.lost(now, *sent, gone.len() as u64 * PACKET, all),
            Control::Tcp(_, Some(cubic)) => cubic.lost(now, *sent, 2 * PACKET),
            Control::Tcp(window, cubic) => {
                let mut begun = Cubic::new(*window, Duration::ZERO);
                begun.lost(now, *sent, 2 * PACKET);
                *cubic = Some(begun);
            }
        }
    }

    /// In place of a probe timeout.
    fn check(&mut self, index: usize) {
        let flow = &mut self.flows[index];
        if self.now > flow.heard + flow.srtt * 3 {
            flow.heard = self.now;
            let gone: Vec<_> = flow.sent.iter().map(|(n, s)| (*n, *s)).collect();
            self.lose(index, &gone, true);
            self.send(index);
        }
        self.at(self.now + ms(50), Event::Check(index));
    }
}
