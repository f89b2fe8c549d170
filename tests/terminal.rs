//! What people see in terminals of several widths, while something is fetched, shared and searched. Skipped without tmux.

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::tmux::{Terminal, Tmux, live, masked};
use common::{Lab, Node, noise};
use qshare::model::{ContentId, PeerTarget, Rate};
use qshare::node::{self, Event, GetRequest, Home, Lifetime, Listen, Near, Options, SurveyOptions, What};

const WIDTHS: [usize; 5] = [40, 60, 80, 120, 200];
const ROWS: usize = 26;
const SIZE: usize = 24 << 20;

/// The program as a person would start it in the lab's directory, in a home of its own.
fn qshare(lab: &Lab, arguments: &str) -> String {
    let (home, program) = (lab.home(), env!("CARGO_BIN_EXE_qshare"));
    let dir = lab.path(".");
    format!(
        "cd {} && env -u QSHARE_TRACKER QSHARE_HOME={} {program} --no-lan {arguments}",
        dir.display(),
        home.display()
    )
}

fn options(lab: &Lab) -> Options {
    let alone = Near { only_peers: true, ..Near::default() };
    Options::new(Home::at(lab.home())).listen(Listen::At("127.0.0.1:0".parse().expect("an address"))).near(alone)
}

/// A node in this process that shares these at a tracker, once all of them have ids there.
async fn sharing(lab: &Lab, tracker: &Node, paths: Vec<PathBuf>) -> node::Node {
    sharing_at(lab, vec![tracker.addr.parse().expect("a target")], paths).await
}

/// The same at the first of these trackers that says so.
async fn sharing_at(lab: &Lab, trackers: Vec<PeerTarget>, paths: Vec<PathBuf>) -> node::Node {
    let options = options(lab).lifetime(Lifetime::LongRunning).trackers(trackers);
    let (node, mut events) = node::Node::start(options).await.expect("started");
    let plan = tokio::task::spawn_blocking(move || node::survey(&paths, &SurveyOptions::default()));
    node.share(plan.await.expect("no panic").expect("a plan"));
    loop {
        match events.recv().await.expect("it runs") {
            Event::Announced(told) if told.offers > 0 && told.offers == told.hashed => break,
            _ => {}
        }
    }
    // Whoever does not read them holds it up.
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    node
}

/// A file of its own for each number of providers, and so many providers.
async fn providers(lab: &Lab, tracker: &Node, counts: &[usize]) -> Vec<node::Node> {
    let name = |count: &usize| format!("notes-{count:02}.bin");
    let file = |count: &usize| lab.file(&format!("shared/{}", name(count)), &noise(*count as u64, SIZE));
    let files: Vec<PathBuf> = counts.iter().map(file).collect();
    let mut nodes = Vec::new();
    for n in 0..counts.iter().copied().max().unwrap_or_default() {
        let shared = counts.iter().zip(&files).filter(|(count, _)| **count > n).map(|(_, file)| file.clone());
        nodes.push(sharing(lab, tracker, shared.collect()).await);
    }
    nodes
}

/// What a `get` shows at a width, without figures.
fn expected(width: usize, count: usize) -> Vec<String> {
    let name = format!("notes-{count:02}.bin");
    let head = if width == 40 { format!("* {name} # B of # B") } else { format!("* fetching {name} # B of # B # s") };
    let bar = if width == 40 { "[=] # % # B/s" } else { "[=] # % # B/s # s left" };
    let (heading, row) = match width {
        40 => ("PROVIDER RATE SHARE", "ID # B/s # %"),
        _ => ("PROVIDER ADDRESS RATE SHARE", "ID # # B/s # %"),
    };
    let mut lines = vec![head, bar.to_owned(), heading.to_owned()];
    lines.extend(vec![row.to_owned(); count.min(12)]);
    lines.extend((count > 13).then(|| "# others # B/s # %".to_owned()));
    lines
}

/// The same of a screen; causes of those who give nothing are left out.
fn shape(screen: &[String]) -> Vec<String> {
    let row = |line: &String| {
        let line = masked(line);
        if line.starts_with("ID ") { line.split_inclusive('%').next().unwrap_or_default().to_owned() } else { line }
    };
    live(screen).iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_fits_its_terminal() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let tracker = lab.tracker();
    let _nodes = providers(&lab, &tracker, &[1, 4, 30]).await;
    for count in [1, 4, 30] {
        let start = |width: usize| {
            let get = format!(
                "get notes-{count:02}.bin --tracker {} --limit 400KiB/s --no-share -o out-{width}-{count}/",
                tracker.addr
            );
            tmux.start(&format!("get-{width}-{count}"), (width, ROWS), &qshare(&lab, &get))
        };
        let terminals: Vec<(usize, Terminal<'_>)> = WIDTHS.iter().map(|width| (*width, start(*width))).collect();
        for (width, terminal) in &terminals {
            let wanted = expected(*width, count);
            let screen = terminal.wait(&format!("{wanted:#?}"), |screen| shape(screen) == wanted);
            assert!(live(&screen).iter().all(|line| line.chars().count() < *width), "{screen:#?}");
        }
        terminals.iter().for_each(|(_, terminal)| terminal.interrupt());
        for (_, terminal) in &terminals {
            terminal.wait_for("exit 130");
            let screen = terminal.screen();
            let left = screen.iter().any(|line| line.contains("PROVIDER") || line.contains("[="));
            assert!(live(&screen).is_empty() && !left, "nothing of it is left: {screen:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_changes_its_size_stays_clean() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let tracker = lab.tracker();
    let _nodes = providers(&lab, &tracker, &[4]).await;
    let get = format!("get notes-04.bin --tracker {} --limit 400KiB/s -o out", tracker.addr);
    let terminal = tmux.start("sizes", (120, ROWS), &format!("echo before; {}", qshare(&lab, &get)));
    for width in [120, 60, 200, 40, 80] {
        terminal.resize(width, ROWS);
        let wanted = expected(width, 4);
        let screen = terminal.wait(&format!("{wanted:#?}"), |screen| shape(screen) == wanted);
        let above = &screen[..screen.len() - live(&screen).len()];
        assert!(!above.iter().any(|line| line.contains("PROVIDER") || line.contains('[')), "{screen:#?}");
    }
    terminal.interrupt();
    terminal.wait_for("exit 130");
    // What is wrapped pushes lines up, out of the screen.
    let text = terminal.all();
    assert_eq!(text.lines().next(), Some("before"), "{text}");
    let screen = terminal.screen().concat();
    assert!(text.contains("qshare: interrupted, ") && !screen.contains("PROVIDER") && !screen.contains('['), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals_that_want_them() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let tracker = lab.tracker();
    let _nodes = providers(&lab, &tracker, &[1]).await;
    let get = |out: &str| {
        qshare(&lab, &format!("get notes-01.bin --tracker {} --limit 400KiB/s --no-share -o {out}/", tracker.addr))
    };
    let coloured = tmux.start("coloured", (80, ROWS), &get("a"));
    let plain = tmux.start("plain", (80, ROWS), &format!("export NO_COLOR=1; {}", get("b")));
    let dumb = tmux.start("dumb", (80, ROWS), &format!("export TERM=dumb; {}", get("c")));
    for terminal in [&coloured, &plain] {
        terminal.wait("a bar", |screen| shape(screen) == expected(80, 1));
    }
    assert!(coloured.coloured().contains('\u{1b}') && !plain.coloured().contains('\u{1b}'));
    dumb.wait_for("qshare: fetching notes-01.bin, ");
    assert!(live(&dumb.screen()).is_empty() && !dumb.coloured().contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shares_sees_who_fetches() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let bytes = noise(7, 300 << 10);
    lab.file("notes.bin", &bytes);
    let start = |width: usize| {
        let share = qshare(&lab, "share notes.bin --listen 127.0.0.1:0 --only-peers");
        tmux.start(&format!("share-{width}"), (width, 40), &share)
    };
    let terminals: Vec<(usize, Terminal<'_>)> = WIDTHS.iter().map(|width| (*width, start(*width))).collect();
    let listens = |(_, terminal): &(usize, Terminal<'_>)| {
        terminal.wait("nobody", |screen| {
            live(screen).first().is_some_and(|line| masked(line).starts_with("* sharing, nobody"))
        });
        let text = terminal.all();
        let (_, after) = text.split_once("listening on ").expect("it says where");
        after.split(' ').next().expect("an address").parse().expect("a peer")
    };
    let addrs: Vec<node::PeerRef> = terminals.iter().map(listens).collect();
    let mut getters = Vec::new();
    for count in [1, 4, 30] {
        for n in getters.len()..count {
            let (getter, _) = node::Node::start(options(&lab)).await.expect("started");
            let get = |(width, addr): (usize, &node::PeerRef)| {
                let output = lab.dir(&format!("got-{n}-{width}")).join("notes.bin");
                let request = GetRequest::new(What::Id(ContentId::of(&bytes))).from(addr.clone()).output(output);
                // Four minutes for each: it is interrupted before.
                getter.get(request.limit(Rate::bytes_per_second(1 << 10)).share(node::ShareBack::Never))
            };
            let transfers: Vec<_> = WIDTHS.into_iter().zip(&addrs).map(get).collect();
            for transfer in &transfers {
                let mut progress = transfer.progress();
                progress.wait_for(|now| now.phase == node::Phase::Fetching).await.expect("it begins");
            }
            getters.push((transfers, getter));
        }
        for (width, terminal) in &terminals {
            let wanted = uploads(*width, count);
            let all = |screen: &[String]| live(screen).iter().any(|line| line.contains(&format!(" {count} upload")));
            let screen = terminal.wait(&format!("{wanted:#?}"), |screen| shape(screen) == wanted && all(screen));
            assert!(live(&screen).iter().all(|line| line.chars().count() < *width), "{screen:#?}");
        }
    }
    drop(getters);
    terminals.iter().for_each(|(_, terminal)| terminal.interrupt());
    for (_, terminal) in &terminals {
        terminal.wait_for("exit 0");
        let text = terminal.all();
        assert!(text.contains("in 30 uploads to 30 nodes") && live(&terminal.screen()).is_empty(), "{text}");
        assert_eq!(text.matches("qshare get notes.bin").count(), 1, "{text}");
    }
}

/// What a `share` shows at a width while so many fetch, without figures.
fn uploads(width: usize, count: usize) -> Vec<String> {
    let (uploads, nodes) = if count == 1 { ("upload", "node") } else { ("uploads", "nodes") };
    let head = match width {
        40 => format!("* sharing, # {uploads} # B/s"),
        60 => format!("* sharing, # {uploads} # B/s # B sent to # {nodes}"),
        _ => format!("* sharing, # {uploads} # B/s # B sent to # {nodes} # s"),
    };
    let (heading, row) = match width {
        40 | 60 => ("NODE WHAT SENT RATE", "ID notes.bin # %"),
        _ => ("NODE ADDRESS WHAT SENT RATE", "ID # notes.bin # %"),
    };
    let mut lines = vec![head, heading.to_owned()];
    lines.extend(vec![row.to_owned(); count.min(12)]);
    lines.extend((count > 13).then(|| "# more # B/s".to_owned()));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_fits_its_terminal() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let start = |width: usize| {
        let tracker = qshare(&lab, "tracker --listen 127.0.0.1:0");
        tmux.start(&format!("tracker-{width}"), (width, ROWS), &tracker)
    };
    let terminals: Vec<(usize, Terminal<'_>)> = WIDTHS.iter().map(|width| (*width, start(*width))).collect();
    let of_tracker = |terminal: &Terminal<'_>| {
        terminal.wait_for("use it with --tracker ");
        let text = terminal.all();
        let (_, after) = text.split_once("use it with --tracker ").expect("it says so");
        after.split(',').next().expect("an address").parse().expect("a target")
    };
    let trackers: Vec<PeerTarget> = terminals.iter().map(|(_, terminal)| of_tracker(terminal)).collect();
    let offered = vec![lab.file("notes.bin", b"notes"), lab.file("more.bin", b"more")];
    let node = sharing_at(&lab, trackers, offered).await;
    for (width, terminal) in &terminals {
        let more = if *width == 40 { "" } else { " # s" };
        let wanted = vec![format!("* # node # offers # searches a minute{more}")];
        let screen = terminal.wait(&format!("{wanted:#?}"), |screen| shape(screen) == wanted);
        assert!(live(&screen).iter().all(|line| line.chars().count() < *width), "{screen:#?}");
        terminal.interrupt();
        terminal.wait_for("exit 0");
        let text = terminal.all();
        assert!(
            text.contains("1 node, 2 offers, 0 searches answered") && live(&terminal.screen()).is_empty(),
            "{text}"
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_fit_their_terminal() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let tracker = lab.tracker();
    let long = lab.file("papers/physics/on-computable-numbers.txt", b"an application");
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_996_800);
    fs::File::options().write(true).open(&long).and_then(|file| file.set_modified(changed)).expect("a date");
    let tree = lab.file("papers/physics/notes/a.txt", b"a").parent().expect("a directory").to_owned();
    let _nodes = [sharing(&lab, &tracker, vec![long.clone(), tree]).await, sharing(&lab, &tracker, vec![long]).await];
    let id = ContentId::of(b"an application").to_string();
    for width in WIDTHS {
        let terminal = tmux.start(
            &format!("search-{width}"),
            (width, ROWS),
            &qshare(&lab, &format!("search numbers --tracker {}", tracker.addr)),
        );
        terminal.wait_for("exit 0");
        let screen = terminal.screen();
        let wanted: Vec<String> = match width {
            40 => vec!["NAME                  SIZE  ID".into(), format!("on-computa…mbers.txt  14 B  {}", &id[..12])],
            60 => vec![
                "NAME                    KIND  SIZE  CHANGED     ID".into(),
                format!("on-computab…umbers.txt  file  14 B  2026-11-30  {}", &id[..12]),
            ],
            80 => vec![
                "NAME                    KIND  SIZE  CHANGED     PROVIDERS  VIA      ID".into(),
                format!("on-computab…umbers.txt  file  14 B  2026-11-30  2          tracker  {}", &id[..12]),
            ],
            120 => vec![
                "NAME                       KIND  SIZE  CHANGED     PROVIDERS  VIA      ID".into(),
                format!("on-computable-numbers.txt  file  14 B  2026-11-30  2          tracker  {}", &id[..12]),
            ],
            _ => vec![
                "NAME                       KIND  SIZE  CHANGED     PROVIDERS  VIA      ID".into(),
                format!("on-computable-numbers.txt  file  14 B  2026-11-30  2          tracker  {id}"),
            ],
        };
        assert_eq!(screen[..wanted.len()], wanted, "{screen:#?}");
    }
    let search = qshare(&lab, &format!("search numbers --wide --tracker {}", tracker.addr));
    let wide = tmux.start("search-wide", (80, ROWS), &search);
    wide.wait_for("exit 0");
    assert!(wide.all().contains(&id));
}

#[test]
fn what_goes_to_standard_output_stays_on_the_screen() {
    let lab = Lab::new();
    let Some(tmux) = Tmux::new(&lab) else { return };
    let file = lab.file("shared/one.txt", b"the only line\n");
    let mut share = lab.start(lab.qshare().args(["share", "--listen", "127.0.0.1:0"]).arg(file));
    share.process.event("offer");
    let get = format!("get one.txt -o - --peer {}", share.addr);
    let terminal = tmux.start("stdout", (80, 20), &qshare(&lab, &get));
    terminal.wait_for("exit 0");
    let screen = terminal.all();
    assert!(screen.lines().any(|line| line.trim_end() == "the only line"), "{screen}");
}
