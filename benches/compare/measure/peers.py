"""Other peer-to-peer programs: sendme and rqbit, without relays, trackers or anything outside of the two ends."""

from __future__ import annotations

import re
from pathlib import Path

from .lab import free_port
from .process import wait_until
from .programs import Missing, Program

READY = 300.0
"""Seconds that hashing what is served may take."""


class Peer(Program):
    """Something that prints a line to paste at the other end, once it has hashed what it serves."""

    line: str
    """What the line to paste holds, as a regular expression with one group."""

    def announce(self, command: list[str | Path]) -> str:
        """Starts to serve; returns what is to be pasted."""
        if self.place.server is None:
            raise Missing("it listens on all interfaces: only measured inside a namespace, which needs root")
        output = self.home / "output"
        output.touch()
        server = self.serve(command, output)
        server.idle = 1

        def told() -> re.Match[str] | None:
            server.check()
            return re.search(self.line, output.read_text(errors="replace"))

        wait_until(lambda: told() is not None, READY, f"{self.name} serves")
        found = told()
        assert found is not None
        return found[1]


class Sendme(Peer):
    """QUIC and BLAKE3; the ticket holds the addresses."""

    name = "sendme"
    needs: tuple[tuple[str, str], ...] = (("sendme", "cargo install sendme, or --sendme PATH"),)
    line = r"sendme receive (\S+)\s"

    def start(self) -> None:
        send: list[str | Path] = [
            self.tools["sendme"],
            "send",
            "--relay",
            "disabled",
            "--no-progress",
            self.served / self.item,
        ]
        self.ticket = self.announce(send)

    def fetch(self, into: Path) -> list[str | Path]:
        return [self.tools["sendme"], "receive", "--relay", "disabled", "--no-progress", self.ticket]


class Rqbit(Peer):
    """BitTorrent in plain text, one seed, a magnet link and the seed's address."""

    name = "rqbit (plain text)"
    needs: tuple[tuple[str, str], ...] = (("rqbit", "cargo install rqbit, or --rqbit PATH"),)
    line = r"(magnet:\S+)\s"

    def start(self) -> None:
        self.at = self.port()
        api = free_port(self.place.server, "127.0.0.1")
        listen = ["--listen-ip", self.place.address, "--listen-port", str(self.at)]
        http = ["--http-api-listen-addr", f"127.0.0.1:{api}"]
        share: list[str | Path] = [*self.alone(), *listen, *http, "share", self.served / self.item]
        self.magnet = self.announce(share)
        # The link is printed before the seed has checked what it hashed a moment ago.
        output = self.home / "output"
        checked = f"{self.name} has checked its files"
        wait_until(lambda: "Initial check results" in output.read_text(errors="replace"), READY, checked)

    def alone(self) -> list[str | Path]:
        """rqbit without anything that looks for others."""
        off = ("dht", "lsd", "trackers", "upnp-port-forward")
        return [self.tools["rqbit"], "--ipv4-only", *(f"--disable-{what}" for what in off)]

    def fetch(self, into: Path) -> list[str | Path]:
        seed = f"{self.place.address}:{self.at}"
        download: list[str | Path] = [
            "download",
            "--exit-on-finish",
            "--disable-http-api",
            "--initial-peers",
            seed,
            "-o",
            into,
        ]
        return [*self.alone(), "-v", "warn", *download, self.magnet]
