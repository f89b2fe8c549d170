use super::*;

fn read(line: &str) -> Result<(Globals, Command), clap::Error> {
    parse(std::iter::once("qshare").chain(line.split_whitespace()).map(OsString::from))
}

#[test]
fn the_parser_is_sound() {
    parser().debug_assert();
}

#[test]
fn what_is_accepted_and_what_is_not() {
    let id = "0".repeat(64);
    let cases = [
        ("tracker", true),
        ("tracker --listen 127.0.0.1:0 --allow f", true),
        ("tracker --listen 4917", false),
        ("tracker x", false),
        ("share a b --list f --exclude *.o --exclude *.a --limit 100Mbit/s --all --include-secrets", true),
        ("share a --limit 50M", true),
        ("share a --limit much", false),
        ("share", true),
        ("search", false),
        ("search a --limit-hits 0", false),
        ("peers", true),
        ("ls", false),
        ("ls h:1", true),
        (&format!("ls {id}"), true),
        (&format!("locate {id}"), true),
        ("locate", false),
        ("locate some words", true),
        ("ls some words", true),
        ("hash", true),
        ("hash --check sums", true),
        ("hash a b", true),
        ("status", true),
        ("id", true),
        ("trust", false),
        ("trust list", true),
        ("trust forget h:1", true),
        ("trust forget h", true),
        ("trust forget h/", false),
        ("bench", false),
        ("bench --listen 127.0.0.1:0", true),
        ("bench h:1", true),
        ("bench h:1 --listen 127.0.0.1:0", false),
        ("bench h:1 --bytes 16GiB", true),
        ("bench h:1 --bytes 17GiB", false),
        ("bench h:1 --bytes 0B", false),
        ("bench h --bytes 5k", true),
        ("bench --listen 127.0.0.1:0 --bytes 1GiB", false),
        ("bench --bytes 1GiB", false),
        ("demo", true),
        ("demo d", true),
        ("friends", false),
        ("--json", false),
    ];
    for (line, good) in cases {
        assert_eq!(read(line).is_ok(), good, "{line}");
    }
}

#[test]
fn what_get_takes() {
    let cases = [
        ("get a --connections 8", true),
        ("get a --connections 9", false),
        ("get a --connections 0", false),
        ("get", false),
        ("get some words -o - --only *.c --only *.h -n --force --times --wait 30s", true),
        ("get x --exclude *.o --exclude build/ --update --all", true),
        ("get x --exclude [", false),
        ("get x --update --force", false),
        ("get x --seed --no-share", false),
        ("get x --wait soon", false),
        ("get x --wait 5", true),
        ("get x --wait -5", false),
        ("get x --from anna", true),
        ("get x --from a/b", false),
        ("get x --from abcdefgh", true),
        ("get x --only [", false),
        ("get x --http 1.1.1.1:1", false),
    ];
    for (line, good) in cases {
        assert_eq!(read(line).is_ok(), good, "{line}");
    }
}

#[test]
fn a_friend_has_a_name_and_an_id_or_its_beginning() {
    let id = "a".repeat(52);
    let cases = [
        ("list", true),
        ("remove anna", true),
        ("add anna", false),
        ("add anna abcdefgh", true),
        ("add anna abcdefg", false),
        ("add anna abcdefgh@h", false),
        ("add anna h:1", false),
        (&format!("add an:na {id}"), false),
        (&format!("add anna {id}"), true),
        (&format!("add anna {id}@h:1"), true),
        (&format!("add anna {id}@h"), true),
        (&format!("add anna {id}@h/"), false),
    ];
    for (line, good) in cases {
        assert_eq!(read(&format!("friends {line}")).is_ok(), good, "{line}");
    }
}

#[test]
fn global_flags_stand_on_both_sides_and_add_up() {
    let (globals, _) = read("--tracker a:1 -v --home x trust --json list --tracker b:2 -v --home y").expect("parsed");
    let hosts: Vec<_> = globals.tracker.iter().map(|t| t.host.as_str()).collect();
    assert_eq!((hosts, globals.verbose, globals.json), (vec!["a", "b"], 2, true));
    assert_eq!(globals.home, Some("y".into()));
    assert!(read("--tracker no/where peers").is_err());
}

#[test]
fn a_host_alone_has_the_port_of_what_it_is_taken_for() {
    let (globals, _) = read("--tracker a --peer b id").expect("parsed");
    let ports = |targets: &[PeerTarget]| targets.iter().map(PeerTarget::host_port).collect::<Vec<_>>();
    assert_eq!((ports(&globals.tracker), ports(&globals.peer)), (vec!["a:4917".to_owned()], vec!["b:4918".to_owned()]));
    let listens = |line: &str| match read(line).expect(line).1 {
        Command::Share(share) => share.listen.map(|addr| addr.to_string()),
        Command::Tracker(tracker) => tracker.listen.map(|addr| addr.to_string()),
        other => panic!("{other:?}"),
    };
    for (given, expected) in [("::", "[::]"), ("[::1]", "[::1]"), ("10.0.0.1", "10.0.0.1")] {
        assert_eq!(listens(&format!("share x --listen {given}")), Some(format!("{expected}:4918")));
        assert_eq!(listens(&format!("tracker --listen {given}")), Some(format!("{expected}:4917")));
    }
    assert_eq!(listens("tracker --listen [::]:7").as_deref(), Some("[::]:7"));
    assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
    assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
    assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
    assert!(duration("inf").is_err() && duration("").is_err());
}

#[test]
fn a_bench_has_a_gibibyte_or_the_size_that_was_given() {
    for (line, expected) in [("bench h:1", 1 << 30), ("bench h:1 --bytes 64MiB", 64 << 20)] {
        let (_, Command::Bench(bench)) = read(line).expect(line) else { panic!("{line}") };
        assert_eq!(bench.bytes, expected);
    }
}
