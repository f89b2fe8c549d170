use super::*;

#[test]
fn a_sentence_names_the_thing_the_cause_and_what_to_do() {
    let (a, b) = (NodeId::of_public_key(b"a"), NodeId::of_public_key(b"b"));
    let error = Error::KeyChanged { who: Who::tracker("lab:4917"), expected: a, found: b };
    let text = format!(
        "tracker lab:4917 answered as {b}, but {a} is remembered for it; \
         if the change is right, run `qshare trust forget lab:4917` and try again"
    );
    assert_eq!(error.to_string(), text);
    let error = Error::Unreachable { who: Who::peer("[::1]:7"), cause: "no answer within 10 s".to_owned() };
    let text = "peer [::1]:7 does not answer: no answer within 10 s; \
                check that it runs and that UDP port 7 is open on the way";
    assert_eq!(error.to_string(), text);
    let error = Error::Exists { paths: vec!["a".into(), "b\u{1b}".into()] };
    let text = "a, b\\u{1b} exist with other content; pass --force to replace just those, \
                or give another place with -o";
    assert_eq!(error.to_string(), text);
}

#[test]
fn exit_codes_are_those_of_the_design() {
    let error = Error::Incomplete { name: "n".to_owned(), have: 1, total: 2, cause: "no provider".to_owned() };
    assert_eq!((error.code().word(), error.code().exit()), ("incomplete", 6));
    assert_eq!(Error::NowhereToLook.code().exit(), 2);
    assert_eq!(Error::Query(QueryError::Empty).code().exit(), 2);
    assert_eq!(Error::NotFound { what: String::new(), asked: String::new() }.code().exit(), 3);
    assert_eq!(Error::Ambiguous { what: String::new(), hits: Vec::new() }.code().exit(), 4);
    assert_eq!(Error::Interrupted { have: 0, total: 0 }.code().exit(), 130);
    assert_eq!(Error::HomeLocked { path: "h".into(), pid: Some(7) }.code().exit(), 1);
}
