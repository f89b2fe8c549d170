//! Between versions: peers of the versions before, and of one to come, talk with the newest. They write their own bytes.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use common::own::{Ending, Own, Script, Talk, Value, address, bytes, list, map, number, tagged, text};
use common::scripted::list_of;
use common::{Lab, Node, Process, noise};

/// Three chunks, the last one shorter.
const SIZE: usize = 600_000;
const CHUNK: usize = 256 << 10;

/// What no version has said so far.
fn gossip() -> [Value; 3] {
    let words = tagged("Gossip", list([number(1), text("psst")]));
    [words, text("Gossip"), tagged("Whisper", map([("in", text("an ear")), ("units", Value::Nil)]))]
}

fn welcome(version: u64, role: &str, seen: SocketAddr) -> Value {
    let fields = [("version", number(version)), ("role", text(role)), ("observed", address(seen))];
    // A later one has fields of which nobody knows yet.
    let Value::Map(mut fields) = map(fields) else { panic!("a map") };
    if version > 3 {
        fields.push(("mood".into(), list([Value::Nil])));
    }
    Value::Map(fields)
}

/// A file as one provider has it.
struct File {
    bytes: Vec<u8>,
    id: [u8; 32],
    values: Vec<u8>,
}

impl File {
    fn new() -> Arc<Self> {
        let bytes = noise(3, SIZE);
        let list = list_of(&bytes);
        Arc::new(Self { id: *list.id().as_bytes(), values: list.as_bytes().to_vec(), bytes })
    }

    /// The hit for it: as version 1 says it, with or without an id, of these providers.
    fn hit(&self, with_id: bool, providers: Vec<Value>) -> Value {
        let id = if with_id { bytes(self.id) } else { Value::Nil };
        let (size, files, names) = (number(SIZE as u64), number(1), list([text("thing.bin")]));
        let hit = [("id", id), ("kind", text("file")), ("size", size), ("files", files), ("names", names)];
        let Value::Map(mut hit) = map(hit) else { panic!("a map") };
        hit.push(("providers".into(), Value::List(providers)));
        hit.push(("later".into(), map([("field", Value::Nil)])));
        map([("hits", list([Value::Map(hit)])), ("more", number(0))])
    }

    fn offer(&self) -> Value {
        let (id, size, files) = (bytes(self.id), number(SIZE as u64), number(1));
        map([("name", text("thing.bin")), ("size", size), ("id", id), ("kind", text("file")), ("files", files)])
    }

    /// The units that a Fetch asks for, as records.
    fn records(&self, fetch: &Value) -> Vec<u8> {
        let Some(Value::List(ranges)) = fetch.get("units") else { panic!("{fetch:?}") };
        let number = |range: &Value, at: usize| match range {
            Value::List(pair) => usize::try_from(pair[at].as_number().expect("a number")).expect("small"),
            other => panic!("{other:?}"),
        };
        let units = ranges.iter().flat_map(|range| number(range, 0)..number(range, 0) + number(range, 1));
        units.flat_map(|unit| [&(unit as u32).to_be_bytes()[..], &[0], self.chunk(unit)].concat()).collect()
    }

    fn chunk(&self, unit: usize) -> &[u8] {
        &self.bytes[unit * CHUNK..SIZE.min((unit + 1) * CHUNK)]
    }
}

fn ok(value: Value) -> Vec<u8> {
    tagged("Ok", value).frame()
}

/// Says everything that has no name yet, then this.
async fn after_gossip(talk: &mut Talk, frame: Value) {
    for unknown in gossip() {
        talk.say(&unknown.frame()).await;
    }
    talk.say(&frame.frame()).await;
}

/// Stays until the other side has gone.
async fn stay(talk: Talk) {
    let _ = talk.send.stopped().await;
}

fn script<F>(answer: impl Fn(Value, Talk) -> F + Send + Sync + 'static) -> Script
where
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |request, talk| Box::pin(answer(request, talk)))
}

/// Gives the file; has it hashed first when it is not known by its id. What it has is what `units` says.
fn provider(file: &Arc<File>, hashed: bool, units: u64) -> Script {
    let file = Arc::clone(file);
    script(move |request, mut talk| {
        let file = Arc::clone(&file);
        async move {
            let name = request.tag().to_owned();
            match (name.as_str(), request.get(&name)) {
                ("Locate" | "Search", _) => talk.say(&ok(file.hit(hashed, Vec::new()))).await,
                ("Resolve", _) => {
                    talk.say(&ok(Value::Nil)).await;
                    after_gossip(&mut talk, tagged("Hashing", list([number(5), number(SIZE as u64)]))).await;
                    after_gossip(&mut talk, tagged("Done", file.offer())).await;
                }
                ("Watch", _) => {
                    talk.say(&ok(Value::Nil)).await;
                    let have = list((units > 0).then(|| list([number(0), number(units)])));
                    let have = map([("units", have), ("complete", Value::Flag(false)), ("fetching", number(1))]);
                    after_gossip(&mut talk, have).await;
                    stay(talk).await;
                    return;
                }
                ("List", _) => {
                    talk.say(&ok(map([("chunks", number(3)), ("later", Value::Nil)]))).await;
                    talk.say(&file.values).await;
                    talk.say(file.chunk(2)).await;
                }
                ("Fetch", Some(fetch)) => {
                    talk.say(&ok(Value::Nil)).await;
                    talk.say(&file.records(fetch)).await;
                }
                // A code of which nobody knows, and no time.
                _ => talk.say(&tagged("Err", map([("code", number(4711))])).frame()).await,
            }
            talk.end();
        }
    })
}

#[test]
fn providers_of_earlier_and_later_versions_give_what_the_newest_asks_for() {
    let file = File::new();
    for (version, hashed) in [(1, true), (2, false), (4711, true)] {
        let (lab, peer) = (Lab::new(), Own::new());
        peer.serve(&welcome(version, "node", peer.addr), provider(&file, hashed, 3));
        let ended = Process::start(lab.qshare().args(["get", "thing.bin", "--from", &peer.target])).end();
        assert_eq!(ended.code, Some(0), "version {version}: {ended:#?}");
        assert!(fs::read(lab.path("thing.bin")).expect("published") == file.bytes, "version {version}");
    }
}

#[test]
fn a_code_that_nobody_knows_is_a_refusal_like_others() {
    let (lab, peer) = (Lab::new(), Own::new());
    peer.serve(&welcome(2, "node", peer.addr), provider(&File::new(), true, 3));
    let ended = Process::start(lab.qshare().args(["ls", &peer.target])).end();
    assert_ne!(ended.code, Some(0));
    let told = format!("{}{:?}", ended.stderr, ended.events);
    assert!(told.contains("refused") && !told.contains("wrong message"), "{told}");
}

/// A tracker that answers with one provider, and tells of another one later.
fn tracker(file: &Arc<File>, first: &Own, later: &Own) -> Script {
    let whole = |own: &Own| map([("node", bytes(own.node)), ("addrs", list([address(own.addr)]))]);
    let (file, first, later) = (Arc::clone(file), whole(first), whole(later));
    script(move |request, mut talk| {
        let (file, first, later) = (Arc::clone(&file), first.clone(), later.clone());
        async move {
            match request.tag() {
                "Search" | "Locate" => talk.say(&ok(file.hit(true, vec![first]))).await,
                "Follow" => {
                    talk.say(&ok(Value::Nil)).await;
                    after_gossip(&mut talk, map([("joined", list([later])), ("left", list([]))])).await;
                    stay(talk).await;
                    return;
                }
                "Announce" => {
                    while talk.next().await.is_ok() {}
                    let announced = [("taken", number(0)), ("refused", number(0)), ("lease_ms", number(60_000))];
                    let Value::Map(mut fields) = map(announced) else { panic!("a map") };
                    fields.push(("reachable".into(), list([])));
                    talk.say(&ok(Value::Map(fields))).await;
                }
                _ => talk.say(&tagged("Err", map([("code", number(13))])).frame()).await,
            }
            talk.end();
        }
    })
}

#[test]
fn what_a_tracker_tells_later_is_heard_behind_what_is_not_known() {
    let file = File::new();
    let (lab, empty, full, at) = (Lab::new(), Own::new(), Own::new(), Own::new());
    empty.serve(&welcome(2, "node", empty.addr), provider(&file, true, 0));
    full.serve(&welcome(1, "node", full.addr), provider(&file, true, 3));
    at.serve(&welcome(2, "tracker", at.addr), tracker(&file, &empty, &full));
    let addr = at.addr.to_string();
    let ended = Process::start(lab.qshare().args(["get", "thing.bin", "--tracker", &addr])).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(fs::read(lab.path("thing.bin")).expect("published") == file.bytes);
}

fn query(number: u8, what: Value) -> Value {
    tagged("Query", map([("id", bytes([number; 16])), ("ttl", self::number(1)), ("what", what)]))
}

/// What version 2 says of itself: not its version.
fn about() -> Value {
    map([("candidates", list([])), ("offers", number(0))])
}

/// A share with one file.
fn share(lab: &Lab, arguments: &[&str]) -> Node {
    let path = lab.file("shared/needle.bin", b"needle");
    let mut command = lab.qshare();
    command.args(["share", "--listen", "127.0.0.1:0"]).args(arguments).arg(&path);
    let mut node = lab.start(&mut command);
    node.process.event("offer");
    node
}

/// The next frame that is about this query, and its kind; what the node itself asks is left alone.
async fn about_query(talk: &mut Talk, number: u8) -> String {
    loop {
        let frame = talk.next().await.expect("the stream stands");
        let name = frame.tag().to_owned();
        let id = match name.as_str() {
            "Done" => frame.get("Done"),
            "Found" => frame.get("Found").and_then(|found| found.get("id")),
            _ => None,
        };
        if id == Some(&bytes([number; 16])) {
            return name;
        }
    }
}

/// All that a later version may say, and a query at the end, on one stream.
async fn talks(talk: &mut Talk) {
    after_gossip(talk, query(1, tagged("Regex", text("n.*")))).await;
    assert_eq!(about_query(talk, 1).await, "Done", "what is not known is not looked for");
    after_gossip(talk, query(2, text("Friends"))).await;
    assert_eq!(about_query(talk, 2).await, "Done");
    for number in 3.. {
        after_gossip(talk, query(number, tagged("Words", list([text("needle")])))).await;
        if about_query(talk, number).await == "Found" {
            assert_eq!(about_query(talk, number).await, "Done");
            return;
        }
        // A share that has just begun does not know yet what it has.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[test]
fn a_neighbour_of_version_2_that_dials_is_answered_behind_what_is_not_known() {
    let lab = Lab::new();
    let (node, own) = (share(&lab, &[]), Own::new());
    let (connection, welcome) = own.dial(&node.addr).expect("let in");
    assert!(welcome.get("version").and_then(Value::as_number) >= Some(3), "{welcome:?}");
    let join = tagged("Join", map([("visiting", Value::Flag(false)), ("about", about())]));
    let mut talk = own.open(&connection, &join.frame());
    own.runtime.block_on(async {
        let Ending::Answer(about) = talk.answer().await else { panic!("a neighbour") };
        assert!(
            about.get("version").and_then(Value::as_number) >= Some(3),
            "who was dialled is told it here: {about:?}"
        );
        talks(&mut talk).await;
        // What is known and malformed is another thing.
        talk.say(&tagged("Done", number(5)).frame()).await;
        while talk.next().await.is_ok() {}
    });
}

/// A node of this version that is asked to be a neighbour, and what becomes of it.
fn asked(version: u64, result: Sender<()>) -> Own {
    let own = Own::new();
    let answer = script(move |request, mut talk| {
        let result = result.clone();
        async move {
            if request.tag() == "Join" {
                talk.say(&ok(about())).await;
                talks(&mut talk).await;
                result.send(()).expect("waited for");
                stay(talk).await;
            }
        }
    });
    own.serve(&welcome(version, "node", own.addr), answer);
    own
}

#[test]
fn neighbours_of_versions_1_and_2_that_are_dialled_are_answered_behind_what_is_not_known() {
    for version in [1, 2] {
        let (done, is_done): (Sender<()>, Receiver<()>) = channel();
        let (lab, own) = (Lab::new(), asked(version, done));
        let _node = share(&lab, &["--peer", &own.target]);
        is_done.recv_timeout(common::DEADLINE).expect("all was answered");
    }
}

#[test]
fn who_says_to_be_of_a_version_before_all_frames_is_sent_none() {
    let lab = Lab::new();
    let (node, own) = (share(&lab, &[]), Own::new());
    let (connection, _) = own.dial(&node.addr).expect("let in");
    let Value::Map(mut about) = about() else { panic!("a map") };
    about.push(("version".into(), number(0)));
    let join = tagged("Join", map([("visiting", Value::Flag(false)), ("about", Value::Map(about))]));
    let mut talk = own.open(&connection, &join.frame());
    own.runtime.block_on(async {
        assert!(matches!(talk.answer().await, Ending::Answer(_)));
        talk.say(&query(1, tagged("Words", list([text("needle")]))).frame()).await;
        // The node reads these a second long, so that an answer, were there one, would come before the end.
        for _ in 0..200 {
            talk.say(&text("Gossip").frame()).await;
        }
        talk.say(&tagged("Done", number(5)).frame()).await;
        assert_eq!(talk.next().await, Err(Ending::Ended));
    });
}
