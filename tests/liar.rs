//! Providers that lie, stall or refuse: named and left, never believed, and an honest one beside them is not blamed.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use qshare::actors::serve::Stream;
use qshare::model::units::chunk_list::CV_LEN;
use qshare::wire::{Code, Refusal, Request, limits};

use common::scripted::{
    Answering, Content, Guise, Script, Scripted, honest, list_of, record, send_list, send_manifest, units,
};
use common::{Ended, Lab, Node, Process, noise};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Honest but for the requests that `lie` answers.
fn script<F>(lie: F) -> Script
where
    F: Fn(&Request, &Arc<Content>, &mut Option<Stream>) -> Option<Answering> + Send + Sync + 'static,
{
    Arc::new(move |request, content, stream| {
        let mut stream = Some(stream);
        let lied = lie(&request, &content, &mut stream);
        match (lied, stream) {
            (Some(answering), _) => answering,
            (None, Some(stream)) => Box::pin(honest(request, content, stream)),
            (None, None) => Box::pin(std::future::ready(())),
        }
    })
}

/// Sends what `bytes` makes of the units asked for, then ends the stream.
fn fetches(bytes: impl Fn(&Content, &[u32]) -> Vec<u8> + Send + Sync + 'static) -> Script {
    script(move |request, content, stream| {
        let Request::Fetch(fetch) = request else { return None };
        let (bytes, mut stream) = (bytes(content, &units(fetch)), stream.take()?);
        Some(Box::pin(async move {
            let _ = stream.grant((), limits::CONTROL).await;
            let _ = stream.send.write_all(&bytes).await;
            stream.finish();
        }))
    })
}

/// Answers for a list with what `lie` makes of the true one and the last chunk.
fn lists(lie: impl Fn(&Content) -> (Vec<u8>, Vec<u8>) + Send + Sync + 'static) -> Script {
    script(move |request, content, stream| {
        let Request::List(_) = request else { return None };
        let ((values, last), stream) = (lie(content), stream.take()?);
        Some(Box::pin(async move { send_list(stream, &values, &last).await }))
    })
}

fn flips_every_chunk() -> Script {
    fetches(|content, units| {
        let mut sent = Vec::new();
        for unit in units {
            let mut bytes = content.unit(*unit).to_vec();
            bytes[7] ^= 1;
            sent.extend(record(*unit, &bytes));
        }
        sent
    })
}

fn whole(content: &Content) -> Vec<u8> {
    (0..content.map.units()).flat_map(|unit| content.unit(unit).to_vec()).collect()
}

fn names(ended: &Ended, liar: &Scripted) -> bool {
    ended.events.iter().any(|event| is_warning_about(event, liar))
}

fn is_warning_about(event: &serde_json::Value, liar: &Scripted) -> bool {
    let short = liar.node.short();
    event["event"] == "warning" && event["message"].as_str().is_some_and(|message| message.contains(&short))
}

fn no_warning_about(ended: &Ended, honest: &Node) {
    let warned = ended.events.iter().any(|e| e["event"] == "warning" && e.to_string().contains(&honest.id[..8]));
    assert!(!warned, "the honest one is not blamed: {ended:#?}");
}

fn given(ended: &Ended, node: &str) -> u64 {
    let providers = ended.done()["providers"].as_array().expect("a list");
    providers.iter().filter(|p| p["node"] == node).map(|p| p["bytes"].as_u64().expect("a number")).sum()
}

/// A liar alone is met first and barred; then an honest provider joins, and the transfer ends right.
fn is_barred(name: &'static str, script: Script) {
    let lab = Lab::new();
    let bytes = noise(1, 6 * MIB + 5);
    let file = lab.file(&format!("shared/{name}"), &bytes);
    let tracker = lab.tracker();
    let liar = Scripted::start(&tracker, &Guise::file(name), Content::file(&bytes), script);
    let mut get = lab.getting(&tracker, &[name]);
    get.event_that("warning", |event| is_warning_about(event, &liar));
    let asked = liar.asked.fetches() + liar.asked.lists();
    assert!(!lab.path(name).exists(), "nothing wrong has the final name");
    let honest = lab.share(&tracker, &[&file], &[]);
    let ended = get.end();
    assert_eq!(ended.done()["id"], blake3::hash(&bytes).to_string());
    assert!(fs::read(lab.path(name)).expect("published") == bytes);
    no_warning_about(&ended, &honest);
    assert_eq!(liar.asked.watches(), 1, "once barred, it is not met again");
    let later = liar.asked.fetches() + liar.asked.lists();
    assert!(later <= 16 && (asked == 0 || later <= asked + 16), "{asked} requests before, {later} in all");
}

#[test]
fn one_flipped_byte_in_every_chunk_bars_the_liar() {
    is_barred("flipped.bin", flips_every_chunk());
}

#[test]
fn a_list_that_does_not_merge_bars_the_liar() {
    is_barred(
        "list.bin",
        lists(|content| {
            let bytes = whole(content);
            let mut values = list_of(&bytes).as_bytes().to_vec();
            values[0] ^= 1;
            (values, content.unit(content.map.units() - 1).to_vec())
        }),
    );
}

#[test]
fn a_list_whose_last_chunk_is_wrong_bars_the_liar() {
    is_barred(
        "last.bin",
        lists(|content| {
            let mut last = content.unit(content.map.units() - 1).to_vec();
            last[0] ^= 1;
            (list_of(&whole(content)).as_bytes().to_vec(), last)
        }),
    );
}

#[test]
fn a_unit_that_was_not_asked_for_bars_the_liar() {
    is_barred("unasked.bin", fetches(|content, _| record(content.map.units() + 3, b"anything")));
}

/// A liar and an honest provider from the beginning.
fn beside_an_honest_one(name: &'static str, guise: &Guise, script: Script) -> (Lab, Ended, Scripted, Node) {
    let lab = Lab::new();
    let bytes = noise(2, 8 * MIB + 5);
    let file = lab.file(&format!("shared/{name}"), &bytes);
    let tracker = lab.tracker();
    let honest = lab.share(&tracker, &[&file], &["--limit", "4MiB/s"]);
    let liar = Scripted::start(&tracker, guise, Content::file(&bytes), script);
    let ended = lab.get(&tracker, &[name]);
    assert_eq!(ended.done()["id"], blake3::hash(&bytes).to_string());
    assert!(fs::read(lab.path(name)).expect("published") == bytes);
    no_warning_about(&ended, &honest);
    (lab, ended, liar, honest)
}

#[test]
fn flipped_bytes_beside_an_honest_provider_are_asked_for_again() {
    let name = "both.bin";
    let (_lab, ended, liar, honest) = beside_an_honest_one(name, &Guise::file(name), flips_every_chunk());
    assert!(names(&ended, &liar), "{ended:#?}");
    assert!(given(&ended, &honest.id) >= 8 * MIB as u64);
}

#[test]
fn a_unit_cut_short_is_asked_for_elsewhere() {
    let cut = fetches(|content, units| {
        let bytes = record(units[0], content.unit(units[0]));
        bytes[..bytes.len() / 2].to_vec()
    });
    let (_lab, ended, liar, honest) = beside_an_honest_one("cut.bin", &Guise::file("cut.bin"), cut);
    assert!(liar.asked.fetches() > 0, "it was asked: {ended:#?}");
    assert!(given(&ended, &honest.id) >= 8 * MIB as u64 - 256 * KIB as u64);
}

#[test]
fn a_silent_provider_is_stolen_from() {
    let silent = script(|request, _, stream| {
        let Request::Fetch(_) = request else { return None };
        let mut stream = stream.take()?;
        Some(Box::pin(async move {
            let _ = stream.grant((), limits::CONTROL).await;
            let _ = stream.send.stopped().await;
        }))
    });
    let (_lab, ended, liar, honest) = beside_an_honest_one("silent.bin", &Guise::file("silent.bin"), silent);
    assert!(liar.asked.fetches() > 0, "it was asked: {ended:#?}");
    assert!(given(&ended, &honest.id) > 7 * MIB as u64);
}

#[test]
fn a_provider_that_closes_at_once_is_left() {
    let guise = Guise { closes: true, ..Guise::file("closes.bin") };
    let (_lab, ended, liar, honest) = beside_an_honest_one("closes.bin", &guise, script(|_, _, _| None));
    assert_eq!(given(&ended, &honest.id), 8 * MIB as u64 + 5);
    assert_eq!(liar.asked.fetches(), 0);
}

fn busy() -> Script {
    script(|request, _, stream| {
        let (Request::Fetch(_) | Request::List(_)) = request else { return None };
        Some(Box::pin(stream.take()?.refuse(Refusal { code: Code::Busy, retry_ms: 100 })))
    })
}

#[test]
fn a_provider_that_is_always_busy_is_waited_for_and_not_blamed() {
    let (_lab, ended, liar, honest) = beside_an_honest_one("busy.bin", &Guise::file("busy.bin"), busy());
    assert_eq!(given(&ended, &honest.id), 8 * MIB as u64 + 5);
    assert!(!names(&ended, &liar), "{ended:#?}");
}

/// With nobody else: an error in one sentence, nothing under the final name, and what was proven is kept.
fn alone(script: Script) -> Ended {
    let lab = Lab::new();
    let bytes = noise(3, 4 * MIB);
    let tracker = lab.tracker();
    let _liar = Scripted::start(&tracker, &Guise::file("alone.bin"), Content::file(&bytes), script);
    let ended = lab.get(&tracker, &["alone.bin", "--wait", "1s"]);
    let sentence = ended.error(6);
    assert!(sentence.contains("alone.bin"), "{sentence}");
    assert!(!lab.path("alone.bin").exists());
    ended
}

#[test]
fn with_only_a_liar_nothing_is_published() {
    alone(flips_every_chunk());
}

#[test]
fn with_only_a_busy_provider_get_ends_when_its_wait_is_over() {
    alone(busy());
}

#[test]
fn with_only_half_units_get_ends_when_its_wait_is_over() {
    alone(fetches(|content, units| record(units[0], &content.unit(units[0])[..1000])));
}

#[test]
fn what_a_liar_gave_rightly_is_kept() {
    let lab = Lab::new();
    let bytes = noise(4, 8 * MIB);
    let file = lab.file("shared/kept.bin", &bytes);
    let tracker = lab.tracker();
    // The first half is right, the second is not.
    let script = fetches(|content, units| {
        let mut sent = Vec::new();
        for &unit in units {
            let mut bytes = content.unit(unit).to_vec();
            bytes[0] ^= u8::from(unit >= content.map.units() / 2);
            sent.extend(record(unit, &bytes));
        }
        sent
    });
    let liar = Scripted::start(&tracker, &Guise::file("kept.bin"), Content::file(&bytes), script);
    let ended = lab.get(&tracker, &["kept.bin", "--wait", "1s"]);
    ended.error(6);
    assert!(names(&ended, &liar), "{ended:#?}");
    let proven = ended.events.iter().rev().find(|e| e["event"] == "progress").expect("one")["bytes"].as_u64();
    drop(liar);
    let _honest = lab.share(&tracker, &[&file], &[]);
    let again = lab.get(&tracker, &["kept.bin"]);
    let fetched = again.done()["fetched"].as_u64();
    assert_eq!(fetched, proven.map(|proven| bytes.len() as u64 - proven), "{again:#?}");
    assert!(proven > Some(0), "something was proven");
    assert!(fs::read(lab.path("kept.bin")).expect("published") == bytes);
}

/// The BLAKE3 root does not commit to the length: the parents of pairs of chunks are a list of half the size.
#[test]
fn a_list_of_inner_nodes_under_a_shorter_size_fools_nobody() {
    let lab = Lab::new();
    let bytes = noise(5, MIB);
    let file = lab.file("shared/inner.bin", &bytes);
    let tracker = lab.tracker();
    let honest = lab.share(&tracker, &[&file], &[]);
    let parents: Vec<u8> = list_of(&bytes).as_bytes().chunks(2 * CV_LEN).flat_map(parent).collect();
    let script = |parents: Vec<u8>| lists(move |_| (parents.clone(), vec![0; 256 * KIB]));
    let guise = Guise { size: Some(512 * KIB as u64), ..Guise::file("inner.bin") };
    // Two of them: more providers than the true size has.
    let liars = [(); 2].map(|()| Scripted::start(&tracker, &guise, Content::file(&bytes), script(parents.clone())));
    let id = blake3::hash(&bytes).to_string();
    for what in ["inner.bin", &id] {
        let ended = lab.get(&tracker, &[what, "-o", "out.bin", "--wait", "2s"]);
        assert_eq!(ended.done()["bytes"].as_u64(), Some(bytes.len() as u64));
        no_warning_about(&ended, &honest);
        assert!(fs::read(lab.path("out.bin")).expect("published") == bytes);
        fs::remove_file(lab.path("out.bin")).expect("there");
    }
    assert!(liars.iter().any(|liar| liar.asked.lists() > 0), "somebody lied");
}

fn parent(pair: &[u8]) -> Vec<u8> {
    use blake3::hazmat::{Mode, merge_subtrees_non_root};
    let value = |bytes: &[u8]| <[u8; CV_LEN]>::try_from(bytes).expect("a value");
    let (left, right) = pair.split_at(CV_LEN);
    merge_subtrees_non_root(&value(left), &value(right), Mode::Hash).to_vec()
}

#[test]
fn a_wrong_list_of_a_collection_names_its_sender_and_is_asked_for_elsewhere() {
    let lab = Lab::new();
    lab.file("tree/a.txt", b"a");
    lab.file("tree/b.txt", b"b");
    let tracker = lab.tracker();
    let wrong = |stream: &mut Option<Stream>| {
        let stream = stream.take()?;
        Some(Box::pin(async move { send_manifest(stream, b"qshare-collection-1\nd other\n").await }) as Answering)
    };
    let lie = script(move |request, _, stream| match request {
        Request::Manifest(_) => wrong(stream),
        _ => None,
    });
    let manifest = manifest_of(&lab.path("tree"), &["a.txt", "b.txt"]);
    let liar = Scripted::start(&tracker, &Guise::tree("tree"), Content::tree(&manifest, &[b"a", b"b"]), lie);
    let alone = lab.get(&tracker, &["tree", "-o", "out/"]);
    let sentence = alone.error(1);
    assert!(sentence.contains(&blake3::hash(&manifest).to_string()), "{sentence}");
    assert!(names(&alone, &liar), "{alone:#?}");
    assert!(!lab.path("out").join("tree").exists());
    assert_eq!(liar.asked.fetches(), 0, "without a list nothing is asked for");
    let _honest = lab.share(&tracker, &[&lab.path("tree")], &[]);
    // Whom a get asks for the list first is drawn by chance; some rounds meet the liar's list, some do not.
    for round in 0..6 {
        let (out, before) = (format!("out{round}"), liar.asked.fetches());
        let ended = lab.get(&tracker, &["tree", "-o", &format!("{out}/")]);
        ended.done();
        common::assert_same_tree(&lab.path("tree"), &lab.path(&out).join("tree"));
        if names(&ended, &liar) {
            assert_eq!(liar.asked.fetches(), before, "who sent a wrong list is not asked for bytes");
        }
    }
}

fn manifest_of(root: &Path, files: &[&str]) -> Vec<u8> {
    let line = |name: &&str| {
        let bytes = fs::read(root.join(name)).expect("there");
        format!("f {} {} {name}\n", bytes.len(), blake3::hash(&bytes))
    };
    format!("qshare-collection-1\n{}", files.iter().map(line).collect::<String>()).into_bytes()
}

#[test]
fn a_silent_provider_is_left_and_the_wait_ends() {
    let lab = Lab::new();
    let tracker = lab.tracker();
    let silent = script(|request, _, stream| {
        let (Request::Fetch(_) | Request::List(_)) = request else { return None };
        let stream = stream.take()?;
        Some(Box::pin(async move {
            let _ = stream.send.stopped().await;
        }))
    });
    let bytes = noise(6, MIB);
    let _liar = Scripted::start(&tracker, &Guise::file("mute.bin"), Content::file(&bytes), silent);
    let get = Process::start(lab.qshare().args(["get", "mute.bin", "--wait", "2s", "--tracker", &tracker.addr]));
    let sentence = get.end().error(6);
    assert!(sentence.contains("mute.bin"), "{sentence}");
}

/// What keeps coming and never proves right is no sign of life.
#[test]
fn bytes_that_never_prove_do_not_keep_a_transfer_alive() {
    let slowly = script(|request, content, stream| {
        let Request::Fetch(fetch) = request else { return None };
        let bytes = record(units(fetch)[0], &content.unit(units(fetch)[0])[..1000]);
        let mut stream = stream.take()?;
        Some(Box::pin(async move {
            let _ = stream.grant((), limits::CONTROL).await;
            let _ = stream.send.write_all(&bytes).await;
            // The peer's own pace: bytes are seen to come, then the stream ends.
            tokio::time::sleep(std::time::Duration::from_millis(600)).await;
            stream.finish();
        }))
    });
    alone(slowly);
}
