//! The attacks: what a peer that keeps no rules does, each by the scripted peers of the tests.

use std::any::Any;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use qshare::model::{ContentId, NodeId, Offer, SafePath};
use qshare::wire::Delta;
use serde_json::{Value, json};

use crate::common::claims::{FakeTracker, Victim, hit, page, providers};
use crate::common::flooder::{Flooder, query};
use crate::common::multicast;
use crate::common::raw::{Crowd, STREAMS, Windows, about, announce, beginnings, claimed, search, storms};
use crate::common::readers::{Readers, Taking, What, fetch};
use crate::common::scripted::{Content, Guise, Script, Scripted};
use crate::common::trickling::{lists_trickle, manifests_trickle, resolves_trickle, units_trickle};
use crate::ground::Place;
use crate::vanishing::{Goes, Vanishing};

/// An address of its own on this machine.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 77];
/// Before whoever is not waited for is waited for no longer: longer than any attack.
const NEVER: Duration = Duration::from_secs(86_400);

/// Says once that an attack begins, with what honest commands are to be given besides, and returns when all of it is there.
type Start = fn(&Target, &mut dyn FnMut(&str)) -> Standing;

/// One attack.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) place: Place,
    pub(crate) start: Start,
}

/// What is attacked.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) tracker: (SocketAddr, NodeId),
    pub(crate) share: (SocketAddr, NodeId),
    /// The files that honest peers fetch.
    pub(crate) shared: PathBuf,
}

/// An attack that goes on until this is dropped.
pub(crate) struct Standing {
    told: Box<dyn Fn() -> String>,
    _held: Box<dyn Any>,
}

impl Standing {
    fn new(held: impl Any, told: impl Fn() -> String + 'static) -> Self {
        Self { told: Box::new(told), _held: Box::new(held) }
    }

    /// What it has done so far.
    pub(crate) fn told(&self) -> String {
        (self.told)()
    }
}

impl Target {
    pub(crate) fn to_json(&self) -> String {
        let node = |(addr, id): (SocketAddr, NodeId)| json!([addr.to_string(), id.to_string()]);
        json!({"tracker": node(self.tracker), "share": node(self.share), "shared": self.shared}).to_string()
    }

    pub(crate) fn of_json(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).expect("its own");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let node = |name: &str| {
            let (addr, id) = (text(&value[name][0]), text(&value[name][1]));
            (addr.parse().expect("an address"), id.parse().expect("an id"))
        };
        Self { tracker: node("tracker"), share: node("share"), shared: text(&value["shared"]).into() }
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.shared.join(name)).expect("it is shared")
    }

    /// The large file that nobody honest fetches.
    fn much(&self) -> What {
        let bytes = self.file("much.bin");
        let size = u32::try_from(bytes.len()).expect("small");
        What { id: *ContentId::of(&bytes).as_bytes(), size, units: size.div_ceil(1 << 20) }
    }

    /// So many peers at the tracker and at the share.
    fn crowds(&self, count: usize, windows: Windows) -> [Crowd; 2] {
        [self.tracker, self.share].map(|(addr, _)| Crowd::at(&addr.to_string(), count, windows))
    }

    fn readers(&self, nodes: u8, taking: Taking) -> Standing {
        let readers = Readers::start(self.share, self.much(), (nodes, 12), |_| ELSEWHERE, taking);
        let asked = readers.counted();
        Standing::new(readers, move || format!("{} Fetches", asked.load(Ordering::Relaxed)))
    }

    /// Nodes that ask both for all sorts of things on fresh connections and are gone in mid-answer.
    fn vanishing(&self, nodes: (u8, fn(u8) -> Ipv4Addr), how: (Goes, Duration)) -> Standing {
        let much = self.much();
        let ask = |what| about(what, &much.id, much.size.into());
        let requests = vec![fetch(much), ask("Watch"), search("e"), ask("Follow"), announce(), fetch(much)];
        let both = [self.tracker, self.share];
        let both = both.map(|(addr, _)| Vanishing::start(nodes, addr, requests.clone(), how));
        let asked = both.each_ref().map(Vanishing::counted);
        let sum = move || asked.iter().map(|asked| asked.load(Ordering::Relaxed)).sum::<u64>();
        Standing::new(both, move || format!("{} requests", sum()))
    }

    /// Liars beside the share: each offers what it offers, and serves it so.
    fn beside(&self, trees: bool, script: impl Fn(&[u8]) -> Script) -> Standing {
        let liars = ["small", "large"].map(|name| {
            let (name, content) = if trees { self.tree(name) } else { self.plain(name) };
            let guise = if trees { Guise::tree(name) } else { Guise::file(name) };
            let bytes = content.first_file().to_vec();
            Scripted::start_at(self.tracker, &guise, content, script(&bytes))
        });
        let asked = liars.each_ref().map(|liar| Arc::clone(&liar.asked));
        let sum = move || asked.iter().map(|asked| asked.all()).sum::<u32>();
        Standing::new(liars, move || format!("two liars, asked {} times", sum()))
    }

    fn plain(&self, name: &str) -> (&'static str, Content) {
        let file = if name == "small" { "small.bin" } else { "large.bin" };
        (file, Content::file(&self.file(file)))
    }

    fn tree(&self, name: &str) -> (&'static str, Content) {
        let tree = if name == "small" { "tree-small" } else { "tree-large" };
        let files = ["one.bin", "two.bin"].map(|file| self.file(&format!("{tree}/{file}")));
        let line = |name: &str, bytes: &[u8]| format!("f {} {} {name}\n", bytes.len(), ContentId::of(bytes));
        let lines = line("one.bin", &files[0]) + &line("two.bin", &files[1]);
        let manifest = [b"qshare-collection-1\n", lines.as_bytes()].concat();
        (tree, Content::tree(&manifest, &[&files[0], &files[1]]))
    }
}

/// What crowds have opened.
fn streams(crowds: Vec<Crowd>) -> Standing {
    let asked: Vec<Arc<AtomicU64>> = crowds.iter().map(Crowd::asked).collect();
    let sum = move || asked.iter().map(|asked| asked.load(Ordering::Relaxed)).sum::<u64>();
    Standing::new(crowds, move || format!("{} streams or connections", sum()))
}

/// Streams of so many peers at both that begin with these bytes and stay.
fn kept(target: &Target, count: usize, each: usize, windows: Windows, bytes: &[u8], pause: Duration) -> Standing {
    let crowds = target.crowds(count, windows);
    crowds.iter().for_each(|crowd| crowd.keep(each, bytes, pause));
    streams(crowds.into())
}

/// The storm of this number of [`storms`].
fn storm(target: &Target, number: usize) -> Standing {
    let much = target.much();
    let (_, bytes, ends) = storms(&much.id, much.size.into())[number].clone();
    let crowds = target.crowds(8, Windows::Open);
    crowds.iter().for_each(|crowd| crowd.storm(bytes.clone(), ends));
    streams(crowds.into())
}

/// A tracker that says that fifty more have what is wanted, all at one place, where nobody ever answers.
fn victims(target: &Target, begun: &mut dyn FnMut(&str)) -> Standing {
    let victim = Victim::start();
    let told = providers(50, &[victim.addr]);
    let hits = ["small.bin", "large.bin"].map(|name| {
        let bytes = target.file(name);
        hit(ContentId::of(&bytes), bytes.len() as u64, &[name.to_owned()], &told)
    });
    let tracker = FakeTracker::start(page(&hits), Vec::new());
    begun(&format!("it begins --tracker {}", tracker.addr));
    let packets = victim.counted();
    Standing::new((victim, tracker), move || format!("the victim has {} packets", packets.load(Ordering::Relaxed)))
}

/// First packets of handshakes, each from another port of many addresses.
fn half_handshakes(target: &Target) -> Standing {
    let (packets, sent) = (beginnings(2000), Arc::new(AtomicU64::new(0)));
    let (targets, counted) = ([target.tracker.0, target.share.0], Arc::clone(&sent));
    std::thread::spawn(move || {
        for n in 0_usize.. {
            let [high, low] = u16::try_from(n % 60_000).expect("less").to_be_bytes();
            let Ok(socket) = UdpSocket::bind((Ipv4Addr::new(127, 1, high, low), 0)) else { continue };
            for packet in packets.iter().cycle().skip(n * 10).take(10) {
                for target in targets {
                    // A full queue loses some.
                    let _ = socket.send_to(packet, target);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    Standing::new((), move || format!("{} first packets", sent.load(Ordering::Relaxed)))
}

/// The same names and sizes without ids: who wants them has to ask for the hashing, which goes on for ever.
fn unhashed(target: &Target) -> Standing {
    let liars = ["small.bin", "large.bin"].map(|name| {
        let (path, size) = (SafePath::parse(name).expect("a name"), target.file(name).len() as u64);
        let offer = Offer::file(path, size, None);
        let delta = Delta { add: vec![offer], ..Delta::default() };
        Scripted::announcing_at(target.tracker, &delta, false, Content::file(b""), resolves_trickle())
    });
    let asked = liars.each_ref().map(|liar| Arc::clone(&liar.asked));
    let sum = move || asked.iter().map(|asked| asked.all()).sum::<u32>();
    Standing::new(liars, move || format!("two liars, asked {} times", sum()))
}

fn lan(packets: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Standing {
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&sent);
    let packets = packets.inspect(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    std::thread::spawn(move || multicast::send(Ipv4Addr::new(10, 66, 0, 3), &stop, packets));
    Standing::new((), move || format!("{} datagrams", sent.load(Ordering::Relaxed)))
}

fn flood(target: &Target, rotates: bool, frames: fn(u64) -> Vec<u8>) -> Standing {
    let flooder = Flooder::start(ELSEWHERE, target.share, 10_000, rotates, frames);
    let counts = flooder.counts();
    Standing::new(flooder, move || {
        let (sent, joined, refused) = counts.told();
        format!("{sent} frames, neighbour {joined} times, refused {refused} times")
    })
}

/// An attack that says that it begins, and then does it.
macro_rules! attack {
    ($name:literal, $what:literal, $place:ident, $target:ident => $start:expr) => {
        Attack {
            name: $name,
            what: $what,
            place: Place::$place,
            start: |$target, begun| {
                begun("it begins");
                $start
            },
        }
    };
}

/// All of them.
pub(crate) const ATTACKS: &[Attack] = &[
    attack!("unread", "48 nodes × 12 Fetches that nobody reads", Plain, t => t.readers(48, Taking::Nothing)),
    attack!("odd", "12 nodes × 12 Fetches, closed after 30 ms, again and again", Plain, t => t.readers(12, Taking::Gone(30))),
    attack!("stopped", "12 nodes × 12 Fetches, stopped at once, again and again", Plain, t => t.readers(12, Taking::Stopped)),
    attack!("slow", "24 nodes × 12 Fetches read at 1 KiB/s", Plain, t => t.readers(24, Taking::Slowly(1024))),
    attack!("half", "5 bytes of a request on 32 × 64 streams, again when they are given up", Plain, t => {
        kept(t, 32, STREAMS, Windows::Open, &[0, 0, 255, 255, 0x81], NEVER)
    }),
    attack!("trickle", "requests of 64 KiB on 8 × 64 streams, a byte a second", Plain, t => {
        kept(t, 8, STREAMS, Windows::Open, &[0, 0, 255, 255, 0x81], Duration::from_secs(1))
    }),
    attack!("lasting", "256 × 64 Follows, Watches", Plain, t => {
        let much = t.much();
        let crowds = t.crowds(256, Windows::Open);
        for (crowd, what) in crowds.iter().zip(["Follow", "Watch"]) {
            crowd.keep(STREAMS, &about(what, &much.id, much.size.into()), NEVER);
        }
        streams(crowds.into())
    }),
    attack!("announce", "40 × 64 Announces, one byte of a page each", Plain, t => {
        kept(t, 40, STREAMS, Windows::Open, &claimed(1), NEVER)
    }),
    attack!("searches", "32 × 64 Searches that nobody reads, windows closed", LongNames, t => {
        kept(t, 32, STREAMS, Windows::Closed, &search("f"), NEVER)
    }),
    attack!("narrow", "32 × 64 Searches that nobody reads, windows of 1 KB", LongNames, t => {
        kept(t, 32, STREAMS, Windows::Narrow, &search("f"), NEVER)
    }),
    attack!("reset", "8 nodes that open streams and reset them", Plain, t => storm(t, 0)),
    attack!("ask-stop", "8 nodes that search and stop the answer", Plain, t => storm(t, 1)),
    attack!("ask-long", "the same, of long answers", LongNames, t => storm(t, 1)),
    attack!("watch-reset", "8 nodes that ask for Watches and reset them", Plain, t => storm(t, 2)),
    attack!("come-go", "connections that come and go", Plain, t => {
        let crowds = t.crowds(1, Windows::Open);
        for (crowd, (addr, _)) in crowds.iter().zip([t.tracker, t.share]) {
            (0..8).for_each(|_| crowd.come_and_go(&addr.to_string()));
        }
        streams(crowds.into())
    }),
    attack!("go-asking", "15 nodes that ask 40 things on a fresh connection and close it", Plain, t => {
        t.vanishing((15, |_| ELSEWHERE.into()), (Goes::Closing, Duration::ZERO))
    }),
    attack!("vanish", "the same, silent from one moment to the next", Plain, t => {
        t.vanishing((15, |_| ELSEWHERE.into()), (Goes::Silently, Duration::ZERO))
    }),
    attack!("vanish-many", "120 nodes of as many addresses that ask 40 things and vanish, 30 in a second", Plain, t => {
        t.vanishing((120, |n| Ipv4Addr::new(127, 0, 3, n + 1)), (Goes::Silently, Duration::from_secs(4)))
    }),
    attack!("handshakes", "first packets of handshakes from many addresses", Plain, t => half_handshakes(t)),
    attack!("words", "a neighbour that asks 10,000 times a second", Plain, t => flood(t, false, |n| query(n, 7, "e"))),
    attack!("rotates", "the same, another one whenever it is thrown out", Plain, t => flood(t, true, |n| query(n, 7, "e"))),
    attack!("lists", "liars beside the share whose lists trickle", Plain, t => t.beside(false, lists_trickle)),
    attack!("units", "liars beside the share whose units trickle", Plain, t => t.beside(false, |_| units_trickle())),
    attack!("manifests", "liars beside the share whose lists of collections trickle", Trees, t => {
        t.beside(true, |_| manifests_trickle())
    }),
    attack!("resolves", "liars beside the share that hash for ever", Plain, t => unhashed(t)),
    Attack {
        name: "victims",
        what: "a tracker that tells of 50 providers at one victim",
        place: Place::Plain,
        start: victims,
    },
    attack!("lan", "announcements of nodes that are not there, on the LAN", Lan, _t => lan((0..).map(multicast::fakes))),
    attack!("lan-broken", "broken packets on the LAN", Lan, _t => lan((0..).map(multicast::broken))),
];
