//! Providers that send a byte now and then: what is waited for must move, or it is asked for elsewhere, or the wait ends.

mod common;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use qshare::actors::serve::Stream;
use qshare::wire::{Request, limits};

use common::scripted::{Answering, Content, Guise, Script, Scripted, honest, list_of, record, units};
use common::{Lab, noise};

const MIB: usize = 1 << 20;
/// `{"Ok": nil}` as a frame: the answer to a Fetch or a Watch.
const GRANTED: [u8; 9] = [0, 0, 0, 5, 0x81, 0xa2, b'O', b'k', 0xc0];

/// Honest but for the requests of which `bytes` makes what it sends: some at once, and the rest a byte each 300 ms.
fn slowly<F>(bytes: F) -> Script
where
    F: Fn(&Request, &Content) -> Option<(Vec<u8>, Vec<u8>)> + Send + Sync + 'static,
{
    Arc::new(move |request, content, mut stream: Stream| match bytes(&request, &content) {
        Some((first, rest)) => Box::pin(async move {
            let _ = stream.send.write_all(&first).await;
            for byte in rest {
                if stream.send.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            stream.finish();
        }) as Answering,
        None => Box::pin(honest(request, content, stream)),
    })
}

fn first_unit(request: &Request, content: &Content) -> Option<Vec<u8>> {
    let Request::Fetch(fetch) = request else { return None };
    let unit = units(fetch)[0];
    Some(record(unit, content.unit(unit)))
}

fn units_trickle() -> Script {
    slowly(|request, content| Some((GRANTED.to_vec(), first_unit(request, content)?)))
}

fn lists_trickle(bytes: &[u8]) -> Script {
    let values = list_of(bytes).as_bytes().to_vec();
    slowly(move |request, _| {
        let Request::List(_) = request else { return None };
        // `{"Ok": {"chunks": n}}`, as a frame.
        let chunks = u8::try_from(values.len() / 32).expect("few");
        let mut head = vec![0, 0, 0, 13, 0x81, 0xa2, b'O', b'k', 0x81, 0xa6];
        head.extend(b"chunks");
        head.push(chunks);
        Some((head, values.clone()))
    })
}

fn answers_trickle() -> Script {
    slowly(|request, _| matches!(request, Request::Fetch(_)).then(|| (Vec::new(), GRANTED.repeat(20))))
}

fn events_trickle() -> Script {
    slowly(|request, _| {
        let Request::Watch(_) = request else { return None };
        // An event of 60,000 bytes, as it says.
        Some((GRANTED.to_vec(), [&60_000_u32.to_be_bytes()[..], &[0xc0; 5000]].concat()))
    })
}

/// As fast as it goes, and each unit is broken off in its middle.
fn units_break_off() -> Script {
    Arc::new(move |request, content, mut stream: Stream| match first_unit(&request, &content) {
        Some(bytes) => Box::pin(async move {
            let _ = stream.grant((), limits::CONTROL).await;
            let _ = stream.send.write_all(&bytes[..bytes.len() / 2]).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = stream.send.reset(3_u32.into());
        }) as Answering,
        None => Box::pin(honest(request, content, stream)),
    })
}

/// With nobody else the wait ends, and says who it was.
fn ends_alone(script: impl FnOnce(&[u8]) -> Script) {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(1, 4 * MIB), lab.tracker());
    let slow = Scripted::start(&tracker, &Guise::file("slow.bin"), Content::file(&bytes), script(&bytes));
    let ended = lab.get(&tracker, &["slow.bin", "--wait", "5s"]);
    let sentence = ended.error(6);
    assert!(sentence.contains(&slow.node.short()), "{sentence}: {ended:#?}");
    assert!(!lab.path("slow.bin").exists());
    eprintln!("{sentence}");
}

#[test]
fn units_that_trickle_end_with_the_wait() {
    ends_alone(|_| units_trickle());
}

#[test]
fn lists_that_trickle_end_with_the_wait() {
    ends_alone(lists_trickle);
}

#[test]
fn answers_that_trickle_end_with_the_wait() {
    ends_alone(|_| answers_trickle());
}

#[test]
fn events_that_trickle_end_with_the_wait() {
    ends_alone(|_| events_trickle());
}

#[test]
fn units_that_are_always_broken_off_end_with_the_wait() {
    ends_alone(|_| units_break_off());
}

/// Beside an honest one it holds nothing up: at this rate its part would take a day.
fn is_taken_over(script: impl FnOnce(&[u8]) -> Script) {
    let lab = Lab::new();
    let (bytes, tracker) = (noise(2, 8 * MIB + 5), lab.tracker());
    let file = lab.file("shared/both.bin", &bytes);
    let honest = lab.share(&tracker, &[&file], &["--limit", "4MiB/s"]);
    let slow = Scripted::start(&tracker, &Guise::file("both.bin"), Content::file(&bytes), script(&bytes));
    let ended = lab.get(&tracker, &["both.bin"]);
    assert!(fs::read(lab.path("both.bin")).expect("published") == bytes);
    let given = ended.done()["providers"].as_array().expect("a list");
    assert!(given.iter().any(|provider| provider["node"] == honest.id.as_str()), "{given:?}");
    let asked = slow.asked.fetches() + slow.asked.lists() + slow.asked.watches();
    assert!(asked > 0, "it was asked");
}

#[test]
fn units_that_trickle_are_taken_over() {
    is_taken_over(|_| units_trickle());
}

#[test]
fn lists_that_trickle_are_taken_over() {
    is_taken_over(lists_trickle);
}

#[test]
fn events_that_trickle_hold_nothing_up() {
    is_taken_over(|_| events_trickle());
}
