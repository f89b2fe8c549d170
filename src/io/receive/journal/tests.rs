use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const BOOT: [u8; 16] = [7; 16];
const OTHER: [u8; 16] = [8; 16];

fn content() -> Content {
    Content { id: ContentId::of(b"content"), kind: Kind::File, size: 1 << 40 }
}

/// The journal's bytes, and where each record ends.
fn written(records: &[Record]) -> (Vec<u8>, Vec<u64>) {
    let mut bytes = header_of(&content()).to_vec();
    let mut sum: Sum = bytes[HEADER - SUM..].try_into().expect("eight bytes");
    let mut ends = Vec::new();
    for record in records {
        let (more, next) = encode(record, sum);
        bytes.extend(more);
        ends.push(bytes.len() as u64);
        sum = next;
    }
    (bytes, ends)
}

fn read(bytes: &[u8]) -> Option<(Content, Vec<Record>, u64)> {
    let (header, mut reader) = Reader::new(bytes, bytes.len() as u64).ok()?;
    let mut records = Vec::new();
    while let Some(record) = reader.record().expect("memory is readable") {
        records.push(record);
    }
    Some((header, records, reader.end()))
}

fn claimed(records: &[Record], boot: [u8; 16]) -> Vec<u32> {
    let (bytes, _) = written(records);
    let (_, mut reader) = Reader::new(&bytes[..], bytes.len() as u64).expect("sound");
    replay(&mut reader, 100, boot).expect("readable").have.iter().collect()
}

fn have(range: Range<u32>) -> Record {
    Record::Have(std::iter::once(range).collect())
}

fn session(boot: [u8; 16]) -> Record {
    Record::Session { boot, pid: 42 }
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        any::<u64>().prop_map(Record::Checkpoint),
        vec((0..1000_u32, 1..50_u32), 1..4).prop_map(|r| Record::Have(r.into_iter().map(|(s, n)| s..s + n).collect())),
        (any::<u32>(), vec(any::<u8>(), 0..100)).prop_map(|(file, values)| Record::List { file, values }),
        vec(any::<u8>(), 0..100).prop_map(Record::Manifest),
        (any::<[u8; 16]>(), any::<u32>()).prop_map(|(boot, pid)| Record::Session { boot, pid }),
        vec("[^\0]{1,8}", 0..4).prop_map(Record::Only),
        ".{0,20}".prop_map(Record::Target),
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_read(records in vec(any_record(), 0..20)) {
        let (bytes, _) = written(&records);
        prop_assert_eq!(read(&bytes), Some((content(), records, bytes.len() as u64)));
    }

    #[test]
    fn a_torn_journal_is_a_prefix(records in vec(any_record(), 0..20), cut in any::<prop::sample::Index>()) {
        let (bytes, ends) = written(&records);
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|&&end| end <= cut as u64).count();
        match read(&bytes[..cut]) {
            Some((_, found, _)) => prop_assert_eq!(&found, &records[..whole]),
            None => prop_assert!(cut < HEADER),
        }
    }

    #[test]
    fn a_bent_journal_is_a_prefix_up_to_the_bend(
        records in vec(any_record(), 1..20), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let (mut bytes, ends) = written(&records);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let whole = ends.iter().filter(|&&end| end <= at as u64).count();
        match read(&bytes) {
            Some((_, found, _)) => prop_assert_eq!(&found, &records[..whole]),
            None => prop_assert!(at < HEADER),
        }
    }

    #[test]
    fn a_record_moved_or_left_out_ends_the_reading(records in vec(any_record(), 2..10), out in any::<prop::sample::Index>()) {
        let (bytes, ends) = written(&records);
        let out = out.index(records.len() - 1);
        let from = if out == 0 { HEADER } else { usize::try_from(ends[out - 1]).expect("small") };
        let to = usize::try_from(ends[out]).expect("small");
        let found = read(&[&bytes[..from], &bytes[to..]].concat()).expect("the header is whole").1;
        prop_assert_eq!(&found, &records[..out]);
    }

    #[test]
    fn any_bytes_are_read_without_panic(tail in vec(any::<u8>(), 0..200)) {
        let bytes = [&header_of(&content())[..], &tail].concat();
        let (_, found, end) = read(&bytes).expect("the header is whole");
        prop_assert_eq!((found.len(), end), (0, HEADER as u64));
    }
}

#[test]
fn a_length_beyond_the_file_allocates_nothing() {
    let bytes = [&header_of(&content())[..], &[0xff; 64]].concat();
    assert_eq!(read(&bytes).expect("the header is whole").1, []);
}

#[test]
fn another_boot_counts_only_what_a_checkpoint_covers() {
    let mut records = vec![session(BOOT), have(0..5)];
    let (bytes, _) = written(&records);
    let upto = bytes.len() as u64;
    records.extend([have(7..8), Record::Checkpoint(upto), have(20..22)]);
    assert_eq!(claimed(&records, BOOT), [0, 1, 2, 3, 4, 7, 20, 21]);
    assert_eq!(claimed(&records, OTHER), [0, 1, 2, 3, 4]);
    // What the first boot lost stays lost in later sessions, and what they add counts.
    records.extend([session(OTHER), have(50..51)]);
    assert_eq!(claimed(&records, OTHER), [0, 1, 2, 3, 4, 50]);
    assert_eq!(claimed(&records, BOOT), [0, 1, 2, 3, 4]);
    records.extend([session(OTHER), Record::Checkpoint(u64::MAX)]);
    assert_eq!(claimed(&records, BOOT), [0, 1, 2, 3, 4, 50]);
}

#[test]
fn units_beyond_the_content_are_not_claimed() {
    assert_eq!(claimed(&[session(BOOT), have(98..u32::MAX)], BOOT), [98, 99]);
}

#[test]
fn a_journal_of_another_version_is_told_from_a_torn_one() {
    let mut bytes = header_of(&content());
    bytes[7] = 2;
    let sum = sum_of(&[&bytes[..49]]);
    bytes[49..].copy_from_slice(&sum);
    assert!(matches!(Reader::new(&bytes[..], HEADER as u64), Err(HeaderError::Version)));
    assert!(matches!(Reader::new(&[0; HEADER][..], HEADER as u64), Err(HeaderError::Torn)));
}

#[test]
fn the_bytes_are_those_of_the_document() {
    let content = Content { id: ContentId::from_bytes([0xab; 32]), kind: Kind::Collection, size: 258 };
    let bytes = header_of(&content);
    assert_eq!(&bytes[..17], b"qsharej\x01\x01\0\0\0\0\0\0\x01\x02");
    assert_eq!(&bytes[17..49], [0xab; 32]);
    let bodies: [(Record, &[u8]); 5] = [
        (
            Record::Session { boot: [9; 16], pid: 258 },
            b"\x01\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\0\0\x01\x02",
        ),
        (Record::Manifest(b"m".to_vec()), b"\x02m"),
        (Record::List { file: 3, values: b"v".to_vec() }, b"\x03\0\0\0\x03v"),
        (Record::Have(vec![1..3, 5..6]), b"\x04\0\0\0\x01\0\0\0\x03\0\0\0\x05\0\0\0\x06"),
        (Record::Checkpoint(258), b"\x05\0\0\0\0\0\0\x01\x02"),
    ];
    for (record, body) in bodies {
        assert_eq!(record.body(), body);
        let (whole, sum) = encode(&record, [0; 8]);
        assert_eq!(whole, [&u32::try_from(body.len()).expect("short").to_be_bytes(), body, &sum].concat());
    }
}

#[test]
fn a_failed_append_leaves_the_journal_as_it_was_and_a_torn_tail_is_cut() {
    let file = tempfile::tempfile().expect("temporary file");
    let mut log = Log::begin(file.try_clone().expect("cloned"), &content()).expect("begun");
    log.append(&session(BOOT)).expect("appended");
    log.append(&have(3..4)).expect("appended");
    let end = log.end();
    crate::io::positional::write_all_at(&file, b"torn", end).expect("written");
    let (found, claims, mut log) =
        Log::resume(file.try_clone().expect("cloned"), |_| 10, BootId(BOOT)).expect("resumed");
    assert_eq!((found, claims.have.iter().collect(), claims.pid, log.end()), (content(), vec![3], Some(42), end));
    assert_eq!(file.metadata().expect("known").len(), end);
    log.append(&have(5..6)).expect("appended");
    let (_, claims, _) = Log::resume(file, |_| 10, BootId(BOOT)).expect("resumed");
    assert_eq!(claims.have.ranges(), [3..4, 5..6]);
}
