"""qshare itself: a tracker, nodes that share, and `get` with its usual options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .lab import Lab
from .process import Server, wait_until
from .programs import Program

HASHING = 300.0
"""Seconds that hashing what is shared may take."""


def events(output: Path) -> list[dict[str, Any]]:
    """The whole lines that a `--json` command has printed so far."""
    text = output.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class Qshare:
    """Starts qshare's commands in namespaces, each in a home of its own."""

    def __init__(self, lab: Lab, binary: Path) -> None:
        self.lab, self.binary = lab, binary

    def command(self, home: str, *arguments: str | Path) -> list[str | Path]:
        """A command in the home of that name."""
        return [self.binary, "--home", self.lab.directory("homes", home), *arguments]

    def start(self, home: str, namespace: str | None, *arguments: str | Path) -> tuple[Server, Path]:
        """Starts a long-running command; returns it and where its events are written."""
        # Inside a namespace as anyone would start it; on the host itself nothing is opened to others.
        listen = [] if namespace else ["--listen", "127.0.0.1:0"]
        output = self.lab.directory("homes") / f"{home}.json"
        output.unlink(missing_ok=True)
        output.touch()
        command = self.command(home, "--json", *arguments, *listen)
        server = self.lab.server(home, command, namespace, output)
        # The program, and what listens to the local network for it.
        server.idle = 2
        return server, output

    def serve(self, home: str, namespace: str | None, *arguments: str | Path) -> tuple[Server, Path]:
        """Starts a long-running command; returns when it listens."""
        server, output = self.start(home, namespace, *arguments)

        def listens() -> bool:
            server.check()
            return any(event["event"] == "listening" for event in events(output))

        wait_until(listens, 20, f"qshare {arguments[0]} listens")
        return server, output

    def tracker(self, home: str, namespace: str | None, address: str) -> tuple[Server, str]:
        """Starts a tracker; tells where it is reached at `address`."""
        server, output = self.serve(home, namespace, "tracker")
        listening = next(event for event in events(output) if event["event"] == "listening")
        return server, f"{address}:{listening['addr'].rsplit(':', 1)[1]}"

    def share(self, home: str, namespace: str | None, tracker: str, *paths: Path) -> Server:
        """Starts to share; returns when everything is hashed and the tracker knows it."""
        server, output = self.serve(home, namespace, "share", *paths, "--tracker", tracker)

        def hashed() -> bool:
            server.check()
            told = [event for event in events(output) if event["event"] == "announced"]
            return bool(told) and told[-1]["offers"] == told[-1]["hashed"] > 0

        wait_until(hashed, HASHING, "qshare share has hashed and announced everything")
        return server

    def get(self, home: str, tracker: str, name: str, into: Path) -> list[str | Path]:
        """The command that gets something by its name."""
        return self.command(home, "get", name, "--tracker", tracker, "-o", f"{into}/", "--no-progress")


class QshareCopy(Program):
    """qshare as one of the programs that copy."""

    name = "qshare"
    binary: Path
    """Set before the first is made."""

    def start(self) -> None:
        qshare = Qshare(self.lab, self.binary)
        at, home = self.place.server, self.home.name
        tracker, self.tracker = qshare.tracker(f"{home}-tracker", at, self.place.address)
        self.servers.append(tracker)
        self.servers.append(qshare.share(f"{home}-share", at, self.tracker, self.served / self.item))

    def fetch(self, into: Path) -> list[str | Path]:
        qshare = Qshare(self.lab, self.binary)
        return qshare.get(f"{self.home.name}-get", self.tracker, self.item, into)
