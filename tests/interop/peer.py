"""A node of `qshare/1` over aioquic: identity, connections in both directions, streams, frames.

Written from docs/protocol.md alone. It knows nothing of what a request means: see `node.py` for that.
"""

import asyncio
import base64
import datetime
import ssl
import struct

import msgpack
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.tls import CipherSuite, SignatureAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hashing import blake3

CONTROL, PAGE = 65536, 1048576
CODES = {
    "Closing": 0, "BadRequest": 1, "Busy": 2, "Cancelled": 3, "Changed": 4, "Duplicate": 5, "Forbidden": 6,
    "Internal": 7, "NotFound": 8, "Probe": 9, "SizeDiffers": 10, "TimedOut": 11, "TooLarge": 12, "Unsupported": 13,
}
SECONDS = 10  # a request is complete and an answer begins within this


class Reset(Exception):
    """The stream or its connection was ended with a code by the other side."""

    def __init__(self, code):
        super().__init__(f"reset with {code}")
        self.code = code


class Refused(Exception):
    """The answer was a refusal."""

    def __init__(self, refusal):
        super().__init__(f"refused: {refusal}")
        self.code = refusal["code"]
        self.retry_ms = refusal.get("retry_ms", 0)


def node_id(certificate):
    """32 bytes: BLAKE3 of the DER SubjectPublicKeyInfo."""
    return blake3(certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def node_text(node):
    """How people write a node id."""
    return base64.b32encode(node).decode().lower().rstrip("=")


class Identity:
    """A key and the one certificate that shows it."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "interop")])
        day = datetime.datetime(2020, 1, 1)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(day)
            .not_valid_after(day + datetime.timedelta(days=1))
            .sign(self.key, None)
        )
        self.node = node_id(self.certificate)

    def configuration(self, client, alpn="qshare/1"):
        """What aioquic needs: the pin takes the place of the authorities, no server name is sent."""
        return QuicConfiguration(
            alpn_protocols=[alpn],
            is_client=client,
            certificate=self.certificate,
            private_key=self.key,
            cipher_suites=[CipherSuite.AES_128_GCM_SHA256, CipherSuite.CHACHA20_POLY1305_SHA256],
            verify_mode=ssl.CERT_NONE,
            idle_timeout=10.0,
            max_data=8388608,
            max_stream_data=4194304,
            supported_versions=[1],
        )


class Transport(QuicConnection):
    """Both sides show a certificate, and Ed25519 is the only scheme."""

    def _initialize(self, peer_cid):
        super()._initialize(peer_cid)
        self.tls._request_client_certificate = True
        self.tls._signature_algorithms = [SignatureAlgorithm.ED25519]


class Stream:
    """A bidirectional stream: exact reads, frames, the two ways to cancel."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.buffer, self.ended, self.code = bytearray(), False, None
        self.arrived = asyncio.Event()

    def feed(self, data=b"", end=False, code=None):
        self.buffer += data
        self.ended = self.ended or end
        self.code = code if self.code is None else self.code
        self.arrived.set()

    async def read(self, count, timeout=SECONDS):
        """Exactly `count` bytes, or None when the stream ended before the first of them."""
        while len(self.buffer) < count:
            if self.code is not None:
                raise Reset(self.code)
            if self.ended:
                if self.buffer:
                    raise EOFError(f"{len(self.buffer)} of {count} bytes")
                return None
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), timeout)
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def value(self, cap=CONTROL, timeout=SECONDS):
        """The MessagePack value of one frame, or None at the stream's end."""
        head = await self.read(4, timeout)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > cap:
            raise ValueError(f"a frame of {length} bytes, over {cap}")
        return msgpack.unpackb(await self.read(length, timeout), strict_map_key=False)

    async def answer(self, cap=CONTROL, timeout=SECONDS):
        """What stands in Ok; a refusal is an exception."""
        value = await self.value(cap, timeout)
        if value is None:
            raise EOFError("no answer")
        if "Err" in value:
            raise Refused(value["Err"])
        return value["Ok"]

    def send(self, data=b"", end=False):
        self.connection.send(self.number, data, end)

    def frame(self, value, end=False):
        """Sends one frame."""
        data = msgpack.packb(value, use_bin_type=True)
        self.send(struct.pack(">I", len(data)) + data, end)

    def ok(self, value=None, end=False):
        self.frame({"Ok": value}, end)

    def refuse(self, code, retry_ms=0):
        self.frame({"Err": {"code": CODES[code], "retry_ms": retry_ms}}, end=True)

    def stop(self, code="Cancelled"):
        self.connection.quietly(self.connection._quic.stop_stream, self.number, CODES[code])

    def reset(self, code):
        self.connection.quietly(self.connection._quic.reset_stream, self.number, CODES[code])


class Connection(QuicConnectionProtocol):
    """One connection; `serve(connection, stream)` is called for each stream that the other side opens."""

    def __init__(self, quic, serve, dialled):
        super().__init__(quic)
        self.serve, self.dialled = serve, dialled
        self.streams, self.tasks = {}, set()
        self.ready = asyncio.get_running_loop().create_future()
        self.closed_with = None
        self.welcome = None

    @property
    def peer(self):
        """The id of the other side, from its certificate."""
        return node_id(self._quic.tls._peer_certificate)

    def open(self):
        number = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(number, b"")
        return self.streams.setdefault(number, Stream(self, number))

    def send(self, number, data, end):
        self.quietly(self._quic.send_stream_data, number, data, end)

    def quietly(self, call, *arguments):
        """What is said on a stream that is over already is not worth an error."""
        try:
            call(*arguments)
        except (AssertionError, ValueError, RuntimeError):
            return
        self._transmit_soon()

    def run(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def quic_event_received(self, event):
        if isinstance(event, events.HandshakeCompleted):
            if not self.ready.done():
                self.ready.set_result(None)
        elif isinstance(event, events.ConnectionTerminated):
            self.closed_with = event.error_code
            for stream in self.streams.values():
                stream.feed(code=event.error_code)
            if not self.ready.done():
                self.ready.set_exception(Reset(event.error_code))
        elif isinstance(event, events.StreamDataReceived):
            self._stream(event.stream_id).feed(event.data, event.end_stream)
        elif isinstance(event, events.StreamReset):
            self._stream(event.stream_id).feed(code=event.error_code)

    def _stream(self, number):
        stream = self.streams.get(number)
        if stream is None:
            stream = self.streams[number] = Stream(self, number)
            self.run(self.serve(self, stream))
        return stream

    async def ask(self, request, end=True):
        """Opens a stream with one request."""
        stream = self.open()
        stream.frame(request, end)
        return stream


class Endpoint:
    """Listens on one UDP port of loopback and dials from others, with one identity."""

    def __init__(self, serve, identity=None):
        self.identity = identity or Identity()
        self.serve, self.server, self.port, self.dialled = serve, None, None, []

    async def listen(self):
        loop = asyncio.get_running_loop()
        configuration = self.identity.configuration(False)
        configuration.alpn_protocols = ["qshare/1", "qshare-probe/1", "qshare-side/1"]
        endpoint = self

        class Server(QuicServer):
            def _make(self, quic, stream_handler=None):
                # aioquic makes the connection itself: its class is changed before anything has happened on it
                quic.__class__ = Transport
                connection = Connection(quic, endpoint.serve, dialled=False)
                connection.run(endpoint._welcome(connection))
                return connection

        _, self.server = await loop.create_datagram_endpoint(
            lambda: (lambda server: setattr(server, "_create_protocol", server._make) or server)(
                Server(configuration=configuration)
            ),
            local_addr=("127.0.0.1", 0),
        )
        self.port = self.server._transport.get_extra_info("sockname")[1]
        return self.port

    async def _welcome(self, connection):
        await connection.ready
        host, port = connection._quic._network_paths[0].addr[:2]
        stream = connection.open()
        observed = {"V4": [[int(part) for part in host.split(".")], port]}
        stream.frame({"version": 6, "role": "node", "observed": observed}, end=True)

    async def dial(self, port, alpn="qshare/1", host="127.0.0.1"):
        """Connects and waits for Welcome."""
        loop = asyncio.get_running_loop()
        quic = Transport(configuration=self.identity.configuration(True, alpn))
        first = loop.create_future()

        async def serve(connection, stream):
            if not first.done():
                first.set_result(stream)
                return
            await self.serve(connection, stream)

        transport, connection = await loop.create_datagram_endpoint(
            lambda: Connection(quic, serve, dialled=True), local_addr=("127.0.0.1", 0)
        )
        connection.connect((host, port))
        await asyncio.wait_for(connection.ready, 10)
        stream = await asyncio.wait_for(first, 5)
        connection.welcome = await stream.value(timeout=5)
        self.dialled.append((connection, transport))
        return connection

    async def close(self):
        for connection, transport in self.dialled:
            connection.close(CODES["Closing"])
            transport.close()
        if self.server:
            self.server.close()
