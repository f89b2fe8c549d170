//! The codec never panics, whatever comes, and gives back what it was given, for every message.

use std::fmt::Debug;
use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use qshare::model::{Content, ContentId, Epoch, Hit, Kind, Modified, NodeId, Offer, Provider, PutId, SafePath};
use qshare::wire::codec::{LEN, decode_request, length};
use qshare::wire::limits::PAGE;
use qshare::wire::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) -> Result<(), TestCaseError> {
    let frame = encode(message, PAGE).expect("small");
    let prefix = frame[..LEN].try_into().expect("four bytes");
    prop_assert_eq!(length(prefix, PAGE).expect("its own"), frame.len() - LEN);
    prop_assert_eq!(&decode::<T>(&frame[LEN..]).expect("its own"), message);
    Ok(())
}

/// Whatever it makes of them, it returns.
fn try_all(bytes: &[u8]) {
    let _ = decode_request(bytes);
    let _ = decode::<Answer<()>>(bytes);
    let _ = decode::<Answer<Announced>>(bytes);
    let _ = decode::<Answer<HitPage>>(bytes);
    let _ = decode::<Answer<ListHead>>(bytes);
    let _ = decode::<Answer<ManifestHead>>(bytes);
    let _ = decode::<Answer<OfferPage>>(bytes);
    let _ = decode::<Answer<PeerPage>>(bytes);
    let _ = decode::<Answer<Renewed>>(bytes);
    let _ = decode::<Delta>(bytes);
    let _ = decode::<FollowEvent>(bytes);
    let _ = decode::<HaveEvent>(bytes);
    let _ = decode::<ResolveEvent>(bytes);
    let _ = decode::<Welcome>(bytes);
}

fn id() -> impl Strategy<Value = ContentId> {
    any::<[u8; 32]>().prop_map(ContentId::from_bytes)
}

fn node() -> impl Strategy<Value = NodeId> {
    any::<[u8; 32]>().prop_map(NodeId::from_bytes)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Collection), Just(Kind::File)]
}

fn path() -> impl Strategy<Value = SafePath> {
    vec("[a-zA-Z0-9 äß_\\\\:-]{1,12}", 1..4).prop_map(|parts| SafePath::parse(&parts.join("/")).expect("plain names"))
}

fn addr() -> impl Strategy<Value = SocketAddr> {
    let four = (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from);
    let six = (any::<[u16; 8]>(), any::<u16>()).prop_map(SocketAddr::from);
    prop_oneof![four, six]
}

fn part() -> impl Strategy<Value = Content> {
    (id(), kind(), any::<u64>()).prop_map(|(id, kind, size)| Content { id, kind, size })
}

fn offer() -> impl Strategy<Value = Offer> {
    let fields = (path(), any::<u64>(), option::of(id()), kind(), any::<u32>(), any::<(bool, bool, u64)>());
    fields.prop_map(|(name, size, id, kind, files, (locked, executable, seconds))| Offer {
        name,
        size,
        id,
        kind,
        files,
        locked,
        executable,
        modified: Modified::new(seconds % (1 << 39)),
    })
}

fn provider() -> impl Strategy<Value = Provider> {
    (node(), vec(addr(), 0..4)).prop_map(|(node, addrs)| Provider { node, addrs })
}

fn hit() -> impl Strategy<Value = Hit> {
    let fields = (option::of(id()), kind(), any::<u64>(), vec(path(), 0..4), vec(provider(), 0..4));
    fields.prop_map(|(id, kind, size, names, providers)| Hit { kind, names, providers, ..Hit::file(id, size) })
}

fn ranges() -> impl Strategy<Value = Vec<(u32, u32)>> {
    vec((any::<u32>(), any::<u32>()), 0..50)
}

fn put_item() -> impl Strategy<Value = PutItem> {
    let fields = (path(), id(), kind(), any::<u64>(), any::<u32>(), any::<bool>());
    fields.prop_map(|(name, id, kind, size, files, executable)| PutItem { name, id, kind, size, files, executable })
}

fn request() -> impl Strategy<Value = Request> {
    let announce = (any::<u64>(), any::<u64>(), any::<bool>(), vec(addr(), 0..5), any::<u16>());
    let announce = announce.prop_map(|(epoch, seq, full, candidates, port)| {
        Request::Announce(Announce { epoch: Epoch(epoch), seq, full, candidates, port })
    });
    let bench = (any::<u64>(), any::<bool>(), any::<bool>());
    let fetch = (id(), any::<u64>(), ranges(), any::<u32>());
    let search = (vec(".{0,20}", 0..4), any::<u32>(), any::<u32>(), any::<(bool, bool, bool)>());
    prop_oneof![
        announce,
        bench.prop_map(|(bytes, download, file)| Request::Bench(Bench { bytes, download, file })),
        Just(Request::Clock(Clock {})),
        fetch.prop_map(|(id, size, units, max)| Request::Fetch(Fetch { id, size, units, max })),
        (option::of(node()), option::of(path())).prop_map(|(node, after)| Request::FilesOf(FilesOf { node, after })),
        part().prop_map(Request::Follow),
        (id(), any::<u64>(), any::<u32>()).prop_map(|(id, size, unit)| Request::List(List { id, size, unit })),
        id().prop_map(|id| Request::Locate(Locate { id })),
        id().prop_map(|id| Request::Manifest(Manifest { id })),
        option::of(node()).prop_map(|after| Request::Peers(Peers { after })),
        (any::<[u8; 16]>(), vec(put_item(), 0..4), ".{0,20}", vec(provider(), 0..4)).prop_map(
            |(put, items, text, receivers)| {
                Request::Put(Put { put: PutId::from_bytes(put), items, text, receivers })
            }
        ),
        (any::<u64>(), any::<u64>()).prop_map(|(epoch, seq)| Request::Renew(Renew { epoch: Epoch(epoch), seq })),
        path().prop_map(|name| Request::Resolve(Resolve { name })),
        search.prop_map(|(words, limit, skip, (glob, ids, near))| {
            Request::Search(Search { words, limit, skip, glob, ids, near })
        }),
        (id(), any::<u64>()).prop_map(|(id, size)| Request::Watch(Watch { id, size })),
        any::<u64>().prop_map(|epoch| Request::Withdraw(Withdraw { epoch: Epoch(epoch) })),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    (any::<u32>(), any::<u32>()).prop_map(|(code, retry_ms)| Refusal { code: code.into(), retry_ms })
}

fn delta() -> impl Strategy<Value = Delta> {
    let fields = (vec(offer(), 0..4), vec(path(), 0..4), vec(part(), 0..4), vec(part(), 0..4));
    fields.prop_map(|(add, remove, join, leave)| Delta { add, remove, join, leave })
}

fn have() -> impl Strategy<Value = HaveEvent> {
    let fields = (ranges(), any::<bool>(), any::<u32>(), any::<bool>(), ranges(), any::<bool>());
    fields.prop_map(|(units, complete, fetching, gone, changed, executable)| HaveEvent {
        units,
        complete,
        fetching,
        gone,
        changed,
        executable,
    })
}

fn left_out() -> impl Strategy<Value = LeftOut> {
    let file = (path(), any::<u32>()).prop_map(|(path, why)| LeftOutFile { path, why: why.into() });
    (vec(file, 0..4), any::<u32>()).prop_map(|(files, more)| LeftOut { files, more })
}

fn resolved() -> impl Strategy<Value = ResolveEvent> {
    prop_oneof![
        offer().prop_map(ResolveEvent::Done),
        (any::<u64>(), any::<u64>()).prop_map(|(done, total)| ResolveEvent::Hashing(done, total)),
        refusal().prop_map(ResolveEvent::Failed),
    ]
}

fn answer<T: Debug>(granted: impl Strategy<Value = T>) -> impl Strategy<Value = Answer<T>> {
    prop_oneof![granted.prop_map(Ok), refusal().prop_map(Err)]
}

fn announced() -> impl Strategy<Value = Announced> {
    let fields = (any::<u64>(), any::<u64>(), any::<u32>(), vec(addr(), 0..5));
    fields.prop_map(|(taken, refused, lease_ms, reachable)| Announced { taken, refused, lease_ms, reachable })
}

proptest! {
    #[test]
    fn every_request_comes_back(request in request()) {
        same(&request)?;
        let frame = encode(&request, PAGE).expect("small");
        prop_assert_eq!(decode_request(&frame[LEN..]).expect("its own"), request);
    }

    #[test]
    fn every_answer_comes_back(
        announced in answer(announced()),
        hits in answer((vec(hit(), 0..4), any::<u64>()).prop_map(|(hits, more)| HitPage { hits, more })),
        list in answer(any::<u32>().prop_map(|chunks| ListHead { chunks })),
        manifest in answer((any::<u64>(), left_out()).prop_map(|(len, left_out)| ManifestHead { len, left_out })),
        offers in answer((vec(offer(), 0..4), any::<bool>()).prop_map(|(offers, more)| OfferPage { offers, more })),
        renewed in answer((any::<bool>(), vec(addr(), 0..5), any::<Option<u64>>(), any::<u64>())
            .prop_map(|(known, reachable, held, room)| Renewed { known, reachable, held, room })),
        peer in (node(), vec(addr(), 0..4), any::<u64>()).prop_map(|(node, addrs, offers)| Peer { node, addrs, offers }),
        unit in answer(Just(())),
    ) {
        same(&announced)?;
        same(&hits)?;
        same(&list)?;
        same(&manifest)?;
        same(&offers)?;
        same(&renewed)?;
        same(&Answer::Ok(PeerPage { peers: vec![peer], more: true }))?;
        same(&unit)?;
    }

    #[test]
    fn every_event_comes_back(delta in delta(), have in have(), resolved in resolved(), providers in vec(provider(), 0..4)) {
        same(&delta)?;
        same(&have)?;
        same(&resolved)?;
        let left = providers.iter().map(|provider| provider.node).collect();
        same(&FollowEvent { joined: providers, left })?;
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        try_all(&bytes);
    }

    /// Nearer to the truth than random bytes: a right frame with some bytes changed, or cut short.
    #[test]
    fn damaged_frames_never_panic(
        request in request(),
        delta in delta(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for mut frame in [encode(&request, PAGE).expect("small"), encode(&delta, PAGE).expect("small")] {
            let value = &mut frame[LEN..];
            for (place, byte) in &damage {
                value[place.index(value.len())] = *byte;
            }
            try_all(value);
            try_all(&value[..cut.index(value.len())]);
        }
    }
}
