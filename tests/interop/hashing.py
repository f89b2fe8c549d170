"""BLAKE3 from its paper, for whole leaves at once: what a chunk list, a manifest and a content id are made of.

A Python integer serves as a vector: each of its 64-bit slots holds one 32-bit word of one leaf, so that the leaves of a
chunk are compressed together. Nothing here is taken from another implementation of qshare.
"""

from array import array

LEAF = 1024
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)


def _compress(chaining, words, counter, length, flags, lanes):
    """One compression in every lane; the first eight words of its output."""
    ones = int.from_bytes(b"\1\0\0\0\0\0\0\0" * lanes, "little")
    mask = ones * 0xFFFFFFFF

    def turn(value, by):
        return ((value >> by) | (value << (32 - by))) & mask

    state = list(chaining) + [ones * word for word in IV[:4]] + [counter[0], counter[1], ones * length, ones * flags]
    for round_ in range(7):
        for quarter, (a, b, c, d) in enumerate(QUARTERS):
            for word, (first, second) in ((words[2 * quarter], (16, 12)), (words[2 * quarter + 1], (8, 7))):
                state[a] = (state[a] + state[b] + word) & mask
                state[d] = turn(state[d] ^ state[a], first)
                state[c] = (state[c] + state[d]) & mask
                state[b] = turn(state[b] ^ state[c], second)
        if round_ < 6:
            words = [words[index] for index in PERMUTATION]
    return [state[index] ^ state[index + 8] for index in range(8)]


def _lanes(values):
    return int.from_bytes(array("Q", values).tobytes(), "little")


def _leaves(data, first):
    """The chaining values of whole leaves of 1024 bytes, the first of which is number `first`."""
    count = len(data) // LEAF
    view = memoryview(data).cast("I")
    counter = (
        _lanes([(first + lane) & 0xFFFFFFFF for lane in range(count)]),
        _lanes([(first + lane) >> 32 for lane in range(count)]),
    )
    ones = _lanes([1] * count)
    chaining = [ones * word for word in IV]
    for block in range(16):
        words = [_lanes(view[16 * block + word :: 256]) for word in range(16)]
        flags = (CHUNK_START if block == 0 else 0) | (CHUNK_END if block == 15 else 0)
        chaining = _compress(chaining, words, counter, 64, flags, count)
    slots = [array("Q", value.to_bytes(8 * count, "little")) for value in chaining]
    return [b"".join(slots[word][lane].to_bytes(4, "little") for word in range(8)) for lane in range(count)]


def _leaf(data, number, root):
    """The chaining value of one leaf of at most 1024 bytes, or the hash of a whole input that is no longer."""
    chaining = list(IV)
    blocks = [data[at : at + 64] for at in range(0, len(data), 64)] or [b""]
    for index, block in enumerate(blocks):
        flags = CHUNK_START if index == 0 else 0
        if index == len(blocks) - 1:
            flags |= CHUNK_END | (ROOT if root else 0)
        words = array("I", block.ljust(64, b"\0")).tolist()
        chaining = _compress(chaining, words, (number & 0xFFFFFFFF, number >> 32), len(block), flags, 1)
    return b"".join(word.to_bytes(4, "little") for word in chaining)


def parent(left, right, root):
    """Two subtrees become one: its chaining value, or the hash of everything when it is the `root`."""
    words = array("I", left + right).tolist()
    flags = PARENT | (ROOT if root else 0)
    return b"".join(word.to_bytes(4, "little") for word in _compress(list(IV), words, (0, 0), 64, flags, 1))


def merge(values, root):
    """Any run of neighbouring subtrees of one size, of which only the last may be smaller, as one."""
    if len(values) == 1:
        return values[0]
    left = 1
    while 2 * left < len(values):
        left *= 2
    return parent(merge(values[:left], False), merge(values[left:], False), root)


def subtree(data, offset, root=False):
    """The chaining value of the bytes `data` that begin `offset` bytes into their file; with `root` they are all of it."""
    whole = len(data) // LEAF if len(data) > LEAF else 0
    values = _leaves(data[: whole * LEAF], offset // LEAF) if whole else []
    if len(data) > whole * LEAF or not values:
        values.append(_leaf(data[whole * LEAF :], offset // LEAF + whole, root and not values))
    return merge(values, root)


def blake3(data):
    """The hash of `data`."""
    return subtree(data, 0, root=True)
