"""The files that are copied: made of random bytes, compared afterwards."""

from __future__ import annotations

import mmap
import os
import shutil
from pathlib import Path

from .process import Failed

PIECE = 4 << 20
COMPARED = 256 << 10
"""Small enough that the buffers are used again, not mapped anew."""
SMALL = 8 << 10
"""Bytes of each file of the small tree."""
PER_DIRECTORY = 100


def write_noise(path: Path, size: int) -> None:
    """A file of `size` random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb", buffering=0) as file:
        left = size
        while left > 0:
            left -= file.write(os.urandom(min(left, PIECE)))


def touch_memory(size: int) -> None:
    """Uses `size` bytes of memory and frees them. A hypervisor takes free memory back: whoever comes after a pause would
    pay for getting it again, and in a fixed order that is always the same program."""
    with mmap.mmap(-1, size) as memory:
        while memory.write(bytes(min(size - memory.tell(), PIECE))):
            pass


def write_tree(root: Path, files: int, size: int = SMALL) -> None:
    """`files` files of `size` random bytes, a hundred to a directory."""
    for number in range(files):
        write_noise(root / f"{number // PER_DIRECTORY:03}" / f"{number:05}.bin", size)


def sizes(root: Path) -> dict[str, int]:
    """Relative path and size of each file below a directory, or of the one file."""
    if root.is_file():
        return {"": root.stat().st_size}
    found: dict[str, int] = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = os.stat(path).st_size
    return found


def check(source: Path, result: Path, bytes_too: bool) -> None:
    """Raises Failed unless `result` has the files of `source` in the same sizes; with the same bytes if asked for."""
    expected = sizes(source)
    if sizes(result) != expected:
        raise Failed(f"{result.name} arrived with other files or sizes")
    if bytes_too:
        for name in expected:
            if not same_bytes(source / name, result / name):
                raise Failed(f"{result.name}/{name} arrived with other bytes")


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files of the same size hold the same."""
    with open(one, "rb", buffering=0) as first, open(other, "rb", buffering=0) as second:
        while part := first.read(COMPARED):
            if part != second.read(COMPARED):
                return False
    return True


def empty(directory: Path) -> None:
    """Makes a directory, and removes whatever is in it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def require_space(directory: Path, needed: int) -> None:
    """Raises Failed when a file system has fewer bytes free."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise Failed(f"{directory} has {free >> 20} MiB free, {needed >> 20} MiB are needed: --disk, --size")
