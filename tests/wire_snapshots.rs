//! One example of every frame: `docs/protocol.md` shows its bytes, and this test holds them to what the codec makes.
//! After a wanted change of the wire, `QSHARE_PRINT_FRAMES=1 cargo test --test wire_snapshots -- --nocapture` prints
//! the new blocks.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;

use qshare::model::{
    Content, ContentId, Epoch, Hit, Kind, Modified, NodeId, Offer, Provider, PutId, QueryId, SafePath,
};
use qshare::wire::control::*;
use qshare::wire::limits::{
    CONTROL, DEPTH, ENTRIES, FETCH_RANGES, FETCH_UNITS, FOUND, HAVE_RANGES, HITS, LEFT_OUT, PAGE, PUT_ITEMS, PUT_NAMES,
    PUT_RECEIVERS, PUT_TEXT, VERSION,
};
use qshare::wire::names::names_of;
use qshare::wire::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

const PROTOCOL: &str = include_str!("../docs/protocol.md");

/// Frames by the name under which the document shows them.
#[derive(Default)]
struct Examples(BTreeMap<&'static str, Vec<u8>>);

impl Examples {
    fn add<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &'static str, message: T) {
        let frame = encode(&message, PAGE).expect(name);
        assert_eq!(decode::<T>(&frame[4..]).expect(name), message, "{name}");
        assert!(self.0.insert(name, frame).is_none(), "{name} twice");
    }

    fn request(&mut self, name: &'static str, request: Request) {
        let Ok(text) = serde_json::to_value(&request) else { panic!("{name}") };
        assert_eq!(text.as_object().expect(name).keys().collect::<Vec<_>>(), [name]);
        self.add(name, request);
    }
}

fn content() -> ContentId {
    ContentId::from_bytes([0xc1; 32])
}

fn node() -> NodeId {
    NodeId::from_bytes([0xa0; 32])
}

fn addr() -> SocketAddr {
    "10.0.0.7:4917".parse().expect("addr")
}

fn path() -> SafePath {
    SafePath::parse("docs/a.txt").expect("path")
}

fn offer() -> Offer {
    Offer { modified: Modified::new(1_795_996_800), ..Offer::file(path(), 300_000, Some(content())) }
}

fn provider() -> Provider {
    Provider { node: node(), addrs: vec![addr()] }
}

fn hit() -> Hit {
    Hit { providers: vec![provider()], ..offer().into() }
}

fn about() -> About {
    About { candidates: vec![addr()], offers: 2, version: VERSION }
}

fn put() -> Put {
    let name = SafePath::parse("a.txt").expect("a name");
    let item = PutItem { name, id: content(), kind: Kind::File, size: 300_000, files: 1, executable: false };
    let put = PutId::from_bytes([0x5d; 16]);
    Put { put, items: vec![item], text: "for you".to_owned(), receivers: vec![provider()] }
}

fn requests(to: &mut Examples) {
    let (id, kind, size, epoch) = (content(), Kind::File, 300_000, Epoch(7));
    let candidates = vec![addr()];
    to.request("Announce", Request::Announce(Announce { epoch, seq: 1, full: true, candidates, port: 4917 }));
    to.request("Bench", Request::Bench(Bench { bytes: 1 << 30, download: true, file: false }));
    to.request("Clock", Request::Clock(Clock {}));
    to.request("Fetch", Request::Fetch(Fetch { id, size, units: vec![(0, 2)], max: 2 }));
    to.request("FilesOf", Request::FilesOf(FilesOf { node: Some(node()), after: Some(path()) }));
    to.request("Follow", Request::Follow(Content { id, kind, size }));
    to.request("Join", Request::Join(Join { visiting: false, about: about() }));
    to.request("List", Request::List(List { id, size, unit: 0 }));
    to.request("Locate", Request::Locate(Locate { id }));
    to.request("Manifest", Request::Manifest(Manifest { id }));
    to.request("Peers", Request::Peers(Peers { after: None }));
    to.request("Put", Request::Put(put()));
    to.request("Renew", Request::Renew(Renew { epoch, seq: 1 }));
    to.request("Resolve", Request::Resolve(Resolve { name: path() }));
    to.request("Search", Request::Search(Search { words: vec!["a.txt".into()], limit: 50, ..Search::default() }));
    to.request("Times", Request::Times(Times { id, size }));
    to.request("Watch", Request::Watch(Watch { id, size }));
    to.request("Withdraw", Request::Withdraw(Withdraw { epoch }));
}

/// What commands ask of the running node of their home: these bytes are kept for ever.
fn control(to: &mut Examples) {
    to.add("Control::Hello", Control::Hello(Hello {}));
    to.add("Control::Status", Control::Status(AskStatus {}));
    to.add("Control::Stop", Control::Stop(Stop {}));
    to.add("Stopping", Answer::Ok(Stopping {}));
    let version = "0.1.0".to_owned();
    let running = Running { version, control: 1, pid: 7, node: node(), lan: true, only_peers: false };
    to.add("Running", Answer::Ok(running.clone()));
    let name = || "a.txt".to_owned();
    let status = ControlStatus {
        running,
        up_ms: 1500,
        addrs: vec![OwnAddress { addr: addr(), answers: Some(true) }],
        trackers: vec![TrackerState { tracker: "h:4917".to_owned(), offers: Some(2), partly: false }],
        neighbours: vec![NeighbourState { node: node(), addr: addr(), offers: 2, rtt_us: 300 }],
        friends: vec![FriendState { name: "anna".to_owned(), node: node(), linked: true }],
        offers: 2,
        all_offers: 3,
        jobs: vec![JobState { id: 1, name: name(), state: "fetching".to_owned(), have: 1, total: 2 }],
        uploads: vec![UploadState { node: node(), name: name(), bytes: 1, size: 2, rate: 3 }],
        uploads_ended: 4,
        uploaded: 5,
        memory: 6,
        budgets: vec![Budget { name: "uploads".to_owned(), used: 1, of: 1024 }],
        refused: 0,
    };
    to.add("ControlStatus", Answer::Ok(status));
}

fn answers(to: &mut Examples) {
    let reachable = vec![addr()];
    let announced = Announced { taken: 2, refused: 0, lease_ms: 60_000, reachable: reachable.clone() };
    to.add("About", Answer::Ok(about()));
    to.add("Announced", Answer::Ok(announced));
    to.add("ClockNow", Answer::Ok(ClockNow { unix_ms: 1_795_316_400_000 }));
    to.add("HitPage", Answer::Ok(HitPage { hits: vec![hit()], more: 0 }));
    to.add("ListHead", Answer::Ok(ListHead { chunks: 2 }));
    let left_out = LeftOut { files: vec![LeftOutFile { path: path(), why: Code::Changed }], more: 0 };
    to.add("ManifestHead", Answer::Ok(ManifestHead { len: 4096, left_out }));
    to.add("OfferPage", Answer::Ok(OfferPage { offers: vec![offer()], more: true }));
    let peer = Peer { node: node(), addrs: vec![addr()], offers: 2 };
    to.add("PeerPage", Answer::Ok(PeerPage { peers: vec![peer], more: false }));
    to.add("Refusal", Answer::<()>::Err(Refusal { code: Code::Busy, retry_ms: 700 }));
    to.add("Renewed", Answer::Ok(Renewed { known: true, reachable, held: Some(2), room: 199_998 }));
    to.add("TimesHead", Answer::Ok(TimesHead { count: 1 }));
    to.add("Unit", Answer::Ok(()));
}

fn events(to: &mut Examples) {
    let part = Content { id: content(), kind: Kind::File, size: 300_000 };
    to.add("BenchEnd", BenchEnd { cpu_us: 250_000, mtu: 1452, sent: 5000, lost: 3, memory: 40 << 20 });
    to.add("Delta", Delta { add: vec![offer()], remove: vec![path()], join: vec![part], leave: vec![] });
    to.add("FollowEvent", FollowEvent { joined: vec![provider()], left: vec![] });
    to.add(
        "HaveEvent",
        HaveEvent {
            units: vec![(0, 2)],
            complete: false,
            fetching: 1,
            gone: false,
            changed: vec![(2, 1)],
            executable: true,
        },
    );
    let id = QueryId::from_bytes([0x9d; 16]);
    let words = Sought::Words(vec!["a.txt".into()]);
    let seen = Seen { node: node(), addrs: vec![addr()], offers: 2, by: node() };
    to.add("NeighbourFrame::About", NeighbourFrame::About(about()));
    to.add("NeighbourFrame::Done", NeighbourFrame::Done(id));
    to.add("NeighbourFrame::Found", NeighbourFrame::Found(QueryHits { id, hits: vec![hit()], nodes: vec![seen] }));
    to.add("NeighbourFrame::Query", NeighbourFrame::Query(FloodQuery { id, ttl: 2, what: words }));
    to.add("PutEvent::Declined", PutEvent::Declined);
    to.add("PutEvent::Done", PutEvent::Done);
    to.add("PutEvent::Have", PutEvent::Have(65_536));
    to.add("PutEvent::Waiting", PutEvent::Waiting);
    to.add("ResolveEvent::Done", ResolveEvent::Done(offer()));
    to.add("ResolveEvent::Failed", ResolveEvent::Failed(Refusal::from(Code::Changed)));
    to.add("ResolveEvent::Hashing", ResolveEvent::Hashing(65_536, 300_000));
    to.add("Welcome", Welcome { version: VERSION, role: Role::Tracker, observed: addr() });
}

/// The `hex` block below each third-level heading of the document.
fn documented() -> BTreeMap<&'static str, Vec<u8>> {
    let sections = PROTOCOL.split("\n### ").skip(1);
    let blocks = sections.filter_map(|section| {
        let name = section.lines().next()?.trim();
        let (_, block) = section.split_once("```hex\n")?;
        let (block, _) = block.split_once("```")?;
        let digits: String = block.split_whitespace().collect();
        Some((name, data_encoding::HEXLOWER.decode(digits.as_bytes()).expect(name)))
    });
    blocks.collect()
}

fn block(frame: &[u8]) -> String {
    let bytes = |row: &[u8]| row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    frame.chunks(24).map(|row| bytes(row) + "\n").collect()
}

#[test]
fn the_document_shows_the_bytes_of_every_frame() {
    let mut examples = Examples::default();
    requests(&mut examples);
    answers(&mut examples);
    control(&mut examples);
    events(&mut examples);
    if std::env::var_os("QSHARE_PRINT_FRAMES").is_some() {
        for (name, frame) in &examples.0 {
            println!("### {name}\n```hex\n{}```", block(frame));
        }
    }
    for tag in names_of::<Request>() {
        assert!(examples.0.contains_key(*tag), "no example of {tag}");
    }
    let documented = documented();
    for (name, frame) in &examples.0 {
        assert_eq!(documented.get(name), Some(frame), "{name} should be\n{}", block(frame));
    }
    let unknown: Vec<_> = documented.keys().filter(|name| !examples.0.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "the document shows frames that do not exist: {unknown:?}");
}

#[test]
fn the_document_tells_the_codes_and_limits() {
    for number in 0..14u32 {
        let code = Code::from(number);
        let row = format!("| {number} | {code:?} |");
        assert!(PROTOCOL.contains(&row), "no row {row}");
    }
    for (name, limit) in [
        ("control frame", CONTROL),
        ("page", PAGE),
        ("depth", DEPTH),
        ("ranges in Fetch", FETCH_RANGES),
        ("units in Fetch", FETCH_UNITS as usize),
        ("ranges in HaveEvent", HAVE_RANGES),
        ("hits in a page", HITS as usize),
        ("hits, and nodes, in Found", FOUND),
        ("names of a hit", Hit::MAX_NAMES),
        ("providers of a hit, nodes that a FollowEvent says to have joined", Hit::MAX_PROVIDERS),
        ("files in ManifestHead `left_out`", LEFT_OUT),
        ("words of a search or query", qshare::model::query::MAX_WORDS),
        ("contents of a Put", PUT_ITEMS),
        ("bytes of their names together", PUT_NAMES),
        ("bytes of its text", PUT_TEXT),
        ("receivers that it names", PUT_RECEIVERS),
        ("entries of any other list of a page", ENTRIES),
    ] {
        let row = format!("| {name} | {limit} |");
        assert!(PROTOCOL.contains(&row), "no row {row}");
    }
}

/// A change of the wire raises the version and has a row; what comes unasked says since when it is known.
#[test]
fn the_document_tells_the_versions() {
    let (_, versions) = PROTOCOL.split_once("## Versions").expect("a section");
    let (versions, _) = versions.split_once("\n## ").expect("its end");
    let rows: Vec<Vec<&str>> = versions.lines().filter_map(|line| line.strip_prefix("| ")).map(cells).collect();
    let numbers: Vec<u16> = rows.iter().filter_map(|row| row[0].parse().ok()).collect();
    assert_eq!(numbers, (1..=VERSION).collect::<Vec<_>>());
    let since =
        rows.iter().filter(|row| row[0].parse::<u16>().is_err()).filter_map(|row| Some((row[0], row[1].parse().ok()?)));
    assert_eq!(since.collect::<Vec<(&str, u16)>>(), heard::SINCE);
}

fn cells(row: &str) -> Vec<&str> {
    row.trim_end_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn a_request_and_its_answer_fit_in_a_control_frame() {
    let units = vec![(u32::MAX, u32::MAX); FETCH_RANGES];
    let fetch = Request::Fetch(Fetch { id: content(), size: u64::MAX, units, max: u32::MAX });
    assert!(encode(&fetch, CONTROL).is_ok());
    let units = vec![(u32::MAX, u32::MAX); HAVE_RANGES];
    let (complete, fetching, gone) = (true, u32::MAX, true);
    let have = HaveEvent { units: units.clone(), complete, fetching, gone, changed: Vec::new(), executable: true };
    assert!(encode(&have, CONTROL).is_ok());
    let have = HaveEvent { units: Vec::new(), complete, fetching, gone, changed: units, executable: true };
    assert!(encode(&have, CONTROL).is_ok());
    let path = SafePath::parse(&["n".repeat(250).as_str(); 16].join("/")).expect("4015 bytes");
    let files = vec![LeftOutFile { path, why: Code::Other(u32::MAX) }; 8];
    let head = ManifestHead { len: u64::MAX, left_out: LeftOut { files, more: u32::MAX } };
    assert!(encode(&Answer::Ok(head), CONTROL).is_ok());
    let item = PutItem {
        name: SafePath::parse(&"n".repeat(64)).expect("a name"),
        size: u64::MAX,
        files: u32::MAX,
        executable: true,
        ..put().items.remove(0)
    };
    let six = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().expect("an address");
    let receivers = vec![Provider { node: node(), addrs: vec![six; Provider::MAX_ADDRESSES] }; PUT_RECEIVERS];
    let whole = Put { items: vec![item; PUT_ITEMS], text: "x".repeat(PUT_TEXT), receivers, ..put() };
    assert!(encode(&Request::Put(whole), CONTROL).is_ok());
    // What an earlier version says.
    #[derive(Serialize)]
    struct Len {
        len: u64,
    }
    let earlier = encode(&Len { len: 7 }, CONTROL).expect("small");
    assert_eq!(decode(&earlier[4..]), Ok(ManifestHead { len: 7, left_out: LeftOut::default() }));
}
