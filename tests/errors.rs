//! Every row of the document's table of errors, by a peer that writes its own bytes: a row without a case here fails.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use common::own::{Ending, Own, Talk, Value, address, bytes, frame, list, map, number, tagged, text};
use common::{Lab, Node, noise, until};
use qshare::io::home::identity::Identity;
use quinn::Connection;
use rustix::process::Signal;

const PROTOCOL: &str = include_str!("../docs/protocol.md");
/// Three chunks.
const BIG: usize = 600_000;
const PAGE: u32 = 1 << 20;
const SEARCH: &str =
    "Search for nothing, for too many words, for one that is too long, for patterns that are too large";

/// The cells of the rows of the table below a heading, without its head.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PROTOCOL.split_once(heading).expect(heading);
    let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
    let lines = lines.skip(1).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

struct Stage {
    lab: Lab,
    _tracker: Node,
    share: Node,
    own: Own,
    to_tracker: Connection,
    to_share: Connection,
    big: [u8; 32],
    small: [u8; 32],
    /// Begun at once, since it takes its time.
    slow: Option<Talk>,
    epoch: u64,
}

impl Stage {
    fn new() -> Self {
        let lab = Lab::new();
        let (big, small) = (noise(14, BIG), b"small");
        let paths = [lab.file("big.bin", &big), lab.file("small.txt", small), lab.file("changing.bin", b"before")];
        let tracker = lab.tracker();
        let share = lab.share(&tracker, &paths.each_ref().map(|path| path.as_path()), &[]);
        let own = Own::new();
        let hello = map([("version", number(3)), ("role", text("node")), ("observed", address(own.addr))]);
        own.serve(&hello, Arc::new(|_, _| Box::pin(std::future::ready(()))));
        let (to_share, welcome) = own.dial(&share.addr).expect("let in");
        assert_eq!(welcome.get("role"), Some(&text("node")));
        let (to_tracker, _) = own.dial(&tracker.addr).expect("let in");
        let slow = Some(own.open(&to_share, &request("Clock").frame()[..3]));
        let [big, small] = [&big[..], small].map(|bytes| *blake3::hash(bytes).as_bytes());
        Self { lab, _tracker: tracker, share, own, to_tracker, to_share, big, small, slow, epoch: 100 }
    }

    fn share(&self, request: &Value) -> Ending {
        self.own.ask(&self.to_share, &request.frame())
    }

    fn tracker(&self, request: &Value) -> Ending {
        self.own.ask(&self.to_tracker, &request.frame())
    }

    fn all(&self, of: fn(&Self, &Value) -> Ending, names: &str) -> Vec<Ending> {
        names.split(", ").map(|name| of(self, &request(name))).collect()
    }

    /// Requests for a content, by name.
    fn contents(&self, names: &str, id: [u8; 32], size: usize) -> Vec<Ending> {
        names.split(", ").map(|name| self.share(&content(name, id, size))).collect()
    }

    fn fetch(&self, units: impl IntoIterator<Item = [u64; 2]>, max: u64) -> Ending {
        let units = list(units.into_iter().map(|range| list(range.map(number))));
        let fetch =
            map([("id", bytes(self.big)), ("size", number(BIG as u64)), ("units", units), ("max", number(max))]);
        self.share(&tagged("Fetch", fetch))
    }

    fn searches(&self, of: fn(&Self, &Value) -> Ending) -> Vec<Ending> {
        let words: [Vec<String>; 4] = [vec![], vec![" ".into()], vec!["w".into(); 17], vec!["w".repeat(256)]];
        let patterns = ["*".repeat(1024), "{a,b}".repeat(9), "?".repeat(255) + " ?"].map(|pattern| vec![pattern]);
        let search = |words: &Vec<String>| {
            let words = list(words.iter().map(|word| text(word)));
            let fields = [("words", words), ("limit", number(1)), ("skip", number(0)), ("glob", Value::Flag(true))];
            of(self, &tagged("Search", map(fields)))
        };
        words.iter().chain(&patterns).map(search).collect()
    }

    /// The head of the next announcement in full.
    fn next(&mut self) -> Value {
        self.epoch += 1;
        announce(self.epoch, 1, true, [], self.own.addr.port())
    }

    /// Announces in full to the end.
    fn announces(&mut self) -> Ending {
        let head = self.next();
        let mut talk = self.own.open(&self.to_tracker, &[head.frame(), delta("whole.bin").frame()].concat());
        talk.end();
        self.own.runtime.block_on(talk.answer())
    }

    /// Refused on the way, by what comes after the head.
    fn page(&mut self, page: &[u8]) -> Ending {
        let head = self.next();
        self.own.ask(&self.to_tracker, &[&head.frame()[..], page].concat())
    }

    fn case(&mut self, to: &str, what: &str) -> Vec<Ending> {
        match (to, what) {
            ("node", what) => self.node(what),
            ("node of another user", "Fetch, List, Times, Watch of a file that it may not read any more") => {
                self.unread()
            }
            (
                "node that serves friends only",
                "any request of a stranger but Join and Put, and Fetch, List, Manifest, Times, Watch of what is given to it by a Put",
            ) => self.stranger(),
            ("tracker", what) => self.at_tracker(what),
            ("tracker with a list of who is served", "a connection of another node: closed") => self.unlisted(),
            ("bench", what) => self.bench(what),
            ("any", "a connection of the node's own id: closed") => self.own_id(),
            ("any", "a connection when the process stops: closed") => self.stops(),
            ("announced node", "the tracker's dial-back, after Welcome: closed") => {
                let Ending::Answer(announced) = self.announces() else { panic!("announced") };
                assert_eq!(announced.get("reachable"), Some(&list([address(self.own.addr)])));
                let closed = || self.own.closed.lock().expect("no panic").last().cloned();
                until("it is dialled back, and that is over", || closed().is_some());
                vec![closed().expect("one")]
            }
            _ => panic!("no case for a row: {to} | {what}"),
        }
    }

    /// None where there can be no other user.
    fn unread(&self) -> Vec<Ending> {
        use std::os::unix::fs::PermissionsExt as _;
        let secret = b"may be read at first";
        let (file, home) = (self.lab.file("secret.bin", secret), self.lab.dir("home-of-nobody"));
        let Some(mut command) = self.lab.qshare_of_nobody(&home) else { return Vec::new() };
        let mut node = self.lab.start(command.args(["share", "--listen", "127.0.0.1:0"]).arg(&file));
        node.process.event_that("offer", |event| event["id"].is_string());
        let (connection, _) = self.own.dial(&node.addr).expect("let in");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("own file");
        let ask = |name: &str| {
            let asked = content(name, *blake3::hash(secret).as_bytes(), secret.len());
            self.own.ask(&connection, &asked.frame())
        };
        until("it is seen", || ask("Times") == Ending::Refused(14));
        ["Fetch", "List", "Times", "Watch"].map(ask).into()
    }

    fn node(&mut self, what: &str) -> Vec<Ending> {
        let short = |bytes: &[u8]| {
            let mut talk = self.own.open(&self.to_share, bytes);
            talk.end();
            self.own.runtime.block_on(talk.answer())
        };
        let raw = |value: &[u8]| self.own.ask(&self.to_share, &frame(value));
        match what {
            "a stream that ends before a request" => vec![short(b"")],
            "a stream that ends within its request" => vec![short(b"\0\0"), short(&request("Clock").frame()[..7])],
            "a request of no bytes, or of more than a control frame" => {
                let large = self.own.ask(&self.to_share, &65_537_u32.to_be_bytes());
                vec![raw(b""), large]
            }
            "a value that is not MessagePack, one with bytes after it, one that nests too deep, a float" => {
                let clock = request("Clock").encode();
                let float = [&b"\x81\xa6Locate\x81\xa2id\xcb"[..], &[0; 8]].concat();
                let deep = [&[0x91; 40][..], b"\xc0"].concat();
                vec![raw(b"\xc1"), raw(&[&clock[..], b"\xc0"].concat()), raw(&deep), raw(&float)]
            }
            "a request of an unknown type" => vec![self.share(&tagged("Gossip", map([]))), self.share(&text("Gossip"))],
            "a known request without one of its fields, or with a number beyond its width" => {
                let words = list([text("a")]);
                let wide = map([("words", words), ("limit", number(1 << 32)), ("skip", number(0))]);
                vec![self.share(&tagged("Locate", map([]))), self.share(&tagged("Search", wide))]
            }
            "a request that is not whole after 10 s" => {
                let mut slow = self.slow.take().expect("one such row");
                vec![self.own.runtime.block_on(slow.answer())]
            }
            "Announce, Bench, Follow, Peers, Renew, Withdraw" => self.all(Self::share, what),
            "FilesOf of another node" => vec![self.share(&files_of(self.own.node))],
            SEARCH => self.searches(Self::share),
            "Resolve of what is not offered: in Failed" => {
                let mut talk = self.own.open(&self.to_share, &request("Resolve").frame());
                assert_eq!(self.own.runtime.block_on(talk.answer()), Ending::Answer(Value::Nil));
                let event = self.own.runtime.block_on(talk.next()).expect("an event");
                let code = event.get("Failed").and_then(|refusal| refusal.get("code")?.as_number());
                vec![Ending::Refused(code.expect("Failed"))]
            }
            "Join of a neighbour" => {
                let mut stays = self.own.open(&self.to_share, &request("Join").frame());
                assert!(matches!(self.own.runtime.block_on(stays.answer()), Ending::Answer(_)));
                vec![self.share(&request("Join"))]
            }
            "Join after misbehaviour" => vec![self.misbehaves()],
            _ if what.starts_with("Put ") => self.puts(what),
            _ if what.starts_with("a neighbour's query") => self.of_neighbours(what),
            _ => self.of_contents(what),
        }
    }

    /// What is offered to the person there.
    fn puts(&self, what: &str) -> Vec<Ending> {
        let put = |number: u8, names: &[&str], words: &str| self.share(&put([number; 16], names, words));
        let of_one = |item: Value| self.share(&put_of([1; 16], list([item]), "", list([])));
        match what {
            "Put of nothing, of a name of two components, of a name that unfinished transfers have, of more than 64 contents, with more than 16 receivers" =>
            {
                let among = list((0..17).map(|number| map([("node", bytes([number; 32])), ("addrs", list([]))])));
                let many = self.share(&put_of([1; 16], list([item("a", "file", 5, 1)]), "", among));
                vec![put(1, &[], ""), put(1, &["a/b"], ""), put(1, &[".qshare-x"], ""), put(1, &["n"; 65], ""), many]
            }
            "Put of a kind that there is not, of a file of none or several files, of a file with an id that none of its size has, of bytes in a collection of no files" =>
            {
                let kinds = [("socket", 5, 1), ("file", 5, 0), ("file", 5, 2), ("file", 0, 1), ("collection", 5, 0)];
                kinds.map(|(kind, size, files)| of_one(item("a", kind, size, files))).to_vec()
            }
            "Put of more names or text than is allowed, of more than 200,000 files in one content, of a file of more bytes than a file may have, of 2^64 bytes or more together" =>
            {
                let long = vec![put(1, &["n".repeat(200).as_str(); 21], ""), put(1, &[], &"x".repeat(4097))];
                let huge = list([item("a", "file", u64::MAX, 1), item("b", "file", 1, 1)]);
                let huge = self.share(&put_of([1; 16], huge, "", list([])));
                let many = [item("a", "collection", 5, 200_001), item("a", "file", u64::MAX, 1)].map(of_one);
                long.into_iter().chain(many).chain([huge]).collect()
            }
            "Put of another thing with an id that was used" => {
                assert!(matches!(put(2, &["a"], ""), Ending::Answer(_)));
                vec![put(2, &["b"], ""), put(2, &["a"], "hello")]
            }
            "Put beside ten of a stranger, 25 of strangers of its network, or a hundred of strangers that wait" => {
                let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
                let all = (3_u8..).zip(&names).map(|(number, name)| put(number, &[name.as_str()], ""));
                let refused: Vec<_> = all.filter(|ending| !matches!(ending, Ending::Answer(_))).collect();
                assert_eq!(refused.len(), 20 - 9, "one was there");
                refused
            }
            _ => panic!("no case for a row: node | {what}"),
        }
    }

    fn of_neighbours(&self, what: &str) -> Vec<Ending> {
        match what {
            "a neighbour's query with a list of more than 16 words, as `Words` and as `Names`: the stream ends" => {
                let words = || list((0..17).map(|_| text("small")));
                self.queries(words, [])
            }
            "a neighbour's query for words that are none: no word, one of more than 255 bytes, more than 16 in one string" =>
            {
                let long = ["w".repeat(256), "w ".repeat(17)];
                let lists = [vec![], vec![long[0].as_str()], vec![long[1].as_str()]];
                lists.iter().flat_map(|words| self.queries(|| list(words.iter().map(|word| text(word))), [])).collect()
            }
            "a neighbour's query for patterns that are too large, as `Names`" => {
                self.queries(|| list([text(&"?".repeat(255)), text("??")]), [("glob", Value::Flag(true))])
            }
            "a neighbour's query for `Names` of which none of the three is true, after what its words find" => {
                vec![self.query(("Names", map([("words", list([text("small")]))])), 1)]
            }
            _ => panic!("no case for a row: node | {what}"),
        }
    }

    fn of_contents(&self, what: &str) -> Vec<Ending> {
        match what {
            "Fetch, List, Manifest, Times, Watch of what is not offered" => {
                self.contents("Fetch, List, Manifest, Times, Watch", [7; 32], BIG)
            }
            "Fetch, List, Times, Watch with another size" => {
                self.contents("Fetch, List, Times, Watch", self.big, BIG - 1)
            }
            "Fetch, List, Times, Watch of a file that has changed" => {
                let id = *blake3::hash(b"before").as_bytes();
                fs::write(self.lab.path("changing.bin"), b"after that").expect("written");
                let refused = || self.contents("Fetch", id, 6) == [Ending::Refused(4)];
                until("the change is seen", refused);
                self.contents("Fetch, List, Times, Watch", id, 6)
            }
            "Fetch of nothing, of units beyond the last, of too many, or with `max` 0" => vec![
                self.fetch([], 1),
                self.fetch([[0, 0]], 1),
                self.fetch([[2, 2]], 1),
                self.fetch([[u64::from(u32::MAX), 2]], 1),
                self.fetch([[0, 1]; 257], 1),
                self.fetch([[0, 1]], 0),
            ],
            "Manifest of a file" => self.contents("Manifest", self.small, 0),
            "List of a unit at which no file of more than one chunk begins" => {
                let list = |id, size: usize, unit| {
                    let list = map([("id", bytes(id)), ("size", number(size as u64)), ("unit", number(unit))]);
                    self.share(&tagged("List", list))
                };
                vec![list(self.big, BIG, 1), list(self.big, BIG, 3), list(self.small, 5, 0)]
            }
            _ => panic!("no case for a row: node | {what}"),
        }
    }

    /// How queries for words end, as `Words` where nothing more is said, and as `Names`.
    fn queries<const N: usize>(&self, words: impl Fn() -> Value, more: [(&str, Value); N]) -> Vec<Ending> {
        let Value::Map(mut names) = map([("words", words())]) else { unreachable!("a map") };
        names.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let plain = (N == 0).then(|| ("Words", words()));
        plain.into_iter().chain([("Names", Value::Map(names))]).map(|what| self.query(what, 0)).collect()
    }

    /// How a query of a neighbour ends, once so many answers have come.
    fn query(&self, (name, what): (&str, Value), answers: usize) -> Ending {
        let other = Own::new();
        let (connection, _) = other.dial(&self.share.addr).expect("let in");
        // As a visitor: those have places enough for all the rows.
        let about = map([("candidates", list([])), ("offers", number(0))]);
        let join = tagged("Join", map([("visiting", Value::Flag(true)), ("about", about)]));
        let mut talk = other.open(&connection, &join.frame());
        assert!(matches!(other.runtime.block_on(talk.answer()), Ending::Answer(_)));
        let query = map([("id", bytes(&other.node[..16])), ("ttl", number(1)), ("what", tagged(name, what))]);
        other.runtime.block_on(async {
            talk.say(&tagged("Query", query).frame()).await;
            let mut found = 0;
            loop {
                let Ok(frame) = talk.next().await else {
                    let code = talk.send.stopped().await.expect("the connection goes on");
                    return Ending::Reset(code.expect("stopped").into_inner());
                };
                match frame.tag() {
                    "Done" if found == answers => return Ending::Answer(frame),
                    "Found" => found += 1,
                    "About" | "Query" => {}
                    _ => panic!("{frame:?} after {found}"),
                }
            }
        })
    }

    /// Answers what nobody asked until it is thrown out, and asks to be let in again.
    fn misbehaves(&self) -> Ending {
        let other = Own::new();
        let (connection, _) = other.dial(&self.share.addr).expect("let in");
        let mut talk = other.open(&connection, &request("Join").frame());
        assert!(matches!(other.runtime.block_on(talk.answer()), Ending::Answer(_)));
        let answers = (0..300_u128).map(|n| tagged("Done", bytes((n << 64 | 14).to_be_bytes())).frame());
        other.runtime.block_on(talk.say(&answers.collect::<Vec<_>>().concat()));
        // What comes first may be a query of another neighbour.
        let ended = std::iter::repeat_with(|| other.runtime.block_on(talk.next())).find_map(Result::err);
        assert_eq!(ended, Some(Ending::Ended), "it is thrown out");
        other.ask(&connection, &request("Join").frame())
    }

    fn stranger(&self) -> Vec<Ending> {
        let file = self.lab.file("secret/diary.txt", b"dear diary");
        let mut command = self.lab.qshare();
        command.args(["share", "--friends-only", "--listen", "127.0.0.1:0"]).arg(&file);
        let node = self.lab.start(&mut command);
        let (connection, _) = self.own.dial(&node.addr).expect("let in");
        let ask = |name: &str| self.own.ask(&connection, &request(name).frame());
        assert!(matches!(ask("Join"), Ending::Answer(_)));
        "Clock, Fetch, FilesOf, List, Locate, Manifest, Peers, Resolve, Search, Times, Watch"
            .split(", ")
            .map(ask)
            .collect()
    }

    fn at_tracker(&mut self, what: &str) -> Vec<Ending> {
        match what {
            "Bench, Fetch, Join, List, Manifest, Put, Resolve, Times, Watch" => self.all(Self::tracker, what),
            "FilesOf of a node that is not known" => vec![self.tracker(&files_of([7; 32]))],
            SEARCH => self.searches(Self::tracker),
            "Announce that continues what is not known, or leaves a gap" => {
                let unknown = self.tracker(&announce(7, 2, false, [], 9));
                assert!(matches!(self.announces(), Ending::Answer(_)));
                vec![unknown, self.tracker(&announce(self.epoch, 3, false, [], 9))]
            }
            "Announce with more candidates than are allowed, or a page that is malformed" => {
                let many = announce(8, 1, true, [(); 5].map(|()| address(self.own.addr)), 9);
                vec![self.tracker(&many), self.page(&tagged("add", number(5)).frame())]
            }
            "Announce with a page that is too large" => vec![self.page(&(PAGE + 1).to_be_bytes())],
            "Announce when another one of the node has begun" => {
                let head = self.next();
                let mut first = self.own.open(&self.to_tracker, &[head.frame(), delta("first.bin").frame()].concat());
                until("the first has begun", || {
                    let Ending::Answer(page) = self.tracker(&files_of(self.own.node)) else { return false };
                    format!("{page:?}").contains("first.bin")
                });
                assert!(matches!(self.announces(), Ending::Answer(_)));
                self.own.runtime.block_on(async {
                    first.say(&delta("late.bin").frame()).await;
                    vec![first.answer().await]
                })
            }
            _ => panic!("no case for a row: tracker | {what}"),
        }
    }

    fn unlisted(&self) -> Vec<Ending> {
        let allowed = self.lab.file("allowed", format!("{}\n", self.share.id).as_bytes());
        let mut command = self.lab.qshare();
        let node = self.lab.start(command.args(["tracker", "--listen", "127.0.0.1:0", "--allow"]).arg(&allowed));
        vec![self.own.dial(&node.addr).expect_err("not let in")]
    }

    fn bench(&self, what: &str) -> Vec<Ending> {
        let mut command = self.lab.qshare();
        command.env("TMPDIR", self.lab.path("nowhere")).args(["bench", "--listen", "127.0.0.1:0"]);
        let node = self.lab.start(&mut command);
        let (connection, _) = self.own.dial(&node.addr).expect("let in");
        let bench = |size: u64, file| {
            let bench = map([("bytes", number(size)), ("download", Value::Flag(true)), ("file", Value::Flag(file))]);
            self.own.open(&connection, &tagged("Bench", bench).frame())
        };
        let answer = |talk: &mut Talk| self.own.runtime.block_on(talk.answer());
        match what {
            "Bench of more than 16 GiB" => vec![answer(&mut bench((16 << 30) + 1, false))],
            "Bench beside another client's" => {
                let mut first = bench(16 << 30, false);
                assert_eq!(answer(&mut first), Ending::Answer(Value::Nil));
                let other = Own::new();
                let (beside, _) = other.dial(&node.addr).expect("let in");
                vec![other.ask(&beside, &request("Bench").frame())]
            }
            "Bench through a file for which there is no place: the second answer" => {
                let mut talk = bench(1 << 20, true);
                assert_eq!(answer(&mut talk), Ending::Answer(Value::Nil));
                vec![answer(&mut talk)]
            }
            _ => panic!("no case for a row: bench | {what}"),
        }
    }

    fn own_id(&self) -> Vec<Ending> {
        let home = self.lab.home();
        let node = self.lab.start(self.lab.qshare_at(&home).args(["tracker", "--listen", "127.0.0.1:0"]));
        let same = Own::of(Identity::load_or_create(&home.join("tracker")).expect("its key"));
        vec![same.dial(&node.addr).expect_err("not let in")]
    }

    fn stops(&self) -> Vec<Ending> {
        let node = self.lab.tracker();
        let (connection, _) = self.own.dial(&node.addr).expect("let in");
        node.process.signal(Signal::TERM);
        vec![common::own::closing(&self.own.runtime.block_on(connection.closed()))]
    }
}

/// A request that is right in itself.
fn request(name: &str) -> Value {
    let about = map([("candidates", list([])), ("offers", number(1))]);
    let body = match name {
        "Announce" => return announce(1, 1, true, [], 9),
        "Bench" => map([("bytes", number(1)), ("download", Value::Flag(true)), ("file", Value::Flag(false))]),
        "Clock" => map([]),
        "FilesOf" => map([("node", Value::Nil), ("after", Value::Nil)]),
        "Join" => map([("visiting", Value::Flag(false)), ("about", about)]),
        "Peers" => map([("after", Value::Nil)]),
        "Renew" => map([("epoch", number(1)), ("seq", number(1))]),
        "Resolve" => map([("name", text("not/there"))]),
        "Search" => return search(list([text("a")])),
        "Put" => return put([1; 16], &["a"], ""),
        "Withdraw" => map([("epoch", number(1))]),
        "Fetch" | "Follow" | "List" | "Locate" | "Manifest" | "Times" | "Watch" => return content(name, [7; 32], 5),
        _ => panic!("{name}"),
    };
    tagged(name, body)
}

fn put(number_of_it: [u8; 16], names: &[&str], words: &str) -> Value {
    put_of(number_of_it, list(names.iter().map(|name| item(name, "file", 5, 1))), words, list([]))
}

fn put_of(number_of_it: [u8; 16], items: Value, words: &str, receivers: Value) -> Value {
    tagged(
        "Put",
        map([("put", bytes(number_of_it)), ("items", items), ("text", text(words)), ("receivers", receivers)]),
    )
}

fn item(name: &str, kind: &str, size: u64, files: u64) -> Value {
    let numbers = [("size", number(size)), ("files", number(files))];
    let [size, files] = numbers;
    map([("name", text(name)), ("id", bytes([7; 32])), ("kind", text(kind)), size, files])
}

fn content(name: &str, id: [u8; 32], size: usize) -> Value {
    let (id, size) = (bytes(id), number(size as u64));
    let units = list([list([number(0), number(1)])]);
    let body = match name {
        "Fetch" => map([("id", id), ("size", size), ("units", units), ("max", number(1))]),
        "Follow" => map([("id", id), ("size", size), ("kind", text("file"))]),
        "List" => map([("id", id), ("size", size), ("unit", number(0))]),
        "Locate" | "Manifest" => map([("id", id)]),
        _ => map([("id", id), ("size", size)]),
    };
    tagged(name, body)
}

fn search(words: Value) -> Value {
    tagged("Search", map([("words", words), ("limit", number(9)), ("skip", number(0))]))
}

fn files_of(node: [u8; 32]) -> Value {
    tagged("FilesOf", map([("node", bytes(node)), ("after", Value::Nil)]))
}

fn announce<const N: usize>(epoch: u64, seq: u64, full: bool, candidates: [Value; N], port: u16) -> Value {
    let (full, candidates, port) = (Value::Flag(full), list(candidates), number(port.into()));
    let (epoch, seq) = (number(epoch), number(seq));
    let head = [("epoch", epoch), ("seq", seq), ("full", full), ("candidates", candidates), ("port", port)];
    tagged("Announce", map(head))
}

fn delta(name: &str) -> Value {
    let (id, size, files) = (bytes([9; 32]), number(5), number(1));
    let offer = [("name", text(name)), ("size", size), ("id", id), ("kind", text("file")), ("files", files)];
    map([("add", list([map(offer)])), ("remove", list([])), ("join", list([])), ("leave", list([]))])
}

#[test]
fn every_row_of_the_errors_is_so() {
    let codes = rows("## Codes");
    let codes: BTreeMap<&str, u64> = codes.iter().map(|row| (row[1], row[0].parse().expect("a number"))).collect();
    let rows = rows("## Errors, case by case");
    assert!(rows.len() > 30, "the table was found");
    let mut stage = Stage::new();
    let mut seen: BTreeMap<&str, usize> = codes.keys().map(|code| (*code, 0)).collect();
    // What takes ten seconds has begun; it is looked at last.
    let (slow, quick): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row[2] == "TimedOut");
    for row in quick.iter().chain(&slow) {
        let (to, what, code) = (row[0], row[1], row[2]);
        let endings = stage.case(to, what);
        assert!(!endings.is_empty() || code == "Unreadable");
        for ending in endings {
            if code == "Done" {
                assert!(matches!(&ending, Ending::Answer(done) if done.tag() == code), "{to} | {what}: {ending:?}");
                continue;
            }
            let (Ending::Refused(number) | Ending::Reset(number) | Ending::Closed(number)) = ending else {
                panic!("{to} | {what}: {ending:?}")
            };
            assert_eq!(number, codes[code], "{to} | {what} | {code}");
        }
        assert!(code == "Done" || seen.contains_key(code), "a code of the table of codes");
        seen.entry(code).and_modify(|count| *count += 1);
    }
    assert!(seen.values().all(|count| *count > 0), "codes without a row: {seen:?}");
}
