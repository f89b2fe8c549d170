use std::time::Duration;

use super::*;
use crate::model::Provider;
use crate::node::{PreviewFile, There};

fn text(line: &Line<'_>) -> String {
    serde_json::to_string(line).expect("JSON")
}

fn id() -> ContentId {
    ContentId::of(b"x")
}

fn node() -> NodeId {
    NodeId::of_public_key(b"n")
}

fn addr() -> SocketAddr {
    "127.0.0.1:4917".parse().expect("an address")
}

fn name(text: &str) -> SafePath {
    SafePath::parse(text).expect("a name")
}

#[test]
fn what_long_running_commands_say() {
    let listening = Line::Listening { addr: addr(), node: node() };
    assert_eq!(text(&listening), format!(r#"{{"event":"listening","addr":"127.0.0.1:4917","node":"{}"}}"#, node()));
    let announced = Line::Announced { tracker: "h:1", offers: 3, hashed: 2 };
    assert_eq!(text(&announced), r#"{"event":"announced","tracker":"h:1","offers":3,"hashed":2}"#);
    let get = paste(id(), node(), addr());
    assert_eq!(get, format!("qshare get {} --from {}@127.0.0.1:4917", id(), node()));
    let offer = Line::Offer { id: id(), name: &name("a/b"), get: get.clone() };
    assert_eq!(text(&offer), format!(r#"{{"event":"offer","id":"{}","name":"a/b","get":"{get}"}}"#, id()));
}

#[test]
fn what_is_fetched_from_here() {
    let name = name("docs/a");
    let upload = Upload {
        number: 1,
        node: node(),
        addr: addr(),
        id: id(),
        name: Some(name),
        size: 7,
        bytes: 5,
        rate: 3,
        elapsed: Duration::from_millis(1500),
    };
    let expected = format!(
        r#"{{"event":"upload","state":"begun","id":"{}","name":"docs/a","node":"{}","friend":null,"addr":"127.0.0.1:4917","bytes":5,"size":7,"seconds":1.5,"whole":false}}"#,
        id(),
        node()
    );
    assert_eq!(text(&Line::Upload(Uploaded::of(UploadState::Begun, &upload, &Names::default()))), expected);
    let whole = Upload { bytes: 7, ..upload };
    let ended = text(&Line::Upload(Uploaded::of(UploadState::Ended, &whole, &Names::default())));
    assert!(ended.contains(r#""state":"ended""#) && ended.ends_with(r#""whole":true}"#), "{ended}");
}

#[test]
fn what_finds_things_says() {
    let provider = Provider { node: node(), addrs: vec![addr()] };
    let names = vec![name("a"), name("b/a")];
    let (kind, providers) = (Kind::Collection, vec![provider]);
    let modified = Modified::new(1_795_996_800);
    let mut hit = Hit { kind, files: 2, modified, names, providers, ..Hit::file(Some(id()), 7) };
    let expected = format!(
        r#"{{"event":"hit","id":"{}","name":"a","names":["a","b/a"],"size":7,"kind":"collection","modified":1795996800,"locked":false,"providers":[{{"node":"{}","addr":"127.0.0.1:4917","whole":null}}],"plane":"tracker"}}"#,
        id(),
        node()
    );
    assert_eq!(text(&Line::hit(&hit, Some(Plane::Tracker))), expected);
    hit.id = None;
    assert!(text(&Line::hit(&hit, None)).starts_with(r#"{"event":"hit","id":null,"#));
    assert_eq!(
        text(&Line::Summary { hits: 1, beyond: Beyond::default() }),
        r#"{"event":"summary","hits":1,"more":0,"at_least":false}"#
    );
    let peer = Peer { node: node(), addrs: vec![addr()], offers: 4 };
    let names = Names::default();
    let peer = Line::Peer(Known::of(&peer, &names));
    let expected = format!(r#"{{"event":"peer","node":"{}","name":null,"addr":"127.0.0.1:4917","offers":4}}"#, node());
    assert_eq!(text(&peer), expected);
}

#[test]
fn what_a_transfer_says() {
    let provider = ProviderProgress { bytes: 5, rate: 6, ..ProviderProgress::new(node(), addr()) };
    let mut progress = Progress { bytes: 1, fetched: 2, total: 3, rate: 4, ..Progress::default() };
    progress.providers.push(provider);
    let expected = format!(
        r#"{{"event":"progress","bytes":1,"fetched":2,"total":3,"rate":4,"providers":[{{"node":"{}","addr":"127.0.0.1:4917","bytes":5,"rate":6,"state":null}}],"hashing":null}}"#,
        node()
    );
    assert_eq!(text(&Line::Progress(Reached::of(&progress))), expected);
    progress.providers[0].why = Some(Why::Hashing(Duration::ZERO));
    progress.hashing = Some(Hashing { done: 7, total: 8, node: Some(node()) });
    let waiting = text(&Line::Progress(Reached::of(&progress)));
    assert!(waiting.contains(r#""rate":6,"state":"hashing"}"#), "{waiting}");
    let hashing = format!(r#""hashing":{{"done":7,"total":8,"node":"{}"}}"#, node());
    assert!(waiting.contains(r#""bytes":1,"#) && waiting.contains(&hashing), "{waiting}");
    assert_eq!(text(&Line::Phase { name: Phase::Looking }), r#"{"event":"phase","name":"looking"}"#);
    let outcome = Outcome {
        id: id(),
        kind: Kind::File,
        name: name("f"),
        path: Some("/d/f".into()),
        bytes: 9,
        fetched: 8,
        part: false,
        copied: 0,
        replaced: 1,
        left: 2,
        elapsed: Duration::from_millis(1500),
        providers: vec![provider],
        plane: Some(Plane::Lan),
        preview: None,
        shares: Vec::new(),
        seeding: false,
        lacks: false,
        waited: Duration::ZERO,
    };
    let expected = format!(
        r#"{{"event":"done","id":"{}","name":"f","path":"/d/f","part":false,"bytes":9,"fetched":8,"replaced":1,"left":2,"lacks":false,"seconds":1.5,"waited":0.0,"providers":[{{"node":"{}","addr":"127.0.0.1:4917","bytes":5}}],"plane":"lan"}}"#,
        id(),
        node()
    );
    assert_eq!(text(&Line::Done(Ended::of(&outcome))), expected);
    let file = PreviewFile { name: name("f"), size: 9, path: Some("/d/f".into()), there: There::Differs };
    let preview =
        Preview { files: vec![file], to_come: 0, kept: 0, force: false, holders: Vec::new(), ..Preview::default() };
    let dry = Outcome { preview: Some(preview), ..outcome };
    let plan = r#""plan":[{"name":"f","size":9,"state":"differs","path":"/d/f"}],"to_come":0,"kept":0,"in_the_way":1,"holders":[],"modified":null,"busy":false}"#;
    assert!(text(&Line::Done(Ended::of(&dry))).ends_with(plan), "{}", text(&Line::Done(Ended::of(&dry))));
}

#[test]
fn what_goes_wrong_is_told_in_a_line() {
    assert_eq!(text(&Line::Warning { message: "a \"b\"" }), r#"{"event":"warning","message":"a \"b\""}"#);
    let near = Suggestion { words: "turing".to_owned(), hits: 7, names: vec![name("a/turing.pdf")] };
    let expected = r#"{"event":"near","words":"turing","hits":7,"names":["a/turing.pdf"]}"#;
    assert_eq!(text(&Line::Near(&near)), expected);
    let error = Line::Error { code: ErrorCode::NotFound, exit: 3, message: "m".to_owned() };
    assert_eq!(text(&error), r#"{"event":"error","code":"not_found","exit":3,"message":"m"}"#);
    let odd = Path::new("a\u{1b}\n");
    assert!(!text(&Line::Hashed { id: id(), path: odd.to_string_lossy() }).contains(['\u{1b}', '\n']));
}
