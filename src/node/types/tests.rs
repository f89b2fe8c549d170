//! What travels between a node and who asks it, there and back as MessagePack.

use std::fmt::Debug;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::*;
use crate::logic::explain::{Cause, Share, Spent, Waits};
use crate::logic::limits::inbox::Inbox;
use crate::logic::transfer::Why;
use crate::model::{Hit, Kind, Modified, Provider, PutId, Query, RateLimit};
use crate::node::{
    BenchReport, BenchRow, Beyond, Check, Counts, Examination, FileCount, JobError, JobState, Past, RootSummary, Seen,
    ShareWish, SurveyOptions, Upload, UploadEvent, Uploads, Verdict, Who,
};
use crate::wire::Put;

fn travels<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let bytes = rmp_serde::to_vec_named(&value).expect("written");
    assert_eq!(rmp_serde::from_slice::<T>(&bytes).expect("read"), value);
}

fn node() -> NodeId {
    NodeId::of_public_key(b"n")
}

fn addr() -> SocketAddr {
    "[2001:db8::1]:4917".parse().expect("an address")
}

fn name() -> SafePath {
    SafePath::parse("docs/a.txt").expect("a name")
}

fn target() -> PeerTarget {
    format!("{}@h:7", node()).parse().expect("a target")
}

fn provider() -> ProviderProgress {
    let (rtt, why) = (Duration::from_nanos(1_234_567), Some(Why::Busy(Duration::from_secs(1))));
    ProviderProgress { bytes: 1, rate: 2, rtt, mtu: 1452, connections: 3, why, ..ProviderProgress::new(node(), addr()) }
}

fn hit() -> FoundHit {
    let providers = vec![Provider { node: node(), addrs: vec![addr()] }];
    let (id, kind, names) = (Some(ContentId::of(b"x")), Kind::Collection, vec![name()]);
    let hit = Hit {
        id,
        kind,
        size: 7,
        files: 2,
        locked: true,
        executable: false,
        modified: Modified::new(1 << 30),
        names,
        providers,
    };
    FoundHit { hit, plane: Plane::Lan }
}

#[test]
fn what_is_asked_of_a_node_travels() {
    let words = Query::parse(&["Été", "notes"]).expect("words");
    travels(words.clone());
    travels(GetRequest::new(What::Id(ContentId::of(b"x"))));
    travels(
        GetRequest::new(What::Words(words))
            .from(PeerRef::Target(target()))
            .only(["*.{rs,toml}", "!target/"].map(|text| text.parse::<Pattern>().expect("a pattern")))
            .output(PathBuf::from("out/"))
            .replace(Replace::Older)
            .times(true)
            .share(ShareBack::Seed)
            .limit(Rate::bytes_per_second(1 << 20))
            .connections(std::num::NonZeroU8::new(3))
            .wait(Duration::from_millis(1500))
            .dry_run(true)
            .umask(0o027)
            .upload_limit(Rate::bytes_per_second(7))
            .choose(ContentId::of(b"y")),
    );
    travels([PeerRef::Id(node()), PeerRef::Name("anna".to_owned()), PeerRef::Target(target())]);
    travels(SurveyOptions {
        named: vec![(name(), "/srv/a".into())],
        exclude: vec!["*.tmp".to_owned()],
        gitignore: true,
        list: Some("list".into()),
        include_secrets: true,
        all: true,
        avoid: vec!["/home".into()],
        may_be_empty: true,
        friends_only: true,
        nodes: [node()].into(),
    });
    travels(PutWish {
        put: PutId::from_bytes([1; 16]),
        paths: vec!["/srv/a".into()],
        options: SurveyOptions::default(),
        text: "for you".to_owned(),
        to: vec![PeerRef::Id(node())],
        wait: Duration::from_secs(1),
        seen: Vec::new(),
        spooled: vec!["/srv/b".into()],
        known_within: Some(Duration::from_secs(5)),
        told: Vec::new(),
        number: Some(3),
        ended: Vec::new(),
    });
    let (limit, trackers, peers) = (Rate::bytes_per_second(7), vec![target()], vec![target()]);
    travels(ShareWish { paths: vec!["/srv/a".into()], keep: true, limit, trackers, peers, ..ShareWish::default() });
    let (lan, wanted) = (Some("/usr/bin/qshare".into()), Some(addr()));
    let near = Near { lan: Some("/usr/bin/qshare".into()), only_peers: true, ttl: Some(3), all_global: false };
    travels(Places { trackers: vec![target()], peers: vec![target()], near, max_files: 7 });
    travels(Examination { trackers: vec![target()], peers: vec![target()], lan, wanted });
}

#[test]
fn what_is_no_request_is_not_read() {
    let none = rmp_serde::to_vec_named(&Vec::<String>::new()).expect("written");
    assert!(rmp_serde::from_slice::<Query>(&none).is_err(), "no word");
    assert!(rmp_serde::from_slice::<Rate>(&rmp_serde::to_vec(&0_u64).expect("written")).is_err(), "no bytes a second");
    let (bytes, text) =
        (rmp_serde::to_vec(&node()).expect("written"), serde_json::to_string(&node()).expect("written"));
    assert_eq!((bytes.len(), &*text), (2 + 32, &*format!("\"{}\"", node())), "text is for people");
    assert_eq!(serde_json::from_str::<NodeId>(&text).expect("read"), node());
}

#[test]
fn what_a_node_reports_travels() {
    travels(Event::Allowed { nodes: 3 });
    travels(Event::Announced(Acknowledged {
        tracker: "h:1".to_owned(),
        offers: 3,
        hashed: 2,
        refused: 1,
        reachable: true,
        reached: vec![addr()],
    }));
    travels(Event::Hashing { done: 1, total: 2 });
    travels(Event::Offer { id: ContentId::of(b"x"), name: name(), node: node(), addr: addr() });
    let put = Put { put: PutId::from_bytes([1; 16]), items: Vec::new(), text: "hi".to_owned(), receivers: Vec::new() };
    let (mut inbox, since) = (Inbox::default(), Duration::from_secs(1));
    let who = crate::logic::limits::shares::Who { peer: node(), network: addr().ip(), friend: true };
    assert!(inbox.offer(who, put, since).is_ok());
    let row = |(number, entry): (u32, &crate::node::Entry)| InboxRow {
        number,
        entry: entry.clone(),
        trouble: None,
        away: false,
    };
    inbox.entries().map(row).for_each(|row| travels(Event::Inbox(Box::new(row))));
    travels(inbox);
    travels(Event::Job(Box::new(job())));
    travels(Event::Put(Box::new(PutProgress { number: Some(3), ..Default::default() })));
    travels(Event::Notice(LookNotice::WrongList { node: node(), id: ContentId::of(b"x") }.into()));
    let upload = Upload {
        number: 1,
        node: node(),
        addr: addr(),
        id: ContentId::of(b"x"),
        name: Some(name()),
        size: 7,
        bytes: 5,
        rate: 3,
        elapsed: Duration::from_millis(1500),
    };
    travels([UploadEvent::Begun(upload.clone()), UploadEvent::Ended(upload.clone())].map(Event::Upload));
    let recent = vec![Past { upload: upload.clone(), ago: Duration::from_secs(1) }];
    travels(Uploads { under_way: vec![upload], recent, ended: 2, bytes: 9, nodes: 1 });
    travels(Check { name: "home".into(), verdict: Verdict::Doubtful, seen: Seen::NoTracker });
    let (up, down) = (Rate::bytes_per_second(7), None);
    travels(Rates { up, down });
    travels(RateChange { up: up.map(RateLimit::At), down: Some(RateLimit::Unlimited) });
    travels(job());
}

fn job() -> JobRow {
    JobRow {
        id: 3.into(),
        what: What::Id(ContentId::of(b"x")),
        name: Some(name()),
        given: false,
        output: Some("/srv/in/".into()),
        state: JobState::Failed,
        halting: false,
        bytes: 1,
        total: 2,
        rate: 3,
        limit: Rate::bytes_per_second(5),
        providers: 4,
        error: Some(Error::Job(JobError::Full)),
        again: Some(Duration::from_secs(5)),
    }
}

#[test]
fn the_progress_of_a_transfer_travels() {
    travels(Progress {
        id: Some(ContentId::of(b"x")),
        phase: Phase::Hashing,
        name: Some(name()),
        plane: Some(Plane::Tracker),
        bytes: 1,
        fetched: 2,
        copied: 3,
        total: 4,
        rate: 5,
        providers: vec![provider()],
        hashing: Some(Hashing { done: 1, total: 2, node: Some(node()) }),
        spent: Spent {
            looking: Duration::from_nanos(1),
            streams: vec![(node(), Waits::default())],
            ..Spent::default()
        },
        stuck: true,
        gives_up: Some(Duration::from_secs(5)),
        files: FileCount { whole: 1, all: 2 },
    });
}

#[test]
fn what_a_node_answers_travels() {
    let peer = Peer { node: node(), addrs: vec![addr()], offers: 9 };
    let beyond = Beyond { more: 1, at_least: true };
    let asked = Whom { places: vec![Who::tracker("h:1")], near: Some(2), unfinished: true };
    travels(Hits { hits: vec![hit()], beyond, warnings: Vec::new(), asked });
    travels(PeerRow { peer: peer.clone(), plane: Plane::Neighbours });
    let direct = Direct { direction: Direction::Given, rtt: Duration::from_nanos(7), since: Duration::from_secs(3) };
    travels(NearRow { peer, direct: Some(direct), by: Some(node()) });
    travels(Counts { handled: 1, duplicates: 2, sent: 3, unknown: 4 });
    travels(RootSummary { name: name(), path: "/srv/a".into(), kind: Kind::File, files: 1, bytes: 2 });
    let file = |there| PreviewFile { name: name(), size: 1, there, path: Some("out/a".into()) };
    let holder = |has| Holder { node: node(), addrs: vec![addr()], has };
    let preview = Preview {
        files: [There::Blocked, There::Differs, There::New, There::Same].map(file).into(),
        to_come: 1,
        kept: 2,
        force: true,
        holders: [Has::Parts(Some(1)), Has::Parts(None), Has::Unknown, Has::Whole].map(holder).into(),
        modified: Modified::new(1 << 30),
        busy: Some(Busy { pid: Some(1), have: 2 }),
    };
    let share = |cause| Share { cause, time: Duration::from_nanos(5), permille: 500 };
    travels(Outcome {
        id: ContentId::of(b"x"),
        kind: Kind::File,
        name: name(),
        path: Some("out/a".into()),
        bytes: 1,
        fetched: 2,
        part: true,
        copied: 3,
        replaced: 4,
        left: 5,
        elapsed: Duration::from_nanos(4),
        providers: vec![provider()],
        plane: Some(Plane::Peer),
        preview: Some(preview),
        shares: vec![share(Cause::Provider(node())), share(Cause::NoProvider)],
        seeding: true,
        lacks: true,
        waited: Duration::from_secs(6),
    });
    let row = BenchRow {
        file: true,
        download: false,
        bytes: 1,
        elapsed: Duration::from_nanos(2),
        cpu_here: Duration::from_nanos(3),
        cpu_there: Duration::from_nanos(4),
        rtt: Duration::from_nanos(5),
        mtu: 1452,
        sent: 6,
        lost: 7,
        memory_here: 8,
        memory_there: 9,
    };
    travels(BenchReport { node: node(), rtt: Duration::from_nanos(1), rows: vec![row] });
}

#[test]
fn a_peer_is_named_in_four_ways() {
    let id = NodeId::of_public_key(b"k");
    assert_eq!(id.to_string().parse(), Ok(PeerRef::Id(id)));
    assert_eq!(id.short().parse(), Ok(PeerRef::Name(id.short())));
    assert_eq!("anna".parse(), Ok(PeerRef::Name("anna".to_owned())));
    assert!(is_prefix(&id.short()) && !is_prefix("anna") && !is_prefix("abcdefg1") && !is_prefix(&id.to_string()));
    let target = format!("{id}@[::1]:4917");
    assert_eq!(target.parse::<PeerRef>().expect("target").to_string(), target);
    let host = format!("{id}@host").parse::<PeerRef>().expect("target").to_string();
    assert_eq!(host, format!("{id}@host:4918"), "a node's port");
    for wrong in ["", "a b", "host:", "-x", &"a".repeat(65), &format!("{id}@")] {
        assert!(wrong.parse::<PeerRef>().is_err(), "{wrong}");
    }
}
