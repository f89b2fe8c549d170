//! Random operations on the directory and on a naive model of it: what can be read must be equal after each.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::logic::offers::merge::merge;
use crate::model::{FoundHit, Hit, Plane, Provider};

#[derive(Debug, Clone)]
enum Op {
    Announce { node: u16, epoch: u64, seq: u64, full: bool },
    Apply { node: u16, add: Vec<(u8, u8)>, remove: Vec<u8>, join: Option<u8>, leave: Option<u8> },
    Complete { node: u16 },
    Follow { node: u16, id: u8 },
    Pass { seconds: u64 },
    Publish { node: u16, addr: u8 },
    Renew { node: u16, epoch: u64, seq: u64 },
    Withdraw { node: u16, epoch: u64 },
}

const NAMES: [&str; 6] = ["a", "b", "x/a", "x/b", "ab", "x/ab/c"];

fn op() -> impl Strategy<Value = Op> {
    let (node, epoch, seq) = (|| 0..3_u16, || 1..3_u64, || 1..4_u64);
    let add = proptest::collection::vec((0..NAMES.len() as u8, 0..4_u8), 0..4);
    let remove = proptest::collection::vec(0..NAMES.len() as u8, 0..2);
    let part = || proptest::option::of(1..4_u8);
    prop_oneof![
        3 => (node(), epoch(), seq(), any::<bool>())
            .prop_map(|(node, epoch, seq, full)| Op::Announce { node, epoch, seq, full }),
        6 => (node(), add, remove, part(), part())
            .prop_map(|(node, add, remove, join, leave)| Op::Apply { node, add, remove, join, leave }),
        3 => node().prop_map(|node| Op::Complete { node }),
        1 => (node(), 1..4_u8).prop_map(|(node, id)| Op::Follow { node, id }),
        2 => (1..40_u64).prop_map(|seconds| Op::Pass { seconds }),
        2 => (node(), 1..4_u8).prop_map(|(node, addr)| Op::Publish { node, addr }),
        2 => (node(), epoch(), seq()).prop_map(|(node, epoch, seq)| Op::Renew { node, epoch, seq }),
        1 => (node(), epoch()).prop_map(|(node, epoch)| Op::Withdraw { node, epoch }),
    ]
}

#[derive(Debug, Clone, Default)]
struct Known {
    epoch: u64,
    seq: Option<u64>,
    open: Option<u64>,
    ends: u64,
    addr: Option<u8>,
    offers: BTreeMap<&'static str, u8>,
    parts: BTreeSet<u8>,
}

impl Known {
    fn provides(&self, id: u8) -> bool {
        self.parts.contains(&id) || self.offers.values().any(|other| *other == id)
    }
}

type Told = BTreeMap<NodeId, Vec<SocketAddr>>;

struct Pair {
    directory: Directory,
    model: BTreeMap<u16, Known>,
    now: u64,
    /// Who follows what, and what it believes.
    followers: BTreeMap<FollowId, (u16, u8, Told)>,
}

impl Pair {
    fn run(&mut self, op: Op) {
        let now = at(self.now);
        match op {
            Op::Announce { node: n, epoch, seq, full } => {
                let taken = self.directory.announce(who(n), &head(epoch, seq, full), now).is_ok();
                assert_eq!(taken, self.announce(n, epoch, seq, full));
            }
            Op::Apply { node: n, add, remove, join, leave } => self.apply(n, add, remove, join, leave),
            Op::Complete { node: n } => {
                let (epoch, seq) = self.open(n);
                let tally = self.directory.complete(announcement(n, epoch, seq), now);
                let known = self.model.get_mut(&n).filter(|k| k.open.is_some());
                assert_eq!(tally.ok().map(|t| t.taken), known.as_ref().map(|k| k.offers.len() as u64));
                if let Some(known) = known {
                    (known.seq, known.open, known.ends) = (known.open, None, self.now + 60);
                }
            }
            Op::Follow { node: n, id } => {
                let (follow, event) = self.directory.follow(part(id), node(n), AskerView::default()).expect("room");
                let told = event.joined.into_iter().map(|p| (p.node, p.addrs)).collect();
                self.followers.insert(follow, (n, id, told));
            }
            Op::Pass { seconds } => {
                self.now += seconds;
                self.directory.expire(at(self.now));
                self.model.retain(|_, known| known.ends > self.now);
            }
            Op::Publish { node: n, addr: a } => {
                let epoch = self.model.get(&n).map_or(9, |known| known.epoch);
                assert_eq!(self.directory.publish(node(n), Epoch(epoch), vec![addr(a)]), epoch != 9);
                self.model.entry(n).and_modify(|known| known.addr = Some(a));
            }
            Op::Renew { node: n, epoch, seq } => {
                let known = self.model.get_mut(&n);
                let known = known.filter(|k| (k.epoch, k.seq, k.open) == (epoch, Some(seq), None));
                assert_eq!(self.directory.renew(announcement(n, epoch, seq), now).known, known.is_some());
                known.into_iter().for_each(|k| k.ends = self.now + 60);
            }
            Op::Withdraw { node: n, epoch } => {
                let own = self.model.get(&n).is_some_and(|known| known.epoch == epoch);
                assert_eq!(self.directory.withdraw(node(n), Epoch(epoch)), own);
                self.model.retain(|m, _| !own || *m != n);
            }
        }
    }

    fn announce(&mut self, n: u16, epoch: u64, seq: u64, full: bool) -> bool {
        let ends = self.now + 60;
        let known = self.model.get(&n).filter(|known| known.epoch == epoch);
        if full {
            let addr = known.and_then(|known| known.addr);
            self.model.insert(n, Known { epoch, open: Some(seq), ends, addr, ..Known::default() });
            return true;
        }
        let next = known.is_some_and(|k| k.open.is_none() && k.seq.is_some_and(|last| last + 1 == seq));
        if next {
            self.model.entry(n).and_modify(|k| (k.open, k.ends) = (Some(seq), ends));
        }
        next
    }

    fn apply(&mut self, n: u16, add: Vec<(u8, u8)>, remove: Vec<u8>, join: Option<u8>, leave: Option<u8>) {
        let (epoch, seq) = self.open(n);
        let name = |n: &u8| NAMES[usize::from(*n)];
        let delta = Delta {
            add: add.iter().map(|(n, id)| offer(name(n), *id)).collect(),
            remove: remove.iter().map(|n| SafePath::parse(name(n)).expect("name")).collect(),
            join: join.map(part).into_iter().collect(),
            leave: leave.map(part).into_iter().collect(),
        };
        let taken = self.directory.apply(announcement(n, epoch, seq), delta, at(self.now)).is_ok();
        let known = self.model.get_mut(&n).filter(|k| k.open.is_some());
        assert_eq!(taken, known.is_some());
        let Some(known) = known else { return };
        known.ends = self.now + 60;
        known.offers.retain(|name, _| !remove.iter().any(|n| NAMES[usize::from(*n)] == *name));
        known.offers.extend(add.iter().map(|(n, id)| (name(n), *id)));
        known.parts.retain(|id| Some(*id) != leave);
        known.parts.extend(join);
    }

    fn open(&self, n: u16) -> (u64, u64) {
        self.model.get(&n).map_or((9, 9), |known| (known.epoch, known.open.unwrap_or(9)))
    }

    fn provider(&self, n: u16) -> Provider {
        Provider { node: node(n), addrs: self.model[&n].addr.map(addr).into_iter().collect() }
    }

    fn check(&mut self) {
        // Words, patterns, the beginning of an id.
        for text in ["a", "x", "b a", "c/", "*a", "?/*", "a b*", "0101010101"] {
            let query = words(text);
            let page = self.directory.snapshot().search(
                &query,
                Window { limit: 100, skip: 0 },
                (AskerView::default(), 3),
                &|| true,
            );
            let page = page.expect("to its end");
            assert_eq!(page.more, 0);
            assert_eq!(page.hits, self.expected(&query), "{text}");
        }
        for id in 1..4 {
            let hits = self.directory.snapshot().locate(content(id), AskerView::default(), 3).hits;
            let nodes: Vec<_> = hits.iter().flat_map(|hit| hit.providers.clone()).collect();
            let expected = self.model.keys().filter(|n| self.model[n].provides(id)).map(|n| self.provider(*n));
            assert_eq!(nodes, expected.collect::<Vec<_>>());
        }
        self.check_followers();
    }

    /// Words against every offer, grouped by the same merge that the asking side uses.
    fn expected(&self, query: &Query) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (n, known) in &self.model {
            let found = |(name, id): &(&&str, &u8)| query.matches(name) || query.means(offer(name, **id).id);
            for (name, id) in known.offers.iter().filter(found) {
                let hit = Hit { providers: vec![self.provider(*n)], ..offer(name, *id).into() };
                hits.push(FoundHit { hit, plane: Plane::Tracker });
            }
        }
        merge(Some(query), hits).into_iter().map(|found| found.hit).collect()
    }

    fn check_followers(&mut self) {
        for (follow, event) in self.directory.take_events() {
            let told = &mut self.followers.get_mut(&follow).expect("known").2;
            event.left.iter().for_each(|node| assert!(told.remove(node).is_some(), "left without having joined"));
            told.extend(event.joined.into_iter().map(|p| (p.node, p.addrs)));
        }
        for (n, id, told) in self.followers.values() {
            let present = self.model.iter().filter(|(m, known)| *m != n && known.addr.is_some() && known.provides(*id));
            let present: BTreeMap<_, _> = present.map(|(m, _)| (node(*m), self.provider(*m).addrs)).collect();
            assert_eq!(*told, present);
        }
    }
}

proptest! {
    #[test]
    fn reads_are_those_of_the_model(ops in proptest::collection::vec(op(), 1..60)) {
        let directory = Directory::new(Quotas::default(), 1);
        let mut pair = Pair { directory, model: BTreeMap::new(), now: 0, followers: BTreeMap::new() };
        for op in ops {
            pair.run(op);
            pair.check();
        }
    }
}
