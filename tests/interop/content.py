"""What contents are made of: chunks, lists, collections and the numbering of units."""

import datetime
import unicodedata
from dataclasses import dataclass, field

from hashing import blake3, merge, subtree

KIB, MIB, GIB = 1024, 1024 ** 2, 1024 ** 3


def chunk_size(size):
    """How long the chunks of a file are."""
    if size < 64 * MIB:
        return 256 * KIB
    if size <= 16 * GIB:
        return MIB
    return 4 * MIB


def day(seconds):
    """The day of a change, UTC; none where that is no date."""
    if not 86_400 <= seconds <= 253_402_300_799:
        return None
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=seconds // 86_400)).isoformat()


def is_safe(path):
    """Whether a text is a safe path."""
    parts = path.split("/")
    if len(path.encode()) > 4096 or len(parts) > 100:
        return False
    if any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts):
        return False
    return not any(
        unicodedata.category(char) == "Cc"
        or char in "\u061c\u200e\u200f"
        or "\u2028" <= char <= "\u202e"
        or "\u2066" <= char <= "\u2069"
        for char in path
    )


@dataclass
class File:
    """A distinct file: its units are `first` to `first + units`."""

    id: bytes
    size: int
    first: int = 0
    data: bytes = None

    @property
    def units(self):
        return -(-self.size // chunk_size(self.size))

    def span(self, unit):
        """Where a unit of this file begins and how long it is."""
        chunk = chunk_size(self.size)
        start = (unit - self.first) * chunk
        return start, min(chunk, self.size - start)

    def proves(self, values):
        """Whether a chunk list is the one of this file."""
        return len(values) == self.units and merge(values, True) == self.id


def number(files):
    """Gives the distinct files, in this order, their first units."""
    distinct, unit = {}, 0
    for file in files:
        if (file.id, file.size) not in distinct:
            file.first = unit
            unit += file.units
            distinct[(file.id, file.size)] = file
    return list(distinct.values())


@dataclass
class Content:
    """A file or a collection, by its id."""

    id: bytes
    kind: str
    size: int
    files: int
    distinct: list
    manifest: bytes = None
    entries: dict = field(default_factory=dict)

    @property
    def units(self):
        return sum(file.units for file in self.distinct)

    def file_of(self, unit):
        return next((file for file in self.distinct if file.first <= unit < file.first + file.units), None)


def single(data):
    """The content that is one file."""
    file = File(blake3(data), len(data), data=data)
    return Content(file.id, "file", file.size, 1, number([file]))


def collection(tree, directories=(), executable=()):
    """The content of files by path."""
    lines = [(path.encode(), b"d %s\n" % path.encode()) for path in directories]
    files = {}
    for path, data in tree.items():
        files[path] = File(blake3(data), len(data), data=data)
        letter = b"x" if path in executable else b"f"
        line = b"%s %d %s %s\n" % (letter, len(data), files[path].id.hex().encode(), path.encode())
        lines.append((path.encode(), line))
    manifest = b"qshare-collection-1\n" + b"".join(line for _, line in sorted(lines))
    return parse(manifest, files)


def parse(manifest, known=None):
    """A collection out of its bytes; ValueError when they are not canonical."""
    lines = manifest.split(b"\n")
    if lines[0] != b"qshare-collection-1" or lines[-1] != b"":
        raise ValueError("not a collection")
    entries, files = {}, []
    for line in lines[1:-1]:
        if line.startswith(b"d "):
            entries[line[2:].decode()] = None
            continue
        letter, size, id_, path = line.split(b" ", 3)
        if letter not in (b"f", b"x") or str(int(size)).encode() != size or len(id_) != 64:
            raise ValueError(f"a line {line!r}")
        file = File(bytes.fromhex(id_.decode()), int(size))
        if known:
            file.data = known[path.decode()].data
        entries[path.decode()] = (file, letter == b"x")
        files.append(file)
    paths = [path.encode() for path in entries]
    if not all(is_safe(path) for path in entries):
        raise ValueError("a path that is not safe")
    if paths != sorted(set(paths)) or len(paths) != len(lines) - 2:
        raise ValueError("not in order")
    size = sum(file.size for file in files)
    return Content(blake3(manifest), "collection", size, len(files), number(files), manifest, entries)


def chunk_values(file):
    """The chaining values of a file's chunks; the file has more than one."""
    spans = [file.span(file.first + index) for index in range(file.units)]
    return [subtree(file.data[start : start + length], start) for start, length in spans]
