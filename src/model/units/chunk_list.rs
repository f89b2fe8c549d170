//! The BLAKE3 chaining values of a file's chunks: proof for each chunk, from any source.
//! Invariant: a list that exists merges to its content id. It does not by itself prove the file's size
//! (the BLAKE3 root does not commit to the length): that takes the last chunk, see the transfer logic.

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::model::{ChunkIndex, ContentId, Layout};

/// Bytes of one chaining value.
pub const CV_LEN: usize = 32;

/// Why bytes are not the chunk list of a content id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The number of chaining values is not the number of chunks.
    #[error("the chunk list has the wrong length")]
    Length,
    /// The values do not merge to the content id.
    #[error("the chunk list does not belong to the content id")]
    Root,
}

/// What proves the chunks of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkList {
    id: ContentId,
    layout: Layout,
    values: Vec<[u8; CV_LEN]>,
}

impl ChunkList {
    /// A list from its chaining values, one per chunk; none for a file of at most one chunk.
    ///
    /// # Errors
    /// When the count is wrong or the values do not merge to `id`.
    pub fn new(id: ContentId, layout: Layout, values: Vec<[u8; CV_LEN]>) -> Result<Self, ListError> {
        let expected = if layout.needs_list() { layout.chunks() as usize } else { 0 };
        if values.len() != expected {
            return Err(ListError::Length);
        }
        if layout.needs_list() && root(&values) != id {
            return Err(ListError::Root);
        }
        Ok(Self { id, layout, values })
    }

    /// Like [`ChunkList::new`], from the concatenated values as they travel.
    ///
    /// # Errors
    /// As [`ChunkList::new`].
    pub fn from_bytes(id: ContentId, layout: Layout, bytes: &[u8]) -> Result<Self, ListError> {
        let (values, rest) = bytes.as_chunks::<CV_LEN>();
        if !rest.is_empty() {
            return Err(ListError::Length);
        }
        Self::new(id, layout, values.to_vec())
    }

    /// The concatenated values, as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.values.as_flattened()
    }

    /// The content id that the list belongs to.
    #[must_use]
    pub const fn id(&self) -> ContentId {
        self.id
    }

    /// The layout that the list belongs to.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The chaining value of a chunk; it is that of the same bytes at the same place in any other file. `None` when there
    /// is no such chunk, or the file has only one.
    #[must_use]
    pub fn value(&self, index: ChunkIndex) -> Option<[u8; CV_LEN]> {
        self.values.get(index.0 as usize).copied()
    }

    /// Whether these bytes are exactly that chunk.
    #[must_use]
    pub fn proves(&self, index: ChunkIndex, bytes: &[u8]) -> bool {
        if bytes.len() as u64 != self.layout.len(index) {
            return false;
        }
        match self.value(index) {
            Some(value) => chunk_value(self.layout, index, bytes) == value,
            None => !self.layout.needs_list() && index.0 == 0 && ContentId::of(bytes) == self.id,
        }
    }
}

/// The chaining value of one chunk of a file of more than one chunk.
#[must_use]
pub fn chunk_value(layout: Layout, index: ChunkIndex, bytes: &[u8]) -> [u8; CV_LEN] {
    chunk_hasher(layout, index).update(bytes).finalize_non_root()
}

/// A hasher set to a chunk's offset: feed it the chunk in pieces of 64 KiB or more, then `finalize_non_root`.
#[must_use]
pub fn chunk_hasher(layout: Layout, index: ChunkIndex) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(layout.offset(index));
    hasher
}

/// The content id to which at least two chaining values merge.
#[must_use]
pub fn root(values: &[[u8; CV_LEN]]) -> ContentId {
    let (left, right) = values.split_at(left_len(values.len()));
    let hash = merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
    ContentId::from_bytes(*hash.as_bytes())
}

fn subtree(values: &[[u8; CV_LEN]]) -> ChainingValue {
    if let [one] = values {
        return *one;
    }
    let (left, right) = values.split_at(left_len(values.len()));
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// The left subtree holds the largest power of two below the count (BLAKE3 paper, section 2.1).
fn left_len(count: usize) -> usize {
    count.div_ceil(2).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(size: usize) -> Vec<u8> {
        let mut bytes = (0..251).collect::<Vec<u8>>().repeat(size / 251 + 1);
        bytes.truncate(size);
        bytes
    }

    fn list_of(bytes: &[u8]) -> ChunkList {
        let layout = Layout::of(bytes.len() as u64).expect("small");
        let values = if layout.needs_list() {
            let chunks = bytes.chunks(usize::try_from(layout.chunk_size()).expect("small"));
            chunks
                .enumerate()
                .map(|(i, c)| chunk_value(layout, ChunkIndex(u32::try_from(i).expect("few")), c))
                .collect()
        } else {
            Vec::new()
        };
        ChunkList::new(ContentId::of(bytes), layout, values).expect("own list")
    }

    #[test]
    fn chunk_values_merge_to_the_plain_hash_around_every_boundary() {
        let kib256 = 256 << 10;
        for chunks in 0..8_usize {
            for delta in [-1_isize, 0, 1] {
                let Some(size) = (chunks * kib256).checked_add_signed(delta) else { continue };
                let bytes = content(size);
                assert_eq!(list_of(&bytes).id(), ContentId::of(&bytes), "size {size}");
            }
        }
    }

    #[test]
    fn a_chunk_is_proven_only_at_its_place_and_length() {
        let bytes = content((256 << 10) * 2 + 5);
        let list = list_of(&bytes);
        let (first, second) = (&bytes[..256 << 10], &bytes[256 << 10..512 << 10]);
        assert!(list.proves(ChunkIndex(0), first));
        assert!(!list.proves(ChunkIndex(1), first));
        assert!(list.proves(ChunkIndex(1), second));
        assert!(list.proves(ChunkIndex(2), &bytes[512 << 10..]));
        assert!(!list.proves(ChunkIndex(2), &bytes[512 << 10..512 << 10 | 4]));
        assert!(!list.proves(ChunkIndex(3), b""));
    }

    #[test]
    fn a_list_of_inner_nodes_merges_but_its_last_chunk_fails() {
        let bytes = content((256 << 10) * 4);
        let honest = list_of(&bytes);
        let pairs: Vec<_> =
            honest.values.chunks(2).map(|p| merge_subtrees_non_root(&p[0], &p[1], Mode::Hash)).collect();
        let shorter = Layout::of((256 << 10) * 2).expect("small");
        let lie = ChunkList::new(honest.id(), shorter, pairs).expect("it does merge: that is the attack");
        assert!(!lie.proves(ChunkIndex(1), &bytes[256 << 10..512 << 10]));
    }

    #[test]
    fn wrong_lists_are_refused() {
        let bytes = content((256 << 10) * 3);
        let list = list_of(&bytes);
        let mut wrong = list.values.clone();
        wrong[1][0] ^= 1;
        assert_eq!(ChunkList::new(list.id(), list.layout(), wrong), Err(ListError::Root));
        assert_eq!(ChunkList::from_bytes(list.id(), list.layout(), &[0; 65]), Err(ListError::Length));
    }
}
