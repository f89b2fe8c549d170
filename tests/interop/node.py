"""What requests mean: a node that offers contents, and the asking side that fetches and proves them."""

import asyncio
import random
import struct

from content import File, chunk_values, number, parse, Content
from hashing import blake3, subtree
from peer import CODES, PAGE, Endpoint, Refused


class Node:
    """Offers contents by name and answers what a node is asked."""

    def __init__(self, identity=None):
        self.offers, self.contents, self.asked, self.strange = {}, {}, [], []
        self.endpoint = Endpoint(self.serve, identity)
        self.epoch, self.seq = random.getrandbits(63), 0

    @property
    def id(self):
        return self.endpoint.identity.node

    def offer(self, name, content, executable=False, modified=None):
        self.contents[content.id] = content
        self.offers[name] = {
            "name": name, "size": content.size, "id": content.id, "kind": content.kind, "files": content.files,
        }
        if executable:
            self.offers[name]["executable"] = True
        if modified is not None:
            self.offers[name]["modified"] = modified

    # --- asking -----------------------------------------------------------------------------------------------

    async def pages(self, connection, node=None):
        """All offers of a node."""
        offers, after = [], None
        while True:
            page = await (await connection.ask({"FilesOf": {"node": node, "after": after}})).answer(PAGE)
            offers += page["offers"]
            if not page["more"]:
                return offers
            after = offers[-1]["name"]

    async def search(self, connection, *words):
        request = {"Search": {"words": list(words), "limit": 50, "skip": 0}}
        return (await (await connection.ask(request)).answer(PAGE))["hits"]

    async def locate(self, connection, id_):
        return (await (await connection.ask({"Locate": {"id": id_}})).answer(PAGE))["hits"]

    async def announce(self, connection, port, remove=(), fresh=True):
        """Tells a tracker of all offers; its answer."""
        self.seq += 1
        candidates = [{"V4": [[127, 0, 0, 1], port]}]
        head = {"epoch": self.epoch, "seq": self.seq, "full": fresh, "candidates": candidates, "port": port}
        stream = await connection.ask({"Announce": head}, end=False)
        add = list(self.offers.values()) if fresh else []
        stream.frame({"add": add, "remove": list(remove), "join": [], "leave": []}, end=True)
        return await stream.answer(timeout=30)

    async def renew(self, connection):
        return await (await connection.ask({"Renew": {"epoch": self.epoch, "seq": self.seq}})).answer()

    async def withdraw(self, connection):
        return await (await connection.ask({"Withdraw": {"epoch": self.epoch}})).answer()

    async def manifest(self, connection, id_):
        """The collection `id_`, proven, and what is left out."""
        stream = await connection.ask({"Manifest": {"id": id_}})
        head = await stream.answer()
        data = await stream.read(head["len"])
        assert await stream.read(1) is None, "bytes after the manifest"
        assert blake3(data) == id_, "another manifest"
        return parse(data), head.get("left_out")

    async def chunk_list(self, connection, content, file):
        """The chaining values of a file of more than one chunk and its last chunk, both proven."""
        request = {"List": {"id": content.id, "size": content.size, "unit": file.first}}
        stream = await connection.ask(request)
        head = await stream.answer()
        assert head["chunks"] == file.units, head
        values = [await stream.read(32) for _ in range(head["chunks"])]
        assert file.proves(values), "the list is not of this file"
        start, length = file.span(file.first + file.units - 1)
        last = await stream.read(length)
        assert await stream.read(1) is None, "bytes after the last chunk"
        assert subtree(last, start) == values[-1], "the size is not true"
        return values

    async def fetch(self, connection, content):
        """All bytes of all distinct files, each unit proven before it counts."""
        values = {}
        for file in content.distinct:
            if file.units > 1:
                values[file.first] = await self.chunk_list(connection, content, file)
        have = {}
        while len(have) < content.units:
            missing = next(unit for unit in range(content.units) if unit not in have)
            count = min(4096, content.units - missing)
            request = {"id": content.id, "size": content.size, "units": [[missing, count]], "max": count}
            stream = await connection.ask({"Fetch": request})
            await stream.answer()
            while (head := await stream.read(5)) is not None:
                unit, flag = struct.unpack(">IB", head)
                assert flag == 0, f"unit {unit} has flag {flag}"
                file = content.file_of(unit)
                start, length = file.span(unit)
                data = await stream.read(length)
                if file.units == 1:
                    assert blake3(data) == file.id, f"unit {unit} is not of this file"
                else:
                    assert subtree(data, start) == values[file.first][unit - file.first], f"unit {unit} is a lie"
                have[unit] = data
        for file in content.distinct:
            file.data = b"".join(have[file.first + index] for index in range(file.units))
            assert blake3(file.data) == file.id
        return content

    # --- answering --------------------------------------------------------------------------------------------

    async def serve(self, connection, stream):
        """One stream that the other side opened."""
        request = await stream.value()
        if request is None:
            return
        name = request if isinstance(request, str) else next(iter(request))
        body = {} if isinstance(request, str) else request[name]
        if name == "version" or (isinstance(request, dict) and "observed" in request):
            return
        self.asked.append((name, body))
        answer = getattr(self, f"on_{name.lower()}", None)
        if answer is None:
            stream.refuse("Unsupported")
            return
        await answer(stream, body)

    def _content(self, stream, body):
        """The content that is asked for, or a refusal was sent."""
        content = self.contents.get(bytes(body["id"]))
        if content is None:
            stream.refuse("NotFound")
        elif "size" in body and content.size != body["size"]:
            stream.refuse("SizeDiffers")
            return None
        return content

    def _hits(self, offers):
        """Hits of a node are its own offers: it stands for itself as provider."""
        hits = []
        for offer in offers:
            hit = {key: offer[key] for key in ("id", "kind", "size", "files")}
            hit |= {key: offer[key] for key in ("modified",) if key in offer}
            hit |= {"locked": False, "names": [offer["name"]], "providers": []}
            hits.append(hit)
        return {"hits": hits, "more": 0}

    async def on_filesof(self, stream, body):
        if body["node"] not in (None, self.id):
            stream.refuse("NotFound")
            return
        names = sorted((name for name in self.offers if body["after"] is None or name > body["after"]), key=str.encode)
        stream.ok({"offers": [self.offers[name] for name in names], "more": False}, end=True)

    async def on_search(self, stream, body):
        words = [word.lower() for word in body["words"]]
        found = [offer for name, offer in self.offers.items() if all(word in name.lower() for word in words)]
        stream.ok(self._hits(found), end=True)

    async def on_locate(self, stream, body):
        stream.ok(self._hits([offer for offer in self.offers.values() if offer["id"] == body["id"]]), end=True)

    async def on_manifest(self, stream, body):
        content = self._content(stream, body)
        if content is None:
            return
        if content.kind != "collection":
            stream.refuse("BadRequest")
            return
        stream.ok({"len": len(content.manifest)})
        stream.send(content.manifest, end=True)

    async def on_list(self, stream, body):
        content = self._content(stream, body)
        if content is None:
            return
        file = content.file_of(body["unit"])
        if file is None or file.first != body["unit"] or file.units < 2:
            stream.refuse("BadRequest")
            return
        values = chunk_values(file)
        stream.ok({"chunks": len(values)})
        start, length = file.span(file.first + file.units - 1)
        stream.send(b"".join(values) + file.data[start : start + length], end=True)

    async def on_fetch(self, stream, body):
        content = self._content(stream, body)
        if content is None:
            return
        units = [unit for first, count in body["units"] for unit in range(first, first + count)]
        stream.ok()
        for unit in units[: body["max"]]:
            file = content.file_of(unit)
            if file is None:
                stream.send(struct.pack(">IB", unit, 1))
                continue
            start, length = file.span(unit)
            stream.send(struct.pack(">IB", unit, 0) + file.data[start : start + length])
        stream.send(end=True)

    async def on_watch(self, stream, body):
        content = self._content(stream, body)
        if content is None:
            return
        stream.ok()
        units = [[0, content.units]] if content.units else []
        # the stream stays open as long as the content is offered: its end would say that it is given no longer
        stream.frame({"units": units, "complete": True, "fetching": 0})

    async def on_clock(self, stream, body):
        stream.ok({"unix_ms": 1_800_000_000_000}, end=True)
