//! Several things claimed of one id: sizes and kinds are claims, and those of many liars are worth no more than the one
//! that is proven. The liars' words are a made-up tracker's; who has the content shares it honestly.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::claims::{Bytes, FakeTracker, hit_of, page};
use common::{Ended, Lab, Node, Process, noise};
use qshare::model::{ContentId, NodeId};

/// False sizes.
const LIES: u64 = 20;
/// Those of a look who answer late still count.
const LATE: Duration = Duration::from_secs(1);

/// An honest node, another one that has nothing of this, and what is true of a content of the first.
struct Claims {
    lab: Lab,
    _nodes: [Node; 3],
    honest: ([u8; 32], Vec<SocketAddr>),
    without: Vec<SocketAddr>,
    id: ContentId,
    kind: String,
    size: u64,
}

impl Claims {
    /// Of the file `real.bin`, or the directory `real`.
    fn of(kind: &str) -> Self {
        let lab = Lab::new();
        let file = lab.file("shared/real/real.bin", &noise(5, 700_000));
        let path = if kind == "file" { file } else { file.parent().expect("one").to_owned() };
        let tracker = lab.tracker();
        let share = lab.share(&tracker, &[&path], &[]);
        let other = lab.share(&tracker, &[&lab.file("other.bin", b"other")], &[]);
        let found = Process::start(lab.qshare().args(["search", "real", "--tracker", &tracker.addr])).end();
        let hit = found.events.iter().find(|event| event["event"] == "hit" && event["kind"] == kind);
        let hit = hit.unwrap_or_else(|| panic!("{found:#?}"));
        let id = hit["id"].as_str().expect("hashed").parse().expect("an id");
        let size = hit["size"].as_u64().expect("a size");
        let addr = |node: &Node| vec![node.addr.parse().expect("an address")];
        let node: NodeId = share.id.parse().expect("a node");
        let (honest, without) = ((*node.as_bytes(), addr(&share)), addr(&other));
        Self { honest, without, id, kind: kind.to_owned(), size, _nodes: [tracker, share, other], lab }
    }

    fn truth(&self) -> Bytes {
        hit_of(&self.kind, self.id, self.size, &["real".to_owned()], std::slice::from_ref(&self.honest))
    }

    /// A claim of two nodes that cannot prove it.
    fn lie(&self, kind: &str, size: u64) -> Bytes {
        let liars = [size, size + 100].map(|n| ([u8::try_from(n % 251).expect("small"); 32], self.without.clone()));
        hit_of(kind, self.id, size, &[format!("lie {size}")], &liars)
    }

    /// Sizes that are not true, each with more providers than the true one.
    fn lies(&self) -> Vec<Bytes> {
        (0..LIES).map(|n| self.lie(&self.kind, self.size + n - LIES / 2 + u64::from(n >= LIES / 2))).collect()
    }

    fn get(&self, trackers: &[&FakeTracker], what: &str) -> Ended {
        let mut command = self.lab.qshare();
        for tracker in trackers {
            command.args(["--tracker", &tracker.addr.to_string()]);
        }
        Process::start(command.args(["get", what, "-o", "got/", "--wait", "60s"])).end()
    }

    /// It arrives, under the name that is told with what is true.
    fn arrives(&self, ended: &Ended) {
        let done = ended.done();
        assert_eq!((done["id"].as_str(), done["name"].as_str()), (Some(&*self.id.to_string()), Some("real")), "{done}");
        let got = self.lab.path("got/real");
        let file = if self.kind == "file" { got.clone() } else { got.join("real.bin") };
        assert!(std::fs::read(file).expect("published") == noise(5, 700_000));
        std::fs::rename(got, self.lab.path(&format!("was-{}", rand::random::<u64>()))).expect("moved");
    }
}

#[test]
fn many_false_sizes_do_not_push_out_the_true_one() {
    for kind in ["file", "collection"] {
        let claims = Claims::of(kind);
        let mut hits = claims.lies();
        hits.push(claims.truth());
        let tracker = FakeTracker::of(&hits);
        let id = claims.id.to_string();
        for what in [&*id, &id[..12]] {
            claims.arrives(&claims.get(&[&tracker], what));
        }
    }
}

#[test]
fn a_false_kind_does_not_push_out_the_true_one() {
    for (kind, other) in [("file", "collection"), ("collection", "file")] {
        let claims = Claims::of(kind);
        let tracker = FakeTracker::of(&[claims.lie(other, claims.size), claims.truth()]);
        claims.arrives(&claims.get(&[&tracker], &claims.id.to_string()));
        let listed = Process::start(
            claims.lab.qshare().args(["ls", &claims.id.to_string()]).args(["--tracker", &tracker.addr.to_string()]),
        );
        assert_eq!(listed.end().code, Some(i32::from(kind == "file")), "{kind}");
    }
}

#[test]
fn what_only_liars_tell_at_first_is_corrected_by_who_answers_later() {
    for (kind, other) in
        [("file", "file"), ("collection", "collection"), ("file", "collection"), ("collection", "file")]
    {
        let claims = Claims::of(kind);
        let liar = FakeTracker::of(&[claims.lie(other, 77)]);
        let late = FakeTracker::start_late(page(&[claims.truth()]), Vec::new(), LATE);
        claims.arrives(&claims.get(&[&liar, &late], &claims.id.to_string()));
    }
}
