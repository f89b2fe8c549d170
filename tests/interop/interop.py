"""An independent peer against the built binary: `python interop.py QSHARE SCRATCH PROTOCOL.md`; exit 0 when all is as the
document says.

Each scenario is one coroutine; what it needs (a share, a tracker) is started on a free port of loopback and stopped
at its end. Nothing here leaves loopback.
"""

import asyncio
import base64
import json
import os
import re
import sys
import time

from content import File, chunk_size, collection, day, is_safe, parse, single
from hashing import blake3, merge, parent, subtree
from node import Node
from peer import Refused, node_text

CHANGED = 1_500_000_000  # 2017-07-14, UTC


class Binary:
    """The program under test, with a home for each role."""

    def __init__(self, program, scratch):
        self.program, self.scratch, self.running = program, scratch, []

    def path(self, *parts):
        return os.path.join(self.scratch, *parts)

    async def start(self, home, *arguments):
        """A role that stays; its port on loopback."""
        process = await asyncio.create_subprocess_exec(
            self.program, "--home", self.path(home), "--no-lan", *arguments, "--listen", "127.0.0.1:0",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )
        self.running.append(process)
        while line := await asyncio.wait_for(process.stdout.readline(), 20):
            if found := re.search(rb"127\.0\.0\.1:(\d+)", line):
                return int(found[1])
        raise AssertionError(f"{arguments} ended without saying its port")

    async def run(self, home, *arguments):
        """A command that ends; its output. It must succeed."""
        process = await asyncio.create_subprocess_exec(
            self.program, "--home", self.path(home), "--no-lan", "--no-progress", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )
        self.running.append(process)
        output, _ = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode == 0, f"{arguments}: {process.returncode}: {output.decode()}"
        return output.decode()

    def write(self, path, data, executable=False):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "wb") as file:
            file.write(data)
        if executable:
            os.chmod(self.path(path), 0o755)

    def read(self, *parts):
        with open(self.path(*parts), "rb") as file:
            return file.read()

    async def stop(self):
        for process in self.running:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def settled(node, connection, count):
    """The offers of a share, once all have ids."""
    for _ in range(200):
        offers = await node.pages(connection)
        if len(offers) == count and all(offer["id"] for offer in offers):
            return {offer["name"]: offer for offer in offers}
        await asyncio.sleep(0.1)
    raise AssertionError(f"the offers do not settle: {offers}")


def vectors(document, name):
    """The lines of one block of the document's vectors."""
    block = re.search(rf"```vectors {name}\n(.*?)\n```", document, re.S)
    return block[1].split("\n")


async def holds_the_vectors(_):
    """The document's vectors are what this peer makes, too."""
    with open(sys.argv[3], encoding="utf-8") as file:
        document = file.read()
    for line in vectors(document, "chunks"):
        if line.endswith(" none"):
            continue
        size, chunk, chunks, last = map(int, line.split())
        file = File(b"", size)
        length = file.span(file.units - 1)[1] if chunks else 0
        assert (chunk_size(size), file.units, length) == (chunk, chunks, last), line
    for line in vectors(document, "dates"):
        seconds, told = line.split()
        assert (day(int(seconds)) or "nil") == told, line
    node = dict(line.split() for line in vectors(document, "node-id"))
    id_ = blake3(bytes.fromhex(node["spki"]))
    assert (id_.hex(), node_text(id_)) == (node["id"], node["text"])
    assert base64.b32decode(node["text"].upper() + "====") == id_
    for file in re.split(r"\n(?=file )", "\n".join(vectors(document, "chunk-lists"))):
        lines = [line.split() for line in file.split("\n")]
        data = bytes(at % 251 for at in range(int(lines[0][1])))
        values = [bytes.fromhex(line[1]) for line in lines if line[0] == "value"]
        chunk = chunk_size(len(data))
        spans = range(0, len(data), chunk) if len(data) > chunk else ()
        assert values == [subtree(data[start : start + chunk], start) for start in spans]
        for line in lines:
            if line[0] == "inner":
                first, last = map(int, line[1].split("-"))
                assert parent(values[first], values[last], False).hex() == line[2]
        id_ = lines[-1][1]
        assert blake3(data).hex() == id_ and (not values or merge(values, True).hex() == id_)
    content = parse("\n".join(vectors(document, "collection") + [""]).encode())
    told = [f"id {content.id.hex()}", f"size {content.size}", f"files {content.files}"]
    told += [f"units {file.first} {file.units} {file.id.hex()}" for file in content.distinct if file.units]
    assert told == vectors(document, "collection-units"), told
    for line in vectors(document, "paths"):
        word, path = line.split(" ", 1)
        assert is_safe(json.loads(path)) == (word == "ok"), line


async def asks(binary):
    """Lists, finds, fetches and proves what a share offers."""
    big = os.urandom(600_000)
    tree = {"big.bin": big, "empty": b"", "sub/dup": b"twice", "twice": b"twice", "sub/run me.sh": b"#!/bin/sh\n"}
    for path, data in tree.items():
        binary.write(f"tree/{path}", data, executable=path.endswith(".sh"))
    os.makedirs(binary.path("tree/nothing in it"))
    for number, path in enumerate(tree):
        os.utime(binary.path("tree", path), (0, CHANGED + number))
    port = await binary.start("share", "share", binary.path("tree"))
    node = Node()
    try:
        connection = await node.endpoint.dial(port)
        assert node_text(connection.peer) in await binary.run("share", "id")
        offers = await settled(node, connection, 6)
        expected = collection(tree, ["nothing in it"], ["sub/run me.sh"])
        assert offers["tree"]["id"] == expected.id, "the collection's bytes are not those of the document"
        assert offers["tree/sub/run me.sh"]["executable"] is True
        assert [offers[f"tree/{path}"]["modified"] for path in tree] == [CHANGED + number for number in range(len(tree))]
        assert offers["tree"]["modified"] == CHANGED + len(tree) - 1, "the youngest file's"
        content, left_out = await node.manifest(connection, expected.id)
        assert not left_out or not left_out["files"]
        await node.fetch(connection, content)
        for path, entry in content.entries.items():
            assert (entry is None) == (path not in tree), path
            assert entry is None or entry[0].id == expected.entries[path][0].id
        assert content.manifest == expected.manifest
        assert content.entries["big.bin"][0].data == big
        file = single(big)
        file.distinct[0].data = None
        await node.fetch(connection, file)
        assert file.distinct[0].data == big
        for hits in (await node.search(connection, "BIG"), await node.locate(connection, file.id)):
            assert [hit["id"] for hit in hits] == [file.id], hits
        assert await node.locate(connection, bytes(32)) == []
        watch = await connection.ask({"Watch": {"id": expected.id, "size": expected.size}})
        await watch.answer()
        have = await watch.value()
        assert have["complete"] and not have.get("gone"), have
        watch.stop()
    finally:
        await node.endpoint.close()


async def serves(binary):
    """Answers `ls` and `get` of the binary."""
    node = Node()
    port = await node.endpoint.listen()
    try:
        data = os.urandom(600_000)
        node.offer("given.bin", single(data), modified=CHANGED)
        tree = {"a/b.txt": b"hello", "a/c.bin": os.urandom(300_000), "a/dup": b"hello", "z": b"", "ü/é": b"accents"}
        node.offer("given tree", collection(tree, ["e"], ["a/b.txt"]))
        address = f"{node_text(node.id)}@127.0.0.1:{port}"
        listing = await binary.run("getter", "ls", address)
        assert "given.bin" in listing and "given tree" in listing and day(CHANGED) in listing, listing
        await binary.run("getter", "get", node.offers["given tree"]["id"].hex(), "--from", address, "-o", binary.path("out"))
        for path, expected in tree.items():
            assert binary.read("out", path) == expected, path
        assert os.path.isdir(binary.path("out", "e"))
        assert os.access(binary.path("out", "a/b.txt"), os.X_OK) and not os.access(binary.path("out", "z"), os.X_OK)
        await binary.run("getter", "get", "given.bin", "--from", address, "-o", binary.path("one"))
        assert binary.read("one") == data
    finally:
        await node.endpoint.close()


async def announces(binary):
    """Is found at the tracker by name, and not after it has left."""
    tracker = await binary.start("tracker", "tracker")
    node = Node()
    port = await node.endpoint.listen()
    try:
        connection = await node.endpoint.dial(tracker)
        data = os.urandom(300_000)
        node.offer("wanted thing.bin", single(data), modified=CHANGED)
        answer = await node.announce(connection, port)
        here = [{"V4": [[127, 0, 0, 1], port]}]
        assert (answer["taken"], answer["refused"], answer["reachable"]) == (1, 0, here), answer
        assert (await node.renew(connection))["known"] is True
        assert await node.pages(connection, node.id) == [node.offers["wanted thing.bin"] | {"locked": False}]
        assert [hit["modified"] for hit in await node.search(connection, "wanted")] == [CHANGED]
        peers = await (await connection.ask({"Peers": {"after": None}})).answer(1048576)
        assert [peer["node"] for peer in peers["peers"]] == [node.id]
        where = ("--tracker", f"127.0.0.1:{tracker}")
        await binary.run("finder", *where, "get", "wanted", "thing", "-o", binary.path("found"))
        assert binary.read("found") == data
        await node.withdraw(connection)
        assert await node.search(connection, "wanted") == []
        try:
            await node.pages(connection, node.id)
            raise AssertionError("a node that has left is still known")
        except Refused as refused:
            assert refused.code == 8, refused
    finally:
        await node.endpoint.close()


async def main():
    binary = Binary(sys.argv[1], sys.argv[2])
    try:
        for scenario in (holds_the_vectors, asks, serves, announces):
            begun = time.monotonic()
            await scenario(binary)
            print(f"{scenario.__name__}: as the document says ({time.monotonic() - begun:.1f} s)", flush=True)
    finally:
        await binary.stop()


asyncio.run(main())
