//! Providers that send a byte now and then.

use std::sync::Arc;
use std::time::Duration;

use qshare::actors::serve::Stream;
use qshare::io::net::frames;
use qshare::model::{ContentId, Offer, SafePath};
use qshare::wire::{LeftOut, ManifestHead, Request, ResolveEvent, limits};

use super::scripted::{Answering, Content, Script, honest, list_of, record, units};

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

pub fn units_trickle() -> Script {
    slowly(|request, content| Some((GRANTED.to_vec(), first_unit(request, content)?)))
}

pub fn lists_trickle(bytes: &[u8]) -> Script {
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

pub fn answers_trickle() -> Script {
    slowly(|request, _| matches!(request, Request::Fetch(_)).then(|| (Vec::new(), GRANTED.repeat(20))))
}

pub fn events_trickle() -> Script {
    slowly(|request, _| {
        let Request::Watch(_) = request else { return None };
        // An event of 60,000 bytes, as it says.
        Some((GRANTED.to_vec(), [&60_000_u32.to_be_bytes()[..], &[0xc0; 5000]].concat()))
    })
}

/// As fast as it goes, and each unit is broken off in its middle.
pub fn units_break_off() -> Script {
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

/// The head of a collection's list, and then the list.
pub fn manifests_trickle() -> Script {
    slowly(|request, content| {
        let Request::Manifest(_) = request else { return None };
        // `{"Ok": {"len": n}}`, as a frame.
        let mut head = vec![0, 0, 0, 18, 0x81, 0xa2, b'O', b'k', 0x81, 0xa3];
        head.extend(b"len");
        head.push(0xcf);
        head.extend((content.manifest.len() as u64).to_be_bytes());
        head[3] = u8::try_from(head.len() - 4).expect("short");
        Some((head, content.manifest.clone()))
    })
}

/// The head of a collection's list, and then nothing.
pub fn manifests_never() -> Script {
    Arc::new(|request, content, mut stream: Stream| match request {
        Request::Manifest(_) => Box::pin(async move {
            let _ = stream
                .grant(
                    ManifestHead { len: content.manifest.len() as u64, left_out: LeftOut::default() },
                    limits::CONTROL,
                )
                .await;
            std::future::pending().await
        }) as Answering,
        request => Box::pin(honest(request, content, stream)),
    })
}

/// What is to be hashed first is granted, and then an event of 60,000 bytes, as it says.
pub fn resolves_trickle() -> Script {
    slowly(|request, _| {
        let Request::Resolve(_) = request else { return None };
        Some((GRANTED.to_vec(), [&60_000_u32.to_be_bytes()[..], &[0xc0; 5000]].concat()))
    })
}

/// The head of a list of 100 MB, and then so much of it as a slow line carries: 100 KB a second.
pub fn manifests_great() -> Script {
    Arc::new(|request, content, mut stream: Stream| match request {
        Request::Manifest(_) => Box::pin(async move {
            let head = ManifestHead { len: 100_000_000, left_out: LeftOut::default() };
            let _ = stream.grant(head, limits::CONTROL).await;
            let _ = stream.send.write_all(&vec![b'a'; 1 << 20]).await;
            while stream.send.write_all(&[b'a'; 10_000]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }) as Answering,
        request => Box::pin(honest(request, content, stream)),
    })
}

/// What is to be hashed is hashed at 1 MiB a second, as it says.
pub fn resolves_rise() -> Script {
    Arc::new(|request, content, mut stream: Stream| match request {
        Request::Resolve(_) => Box::pin(async move {
            let _ = stream.grant((), limits::CONTROL).await;
            for step in 0.. {
                let event = ResolveEvent::Hashing(step * (1 << 18), 1 << 40);
                if frames::send(&mut stream.send, &event, limits::CONTROL).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }) as Answering,
        request => Box::pin(honest(request, content, stream)),
    })
}

/// What is to be hashed has an id at once.
pub fn resolves_at_once(name: &'static str, bytes: &[u8]) -> Script {
    let name = SafePath::parse(name).expect("a name");
    let offer = Offer::file(name, bytes.len() as u64, Some(ContentId::of(bytes)));
    Arc::new(move |request, content, mut stream: Stream| match request {
        Request::Resolve(_) => {
            let event = ResolveEvent::Done(offer.clone());
            Box::pin(async move {
                let _ = stream.grant((), limits::CONTROL).await;
                let _ = frames::send(&mut stream.send, &event, limits::CONTROL).await;
                stream.finish();
            }) as Answering
        }
        request => Box::pin(honest(request, content, stream)),
    })
}
