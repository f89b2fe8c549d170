//! How a file of a given size is cut into chunks.
//! Invariant: the chunk size is a power of two that follows from the file's size alone.

/// The largest file that can be shared, in bytes: its chunk list is 64 MiB.
pub const MAX_FILE: u64 = 8 << 40;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A chunk's position within its file, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkIndex(pub u32);

/// The chunks of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    size: u64,
    chunk_size: u64,
}

impl Layout {
    /// The layout of a file of `size` bytes: 256 KiB chunks below 64 MiB, 1 MiB up to 16 GiB, 4 MiB above.
    /// `None` beyond [`MAX_FILE`].
    #[must_use]
    pub const fn of(size: u64) -> Option<Self> {
        let chunk_size = match size {
            _ if size < 64 * MIB => 256 * KIB,
            _ if size <= 16 * GIB => MIB,
            _ if size <= MAX_FILE => 4 * MIB,
            _ => return None,
        };
        Some(Self { size, chunk_size })
    }

    /// The file's size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The size in bytes of every chunk but the last.
    #[must_use]
    pub const fn chunk_size(&self) -> u64 {
        self.chunk_size
    }

    /// How many chunks there are; none for an empty file.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "MAX_FILE / 4 MiB is 2^21")]
    pub const fn chunks(&self) -> u32 {
        self.size.div_ceil(self.chunk_size) as u32
    }

    /// Where the chunk begins, in bytes.
    #[must_use]
    pub const fn offset(&self, index: ChunkIndex) -> u64 {
        index.0 as u64 * self.chunk_size
    }

    /// The length of the chunk in bytes; zero when there is no such chunk.
    #[must_use]
    pub fn len(&self, index: ChunkIndex) -> u64 {
        self.size.saturating_sub(self.offset(index)).min(self.chunk_size)
    }

    /// Whether the file has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Whether a chunk list is needed to prove a chunk: a file of at most one chunk is its own proof.
    #[must_use]
    pub const fn needs_list(&self) -> bool {
        self.chunks() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_size_follows_the_file_size() {
        let chunk = |size| Layout::of(size).map(|l| l.chunk_size());
        assert_eq!(chunk(64 * MIB - 1), Some(256 * KIB));
        assert_eq!(chunk(64 * MIB), Some(MIB));
        assert_eq!(chunk(16 * GIB), Some(MIB));
        assert_eq!(chunk(16 * GIB + 1), Some(4 * MIB));
        assert_eq!(chunk(MAX_FILE + 1), None);
        assert_eq!(chunk(u64::MAX), None);
    }

    #[test]
    fn chunks_cover_the_file_exactly() {
        for size in [0, 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 64 * MIB, 64 * MIB + 3] {
            let layout = Layout::of(size).expect("small enough");
            let sum: u64 = (0..layout.chunks()).map(|i| layout.len(ChunkIndex(i))).sum();
            assert_eq!(sum, size);
            assert_eq!(layout.len(ChunkIndex(layout.chunks())), 0);
        }
    }
}
