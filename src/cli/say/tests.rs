use std::time::Duration;

use super::*;
use crate::io::home::HomeError;
use crate::model::NodeId;
use crate::model::query::QueryError;
use crate::node::{Silence, Who};

fn said(error: &Error) -> String {
    super::error(error, &Names::default())
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
    assert_eq!(error.code().word(), "key_changed");
}

#[test]
fn text_from_outside_is_escaped() {
    let error = Error::NotFound { what: "a\u{1b}[2J".to_owned(), asked: "3 places".to_owned() };
    assert!(!said(&error).contains('\u{1b}'));
}

#[test]
fn exit_codes_are_those_of_the_design() {
    let error = Error::Incomplete { name: "n".to_owned(), have: 1, total: 2, lack: Box::default() };
    assert_eq!((error.code().word(), error.code().exit()), ("incomplete", 6));
    assert_eq!(Error::NowhereToLook.code().exit(), 2);
    assert_eq!(Error::Query(QueryError::Empty).code().exit(), 2);
    assert_eq!(Error::NotFound { what: String::new(), asked: String::new() }.code().exit(), 3);
    let ambiguous =
        |more| Error::Ambiguous { what: "x".to_owned(), hits: Vec::new(), beyond: Beyond { more, at_least: false } };
    assert_eq!(ambiguous(0).code().exit(), 4);
    assert!(said(&ambiguous(0)).contains("matches 0 ") && said(&ambiguous(1)).contains("at least 0 "));
    assert_eq!(Error::Interrupted { have: 0, total: 0 }.code().exit(), 130);
    assert_eq!(Error::Home(HomeError::Locked { path: "h".into(), pid: Some(7) }).code().exit(), 1);
}
