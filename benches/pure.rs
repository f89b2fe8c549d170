//! What one core does without a network: hashing with the chunk list, the frame codec, the picker, the name search.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use qshare::io::share::hash::hash_file;
use qshare::io::share::stamp::FileStamp;
use qshare::logic::offers::names::{FoldedNames, Needle};
use qshare::logic::offers::search::{Search, Window};
use qshare::logic::offers::table::OfferTable;
use qshare::logic::picker::{Picker, RequestId, Span, State, Taker};
use qshare::model::{ContentId, Hit, NodeId, Offer, Provider, Query, SafePath, UnitMap};
use qshare::wire::codec::LEN;
use qshare::wire::{HitPage, decode, encode, limits};

const MIB: u64 = 1 << 20;

/// A file of 64 MiB from the page cache, on all cores: the id and its 64 chaining values.
fn hashing(c: &mut Criterion) {
    let bytes = 64 * MIB;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    let mut content = vec![0; usize::try_from(bytes).expect("fits")];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    std::fs::write(&path, &content).expect("written");
    let stamp = FileStamp::of(&path.metadata().expect("there"));
    let mut group = c.benchmark_group("hash");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    group.bench_function("64 MiB with chunk list", |b| {
        b.iter(|| hash_file(black_box(&path), &stamp, &|_| (), &AtomicBool::new(false)).expect("unchanged"));
    });
    group.finish();
}

/// A page as a search fills it: 1000 hits with two providers each.
fn codec(c: &mut Criterion) {
    let provider = |n: u32| Provider {
        node: NodeId::of_public_key(&n.to_be_bytes()),
        addrs: vec![format!("10.0.{}.{}:4917", n / 250 % 250, n % 250).parse().expect("an address")],
    };
    let hit = |n: u32| Hit {
        names: vec![name(n)],
        providers: vec![provider(n), provider(n + 1)],
        ..Hit::file(Some(ContentId::of(&n.to_be_bytes())), u64::from(n) * MIB)
    };
    let page = HitPage { hits: (0..1000).map(hit).collect(), more: 0 };
    let frame = encode(&page, limits::PAGE).expect("a page");
    let mut group = c.benchmark_group("codec");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("encode a page of 1000 hits", |b| b.iter(|| encode(black_box(&page), limits::PAGE)));
    group.bench_function("decode a page of 1000 hits", |b| {
        b.iter(|| decode::<HitPage>(black_box(&frame[LEN..])).expect("a page"));
    });
    group.finish();
}

/// All 10,000 units of a file of 40 GiB, asked for and completed in spans of 16 by four providers in turn.
fn picker(c: &mut Criterion) {
    let map = Arc::new(UnitMap::of_file(ContentId::of(b"x"), 40_000 * MIB).expect("not too large"));
    let units = map.units();
    assert_eq!(units, 10_000);
    let mut fresh = Picker::new(map, 1);
    (0..units).for_each(|unit| fresh.set(unit, State::Wanted));
    let span = Span { bytes: 64 * MIB, units: 16, ranges: 256 };
    let mut group = c.benchmark_group("picker");
    group.throughput(Throughput::Elements(units.into()));
    group.bench_function("10,000 units by region", |b| {
        let acquire = |picker: &mut Picker, request: RequestId, node| {
            picker.acquire_region(request, Taker { node, rate: 0 }, span, |_| true)
        };
        b.iter_batched(|| fresh.clone(), |picker| pick_all(picker, acquire), BatchSize::LargeInput);
    });
    group.sample_size(20);
    group.bench_function("10,000 units rarest first", |b| {
        let acquire = |picker: &mut Picker, request: RequestId, _| picker.acquire_rarest(request, None, span, |_| true);
        b.iter_batched(|| fresh.clone(), |picker| pick_all(picker, acquire), BatchSize::LargeInput);
    });
    group.finish();
}

fn pick_all(mut picker: Picker, acquire: impl Fn(&mut Picker, RequestId, NodeId) -> Vec<u32>) -> Picker {
    let nodes = [1, 2, 3, 4].map(|n| NodeId::from_bytes([n; 32]));
    for request in 0.. {
        let taken = acquire(&mut picker, RequestId(request as u64), nodes[request % nodes.len()]);
        if taken.is_empty() {
            break;
        }
        for unit in taken {
            picker.complete(unit);
        }
    }
    assert_eq!(picker.missing(), 0);
    picker
}

/// 100,000 names of five components; words that are rare, frequent and in no name; patterns with and without a literal part,
/// and the dearest of them; words that are nearly spelled so.
fn names(c: &mut Criterion) {
    let mut all = FoldedNames::default();
    for n in 0..100_000 {
        all.push(&name(n)).expect("room");
    }
    let mut group = c.benchmark_group("search 100,000 names");
    let cases =
        [("one", vec!["chapter-77777"], 1), ("many", vec!["chapter", "shelf-3"], 10_000), ("none", vec!["zzz"], 0)];
    // All states that a pattern may have, of which the last is never reached.
    let dear = format!("*[/]{}", "?".repeat(240));
    let patterns = [
        ("pattern", vec!["chapter-777??.pdf"], 100),
        ("pattern without literal", vec!["*[0-7][0-7][0-7][0-7][0-7][.]???"], 32_768),
        ("dearest pattern", vec![dear.as_str()], 0),
    ];
    for (case, words, found) in cases.into_iter().chain(patterns) {
        let query = Query::parse(&words).expect("words");
        let needle = Needle::new(&query);
        assert!((found..=2 * found).contains(&all.find(&needle).count()), "{case}");
        group.bench_function(case, |b| b.iter(|| all.find(black_box(&needle)).count()));
    }
    for (case, words) in [("near", "chpater shellf"), ("near none", "turinng")] {
        let query = Query::parse(&[words]).expect("words").nearly();
        let needle = Needle::new(&query);
        group.bench_function(case, |b| b.iter(|| all.find(black_box(&needle)).count()));
    }
    group.finish();
}

/// The best thousand of 100,000 offers that all match: what costs a tracker most.
fn search(c: &mut Criterion) {
    let id = |n: u32| Some(ContentId::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes()));
    let offer = |n| Offer::file(name(n), 1, id(n));
    let mut table = OfferTable::default();
    table.change(Vec::new(), (0..100_000).map(offer).collect(), &mut |_| ());
    let query = Query::parse(&["shelf"]).expect("words");
    let window = Window { limit: 1000, skip: 0 };
    c.bench_function("search 100,000 that match", |b| {
        b.iter(|| {
            let mut search = Search::new(vec![&table], |_| true, |_| Vec::new());
            search.words(black_box(&query), window, &|| true).map(|page| page.hits.len())
        });
    });
}

fn name(n: u32) -> SafePath {
    let text = format!("library/shelf-{}/Collected Works/volume-{}/chapter-{n:05}.pdf", n % 10, n % 500);
    SafePath::parse(&text).expect("a name")
}

criterion_group!(benches, hashing, codec, picker, names, search);
criterion_main!(benches);
