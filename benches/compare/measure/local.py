"""What one host does: starting up for a small file, and hashing what is shared beside b3sum."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import files
from .lab import Lab, Place
from .process import Failed, wait_until
from .programs import Missing
from .qshare import HASHING, Qshare, events
from .table import OURS, Run

MIDDLE = 8 << 20
HASH = "hash"


@dataclass
class Local:
    """What is to be measured, where, and whom to tell about it."""

    lab: Lab
    qshare: Qshare
    place: Place
    rounds: int
    starts: int
    """How often a small file is fetched."""
    say: Callable[[str], None]

    def startup(self) -> list[Run]:
        """`get` of 1 KiB, the whole process, in a home that has been used before."""
        source = self.lab.directory("startup") / "small.bin"
        files.write_noise(source, 1 << 10)
        host, into = self.place.server, self.lab.directory("startup", "into")
        first, tracker = self.qshare.tracker("startup-tracker", host, self.place.address)
        servers = [first, self.qshare.share("startup-share", host, tracker, source)]
        log = self.lab.directory("run") / "startup.log"
        command = self.qshare.get("startup-get", tracker, source.name, into)
        runs: list[Run] = []
        # Run 0 makes the home and its key, and is not counted.
        for number in range(self.starts + 1):
            files.empty(into)
            before = sum(server.cpu() for server in servers)
            client = self.lab.start(command, self.place.client, into, log)
            ended = self.lab.finish(client, 30, servers)
            served = sum(server.cpu() for server in servers) - before
            files.check(source, into / source.name, bytes_too=True)
            peaks = ended.client_peak, ended.server_peak
            run = Run("start-up", self.place.name, OURS, number, 1 << 10, ended.seconds, ended.cpu, served, *peaks)
            runs += [run] if number else []
        self.say(
            f"start-up: {self.starts} runs, {min(r.seconds for r in runs):.3f} to {max(r.seconds for r in runs):.3f} s"
        )
        return runs

    def hashing(self, size: int, small: int) -> list[Run]:
        """Half of `size` in one file, half in files of 8 MiB, and `small` files of 8 KiB: by `qshare hash`, by `qshare
        share` from its start until it offers the whole with its id, and by b3sum.
        """
        tree = self.lab.directory("hashed", "tree")
        files.write_noise(tree / "large.bin", size // 2)
        files.write_tree(tree / "middle", size // 2 // MIDDLE, MIDDLE)
        files.write_tree(tree / "small", small)
        # Beyond the time for which a fresh file's stamp is not trusted.
        time.sleep(1)
        paths = sorted(files.sizes(tree))
        total = sum(files.sizes(tree).values())
        ways: list[tuple[str, str, Callable[[int], tuple[float, float, int]]]] = [
            ("`hash`", OURS, lambda n: self.print_ids(OURS, self.qshare.command(f"hash-{n}", "hash", *paths), tree)),
            ("`share`", OURS, lambda n: self.share_until_hashed(n, tree)),
        ]
        try:
            b3sum: list[str | Path] = [self.b3sum(), *paths]
            ways.append(("b3sum", "b3sum", lambda n: self.print_ids("b3sum", b3sum, tree)))
        except Missing as missing:
            self.say(f"{HASH}: b3sum skipped: {missing}")
        runs: list[Run] = []
        for number in range(self.rounds):
            first = number % len(ways)
            for place, program, measure in ways[first:] + ways[:first]:
                seconds, cpu, peak = measure(number)
                self.say(f"{HASH}, round {number + 1}: {place} {seconds:.3f} s")
                # b3sum's time stands beside both of ours.
                for where in ("`hash`", "`share`") if program != OURS else (place,):
                    runs.append(Run(HASH, where, program, number, total, seconds, cpu, 0.0, peak, None))
            self.compare_ids()
        files.empty(self.lab.directory("hashed"))
        return runs

    def b3sum(self) -> Path:
        """Where b3sum is; raises Missing."""
        found = self.lab.which("b3sum")
        if found is None:
            raise Missing("b3sum is not installed (apt install b3sum, cargo install b3sum, or --b3sum PATH)")
        return found

    def ids(self, program: str) -> Path:
        """Where what a program printed is kept."""
        return self.lab.directory("run") / f"{program}.ids"

    def print_ids(self, program: str, command: list[str | Path], tree: Path) -> tuple[float, float, int]:
        """Runs a command that prints an id for each file; seconds, processor seconds, peak bytes."""
        log = self.lab.directory("run") / f"{program}-hash.log"
        client = self.lab.start(command, self.place.client, tree, log, self.ids(program))
        ended = self.lab.finish(client, HASHING)
        return ended.seconds, ended.cpu, ended.client_peak

    def share_until_hashed(self, number: int, tree: Path) -> tuple[float, float, int]:
        """Shares the tree from a fresh home until it is offered with its id, so all is hashed."""
        home = f"hash-share-{number}"
        began = time.monotonic()
        server, output = self.qshare.start(home, self.place.server, "share", tree)

        def offered() -> bool:
            server.check()
            return any(event["event"] == "offer" and event["id"] for event in events(output))

        wait_until(offered, HASHING, "qshare share has hashed everything", pause=0.002)
        seconds = time.monotonic() - began
        measured = seconds, server.cpu(), server.peak()
        self.lab.stop(server)
        return measured

    def compare_ids(self) -> None:
        """b3sum, where it is there, must have printed what `qshare hash` did."""
        theirs = self.ids("b3sum")
        if theirs.exists() and theirs.read_text() != self.ids(OURS).read_text():
            raise Failed("qshare hash printed other ids than b3sum")
