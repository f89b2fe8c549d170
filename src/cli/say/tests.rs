use std::time::Duration;

use super::*;
use crate::actors::announcer::AnnouncerNotice;
use crate::actors::download::DownloadNotice;
use crate::actors::index::IndexNotice;
use crate::actors::neighbours::NeighbourNotice;
use crate::cli::render::human::word;
use crate::io::home::HomeError;
use crate::io::home::identity::IdentityError;
use crate::io::home::lines::LinesError;
use crate::io::net::dial::Addresses;
use crate::io::net::lan::LanError;
use crate::io::net::resolve::ResolveError;
use crate::io::net::udp::SmallBuffer;
use crate::io::receive::dest::DestError;
use crate::io::receive::existing::ExistingError;
use crate::io::share::scan::{Omission, RootSummary, Skipped, SurveyError, Unportable, Why};
use crate::io::share::watch::{Cause as WatchCause, Unwatched};
use crate::model::query::QueryError;
use crate::model::{ContentId, Friend, Friends, Kind, NodeId, Provider, SafePath};
use crate::node::{GetNotice, LookNotice, Notice, Silence, Who, Whom, Without};
use crate::wire::{LeftOut, LeftOutFile};

fn said(error: &Error) -> String {
    super::error(error, &Names::default())
}

fn told(of: impl Into<Notice>) -> String {
    notice(&of.into(), &Names::default())
}

fn name(text: &str) -> SafePath {
    SafePath::parse(text).expect("a name")
}

#[test]
fn a_sentence_names_the_thing_the_cause_and_what_to_do() {
    let error = Error::Unreachable { who: Who::peer("[::1]:7"), cause: Silence::Late(Duration::from_secs(2)) };
    let text = "peer [::1]:7 does not answer (no answer within 2 s): \
                check that it runs and that UDP port 7 is open on the way";
    assert_eq!(said(&error), text);
    let error = Error::WrongRole { who: Who::tracker("h:1"), role: Role::Node };
    assert_eq!(said(&error), "tracker h:1 is a peer and not a tracker: check the port, or name it with --peer");
    let (found, remembered) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
    let source = ConnectError::ChangedKey { host_port: "h:1".to_owned(), remembered, found };
    let error = Error::Connect { who: Who::tracker("h:1"), source: Box::new(source) };
    let text = said(&error);
    assert!(text.contains(&found.to_string()) && text.contains(&remembered.to_string()), "{text}");
    assert!(text.contains("qshare trust forget h:1"), "{text}");
    assert_eq!(word(&error.code()), "key_changed");
}

#[test]
fn text_from_outside_is_escaped() {
    let error = Error::NotFound { what: "a\u{1b}[2J".to_owned(), asked: Whom::default(), near: Vec::new() };
    assert!(!said(&error).contains('\u{1b}'));
}

#[test]
fn exit_codes_are_those_of_the_design() {
    let error = Error::Incomplete { name: "n".to_owned(), have: 1, total: 2, lack: Box::default() };
    assert_eq!((word(&error.code()), error.code().exit()), ("incomplete".to_owned(), 6));
    assert_eq!(Error::NowhereToLook.code().exit(), 2);
    assert_eq!(Error::Query(QueryError::Empty).code().exit(), 2);
    assert_eq!(Error::NotFound { what: String::new(), asked: Whom::default(), near: Vec::new() }.code().exit(), 3);
    let ambiguous = |more| Error::Ambiguous {
        what: "x".to_owned(),
        hits: Vec::new(),
        beyond: Beyond { more, at_least: false },
        beneath: None,
    };
    assert_eq!(ambiguous(0).code().exit(), 4);
    assert!(said(&ambiguous(0)).contains("matches 0 ") && said(&ambiguous(1)).contains("at least 0 "));
    assert_eq!(Error::Interrupted { have: 0, total: 0 }.code().exit(), 130);
    assert_eq!(Error::Home(HomeError::Locked { path: "h".into(), pid: Some(7) }).code().exit(), 1);
}

#[test]
fn how_to_say_which_of_several_names_what_can_be_done() {
    let by = |node: &[u8], file: &str| {
        let provider = Provider { node: NodeId::of_public_key(node), addrs: Vec::new() };
        Hit { names: vec![name(file)], providers: vec![provider], ..Hit::file(Some(ContentId::of(file.as_bytes())), 1) }
    };
    let (one, two) = ([by(b"a", "x"), by(b"a", "y")], [by(b"a", "x"), by(b"b", "x")]);
    let all = |hits: &[Hit]| several("x", hits, Beyond::default(), None);
    let least = "`x` matches 2 different things: say which by its id or by more words";
    assert_eq!(all(&one), format!("{least}, or take all with --all"));
    assert_eq!(all(&two), format!("{least}, or by --from for what one provider has, or take all with --all"));
    let more = several("x", &one, Beyond { more: 3, at_least: false }, None);
    assert!(more.contains("at least 2 ") && !more.contains("--all"), "{more}");
    let text = several("papers/physics", &one, Beyond::default(), Some("Physics [1]"));
    assert!(text.ends_with("say which by its id, `qshare get ID --only 'Physics [[]1[]]/*'`"), "{text}");
}

#[test]
fn a_pattern_with_a_slash_that_finds_nothing_is_told_what_it_is_for() {
    let found = |what: &str| {
        let asked = Whom { places: vec![Who::tracker("h:1")], near: None, unfinished: false };
        said(&Error::NotFound { what: what.to_owned(), asked, near: Vec::new() })
    };
    let hint = ": a pattern with a slash is for the whole path, so try '*/physics/*.pdf'";
    assert!(found("physics/*.pdf").ends_with(hint) && found("x physics/*.pdf").ends_with(hint));
    for other in ["*/physics/*.pdf", "*.pdf", "physics/a.pdf"] {
        assert!(!found(other).contains("whole path"), "{other}");
    }
}

#[test]
fn what_leaves_nothing_to_share_is_told() {
    let roots =
        |files| vec![RootSummary { name: name("d"), path: "/d".into(), kind: Kind::Collection, files, bytes: files }];
    let text = nothing_left(&roots(0), &[Omission::Ignored(1)]).expect("told");
    assert_eq!(text, "no file is left to share: 1 thing is left out as --exclude or an ignore file says");
    assert_eq!(nothing_left(&roots(1), &[Omission::Ignored(1)]), None);
    assert_eq!(nothing_left(&roots(0), &[]), None);
}

#[test]
fn friends_are_named_in_errors_and_notices_and_what_is_to_be_pasted_stays() {
    let (anna, other) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
    let friend = Friend { name: "anna".parse().expect("a name"), node: anna, at: None };
    let names = Names::new(Friends::new([friend]));
    let (short, addr) = (anna.short(), "10.0.0.1:7".parse().expect("an address"));
    let wrong = ConnectError::Dial(DialError::WrongKey { addr, expected: anna, found: other });
    let text = format!("10.0.0.1:7 answers as node {other}, not as anna ({short}): check the id and the address");
    assert_eq!(connect(&wrong, &names), text);
    let unknown = |peer: String| error(&Error::UnknownPeer { peer }, &names);
    assert!(unknown(anna.to_string()).starts_with(&format!("no node `anna ({short})` is known here: ")));
    assert!(unknown(format!("{anna}@h:1")).starts_with(&format!("no node `{anna}@h:1` is known here: ")));
    let lied = |node| GetNotice::Download(DownloadNotice::Lied { node, addr: Some(addr) }).into();
    assert!(notice(&lied(anna), &names).starts_with(&format!("anna ({short}) (10.0.0.1:7) sent wrong bytes: ")));
    assert!(notice(&lied(other), &names).starts_with(&format!("{other} (10.0.0.1:7) sent wrong bytes: ")));
    let unreachable = DownloadNotice::Unreachable { node: other, error: wrong };
    let text = notice(&GetNotice::Download(unreachable).into(), &names);
    assert!(text.starts_with(&format!("provider {} cannot be reached: 10.0.0.1:7 answers", other.short())), "{text}");
    let wrong_list = LookNotice::WrongList { node: anna, id: ContentId::of(b"x") };
    assert!(notice(&wrong_list.into(), &names).starts_with(&format!("anna ({short}) sent a wrong list")));
    let text = notice(&LookNotice::UnheardFriends(vec![anna]).into(), &names);
    assert_eq!(text, format!("your friend {} has not answered; what is shown is what others know", names.brief(anna)));
    let text = notice(&LookNotice::SilentFriends(vec![anna]).into(), &names);
    assert!(text.starts_with(&format!("your friend anna ({short}) has not answered")), "{text}");
    assert!(text.ends_with("`--from anna` takes what anna has"), "{text}");
}

#[test]
fn hints_name_the_flags_and_settings_that_help() {
    let dest = Error::Dest(DestError::Exists { path: "x".into() });
    let text =
        "`x` already exists: move it away, choose another place with -o, or replace a different file with --force";
    assert_eq!(said(&dest), text);
    let io = |kind| {
        let source = Cause { kind, text: "no".to_owned() };
        said(&Error::Dest(DestError::Io { doing: "read".into(), path: "/x".into(), source }))
    };
    assert_eq!(io(Obstacle::ReadOnly), "cannot read `/x`: no; choose another place with -o");
    assert!(io(Obstacle::OtherDevice).ends_with("; it is another file system: give a directory inside it with -o"));
    let full = "; free some space there and run the same command again: what was verified is kept";
    assert!(io(Obstacle::Space).ends_with(full), "{}", io(Obstacle::Space));
    let differ = said(&Error::Existing(ExistingError::Different { paths: vec!["x".into()] }));
    assert!(differ.starts_with("`x` is there with other content: ") && differ.contains("--force"), "{differ}");
    assert!(said(&Error::Survey(SurveyError::Whole { path: "/".into() })).contains("--all"));
    let lan = |error| told(Notice::Neighbour(NeighbourNotice::Lan(error)));
    assert!(lan(LanError::Daemon("no".to_owned())).ends_with("cannot be found: no; give --no-lan to do without"));
    assert!(lan(LanError::Flooded).ends_with("name nodes with --peer or --tracker"));
    let small = |sends| told(Notice::SmallBuffer(SmallBuffer { sends, got: 425_984 }));
    assert!(small(false).contains("416 KiB") && small(false).contains("net.core.rmem_max=8388608"), "{}", small(false));
    assert!(small(true).contains("send buffer") && small(true).contains("net.core.wmem_max="), "{}", small(true));
    let full = Unwatched { path: None, cause: WatchCause::Full };
    assert!(told(Notice::Index(IndexNotice::Unwatched(full))).contains("fs.inotify.max_user_watches"));
}

#[test]
fn what_is_left_out_of_what_is_shared_is_told_with_its_cause() {
    let skipped = |why| Omission::Skipped(Skipped { path: "/s/.env".into(), why });
    let secret = skipped(Why::Secret("settings".into()));
    assert_eq!(omission(&secret), "/s/.env is left out because it looks like settings: --include-secrets takes it in");
    let all = vec![&secret; 7];
    assert_eq!((secrets(&[]), secrets(&all[..1])), (None, Some(omission(&secret))));
    let text = secrets(&all).expect("some");
    assert!(text.starts_with("7 things look like secrets and are left out, /s/.env, "), "{text}");
    assert!(text.ends_with(", /s/.env and 2 more: --include-secrets takes them in"), "{text}");
    assert_eq!(
        omission(&skipped(Why::Unusual("a pipe".into()))),
        "/s/.env is left out because it is a pipe, not a file"
    );
    let text = said(&Error::Survey(SurveyError::Nothing(Some(skipped(Why::Utf8)))));
    assert!(text.starts_with("there is nothing to share: /s/.env is left out because its name is not UTF-8"), "{text}");
    assert_eq!(
        said(&Error::Survey(SurveyError::Nothing(None))),
        "there is nothing to share: give a path that holds a file"
    );
    assert!(omission(&skipped(Why::Own)).ends_with("it belongs to qshare's own home"));
    assert!(omission(&Omission::Links(1)).starts_with("1 link is left out because it leads"));
    assert!(omission(&Omission::Links(5)).starts_with("5 links are left out because they lead"));
    let text = unportable(&Unportable { count: 3, first: name("tree/c:x") });
    assert!(text.starts_with("3 of the names") && text.contains("tree/c:x"), "{text}");
}

#[test]
fn what_a_collection_leaves_out_is_told_with_the_causes_that_there_are() {
    let file = |path: &str, why| LeftOutFile { path: name(path), why };
    let without = |files, more| told(GetNotice::LeftOut(Without { name: name("d"), files: LeftOut { files, more } }));
    assert!(without(Vec::new(), 3).contains("without 3 of its files"));
    let (log, key) = (file("log", Code::Changed), file("key", Code::Internal));
    let one = without(vec![log.clone()], 0);
    assert!(one.starts_with("d comes without log because it is being written") && !one.contains("read there"));
    let both = without(vec![key, log], 2);
    assert!(both.contains("without key (and 3 more") && both.contains("cannot be read") && both.contains("written"));
}

#[test]
fn what_was_reached_is_not_called_unreachable() {
    let unlinked = |error| {
        let notice = AnnouncerNotice::Unlinked { tracker: "host:1".to_owned(), error };
        told(Notice::Announcer(notice))
    };
    let failed = ResolveError::Failed { host: "host".to_owned(), cause: "no".to_owned() };
    let unresolved = unlinked(ConnectError::Resolve(failed));
    assert!(unresolved.contains("cannot be reached") && unresolved.contains("check its spelling"), "{unresolved}");
    let addr = "127.0.0.1:1".parse().expect("an address");
    let refused = unlinked(ConnectError::Dial(DialError::Forbidden { addr, own: NodeId::of_public_key(b"own") }));
    assert!(refused.contains("host:1 refuses this node") && !refused.contains("reached"), "{refused}");
}

#[test]
fn names_that_a_tracker_let_go_of_are_counted() {
    let text = told(Notice::Announcer(AnnouncerNotice::Cut { tracker: "host:1".to_owned(), held: 2, names: 5 }));
    assert!(text.contains("host:1 is full and holds only 2 of 5 names") && text.contains("announced again"), "{text}");
}

#[test]
fn who_was_asked_in_vain_is_named_or_counted() {
    let found = |places: &[&str], near| {
        let asked = Whom { places: places.iter().map(Who::tracker).collect(), near, unfinished: false };
        said(&Error::NotFound { what: "x".to_owned(), asked, near: Vec::new() })
    };
    assert!(found(&["h:1"], None).starts_with("nothing was found for `x` at tracker h:1: check it, or name more"));
    assert!(found(&["h:1", "h:2"], Some(3)).contains(" at 2 places and the nodes near this one: check it"));
    assert!(found(&[], Some(1)).contains(" at the nodes near this one: check it"));
    assert!(found(&["h:1"], Some(0)).contains(" and the nodes near this one, of which there are none: check it"));
    assert!(found(&[], Some(0)).contains(" there are none: see that `qshare share` runs on another machine"));
}

#[test]
fn each_obstacle_and_each_failed_dial_has_its_advice() {
    let of_the_disk = [Obstacle::Closed, Obstacle::Disk, Obstacle::OtherDevice];
    let others = [
        Obstacle::Busy,
        Obstacle::Directory,
        Obstacle::FileSize,
        Obstacle::FileTable,
        Obstacle::Kind,
        Obstacle::Loop,
        Obstacle::Name,
        Obstacle::NotFound,
        Obstacle::NotDirectory,
        Obstacle::OpenFiles,
        Obstacle::Permission,
        Obstacle::Quota,
        Obstacle::ReadOnly,
        Obstacle::Space,
        Obstacle::Text,
        Obstacle::Unsupported,
        Obstacle::Unreachable,
    ];
    let all = others.iter().chain(&of_the_disk).map(|kind| advice(*kind));
    assert_eq!(all.collect::<BTreeSet<_>>().len(), others.len() + 1, "two have one advice");
    let addr = "10.0.0.1:7".parse().expect("an address");
    let text = |error: DialError| connect(&error.into(), &Names::default());
    assert_eq!(
        text(DialError::Busy { addr }),
        "10.0.0.1:7 takes no connections now, as it is stopping or has too many: try again later"
    );
    assert!(text(DialError::NotQshare { addr }).ends_with(" node of this version: check the port"));
    assert!(text(DialError::NoWelcome { addr }).ends_with(" say Welcome: it may be overloaded, try again"));
    let addresses = || Addresses(vec![addr]);
    assert_eq!(text(DialError::OwnId(addresses())), "10.0.0.1:7 is this node itself: give another one's address");
    let silent = "nothing answers at 10.0.0.1:7 over UDP: check that it runs there and that no firewall is between";
    assert_eq!(text(DialError::Silent(addresses())), silent);
}

#[test]
fn what_is_wrong_with_a_file_of_the_home_is_told_with_its_cure() {
    let malformed = LinesError::Malformed { path: "/h/f".into(), line: 2, form: "NAME ID".into() };
    assert_eq!(lines(&malformed), "line 2 of /h/f is not `NAME ID`: repair or remove it");
    let cause = Cause { kind: Obstacle::Permission, text: "permission denied".to_owned() };
    let told = "/h/f cannot be read or written (permission denied): check its permissions and its owner";
    let io = LinesError::Io { path: "/h/f".into(), cause };
    assert_eq!(lines(&io), told);
    assert_eq!(failure(&Failure::Other(io.clone().into()), &Names::default()), told);
    assert_eq!((said(&Error::Allow(io.clone())), said(&Error::Friends(io))), (told.to_owned(), told.to_owned()));
    let key = IdentityError::Malformed { path: "/h/node/identity.key".into(), cause: "no".to_owned() };
    let told =
        "/h/node/identity.key is not a key that this program made (no): restore it, or remove it to get a new identity";
    assert_eq!(said(&Error::Identity(key)), told);
}
