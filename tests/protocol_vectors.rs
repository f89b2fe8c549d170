//! The vectors of `docs/protocol.md` against what the code makes; `tests/interop` holds the same against its own code.

use qshare::io::home::identity;
use qshare::model::query::glob::Glob;
use qshare::model::query::near::Spelling;
use qshare::model::units::chunk_list::{chunk_value, root};
use qshare::model::{ChunkIndex, Collection, ContentId, Layout, Modified, NodeId, SafePath, UnitMap};

const PROTOCOL: &str = include_str!("../docs/protocol.md");

/// The lines of a block of vectors.
fn vectors(name: &str) -> Vec<&'static str> {
    let (_, block) = PROTOCOL.split_once(&format!("```vectors {name}\n")).expect(name);
    let (block, _) = block.split_once("\n```").expect("its end");
    block.lines().collect()
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(' ').map(|word| word.parse().expect(line)).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect(hex)
}

#[test]
fn chunks_are_as_long_as_the_document_says() {
    let lines = vectors("chunks");
    assert!(lines.len() > 8);
    for line in lines {
        if let Some(size) = line.strip_suffix(" none") {
            assert_eq!(Layout::of(size.parse().expect(line)), None);
            continue;
        }
        let [size, chunk, chunks, last] = numbers(line)[..] else { panic!("{line}") };
        let layout = Layout::of(size).expect(line);
        let at = u32::try_from(chunks).expect(line).checked_sub(1);
        let length = at.map_or(0, |at| layout.len(ChunkIndex(at)));
        assert_eq!((layout.chunk_size(), u64::from(layout.chunks()), length), (chunk, chunks, last), "{line}");
    }
}

#[test]
fn dates_are_those_that_the_document_takes() {
    for line in vectors("dates") {
        let (seconds, day) = line.split_once(' ').expect(line);
        assert_eq!(Modified::new(seconds.parse().expect(line)).is_some(), day != "nil", "{line}");
    }
}

fn json(line: &str) -> Vec<serde_json::Value> {
    serde_json::Deserializer::from_str(line).into_iter().map(|value| value.expect("JSON")).collect()
}

#[test]
fn patterns_match_as_the_document_says() {
    let lines = vectors("patterns");
    assert!(lines.len() > 10);
    for line in lines {
        let (says, rest) = line.split_once(' ').expect(line);
        let [pattern, name] = &json(rest)[..] else { panic!("{line}") };
        let [pattern, name] = [pattern, name].map(|value| value.as_str().expect(line));
        let glob = Glob::parse(pattern).expect("a pattern").expect(line);
        assert_eq!(glob.matches(name), says == "yes", "{line}");
    }
}

#[test]
fn mistakes_are_forgiven_as_the_document_says() {
    let lines = vectors("near");
    assert!(lines.len() > 5);
    for line in lines {
        let (most, rest) = line.split_once(' ').expect(line);
        let [word, other] = &json(rest)[..] else { panic!("{line}") };
        let [word, other] = [word, other].map(|value| value.as_str().expect(line));
        let mistakes = Spelling::of(word).and_then(|spelling| spelling.mistakes(other));
        assert_eq!(mistakes, most.parse().ok(), "{line}");
    }
}

#[test]
fn a_node_id_is_what_the_document_says() {
    let lines = vectors("node-id");
    let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).expect("a field").trim();
    let id = NodeId::of_public_key(&bytes(field("spki")));
    assert_eq!((id.as_bytes().to_vec(), id.to_string()), (bytes(field("id")), field("text").to_owned()));
    let own = identity::Identity::ephemeral().expect("randomness").node_id();
    assert_eq!(own.to_string().parse(), Ok(own));
}

#[test]
fn chaining_values_merge_as_the_document_says() {
    let lines = vectors("chunk-lists");
    let files: Vec<Vec<&str>> = lines.chunk_by(|_, next| !next.starts_with("file ")).map(<[_]>::to_vec).collect();
    assert!(files.len() >= 5);
    for file in files {
        let field = |name: &str| -> Vec<&str> { file.iter().filter_map(|line| line.strip_prefix(name)).collect() };
        let size: usize = field("file ")[0].parse().expect("a size");
        let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).expect("below 251")).collect();
        let layout = Layout::of(size as u64).expect("small");
        let chunks = content.chunks(usize::try_from(layout.chunk_size()).expect("small"));
        let listed = chunks.filter(|_| layout.needs_list());
        let values: Vec<[u8; 32]> = (0..).zip(listed).map(|(n, c)| chunk_value(layout, ChunkIndex(n), c)).collect();
        assert_eq!(values.iter().map(|v| v.to_vec()).collect::<Vec<_>>(), field("value ").map_bytes());
        let id = ContentId::of(&content);
        assert_eq!(vec![id.to_string()], field("id "));
        if !values.is_empty() {
            assert_eq!(root(&values), id);
        }
        for inner in field("inner ") {
            let (of, hex) = inner.split_once(' ').expect("a range and a value");
            let (first, last) = of.split_once('-').expect("two numbers");
            let pair = [first, last].map(|at| values[at.parse::<usize>().expect("an index")]);
            let node = blake3::hazmat::merge_subtrees_non_root(&pair[0], &pair[1], blake3::hazmat::Mode::Hash);
            assert_eq!(node.to_vec(), bytes(hex));
        }
    }
}

trait Bytes {
    fn map_bytes(self) -> Vec<Vec<u8>>;
}

impl Bytes for Vec<&str> {
    fn map_bytes(self) -> Vec<Vec<u8>> {
        self.into_iter().map(bytes).collect()
    }
}

#[test]
fn a_collection_is_what_the_document_says() {
    let manifest = vectors("collection").join("\n") + "\n";
    let collection = Collection::parse(manifest.as_bytes()).expect("canonical");
    assert_eq!(collection.manifest(), manifest.as_bytes());
    let units = UnitMap::of_collection(&collection).expect("small");
    let mut made = vec![
        format!("id {}", ContentId::of(manifest.as_bytes())),
        format!("size {}", collection.bytes()),
        format!("files {}", collection.files()),
    ];
    let files = units.files().iter().filter(|file| file.layout.chunks() > 0);
    made.extend(files.map(|file| format!("units {} {} {}", file.first, file.layout.chunks(), file.id)));
    assert_eq!(made, vectors("collection-units"));
}

#[test]
fn paths_are_safe_or_not_as_the_document_says() {
    let lines = vectors("paths");
    assert!(lines.len() > 25);
    for line in lines {
        let (word, json) = line.split_once(' ').expect(line);
        let path: String = serde_json::from_str(json).expect(line);
        assert_eq!(SafePath::parse(&path).is_ok(), word == "ok", "{line}");
    }
}
