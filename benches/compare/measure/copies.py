"""Copying a large file and a small tree: every program in every round, the first of each round another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import files
from .lab import Lab, Place
from .process import Failed
from .programs import NAMES, Missing, Program
from .table import Run


@dataclass(frozen=True)
class Copies:
    """What is to be measured, and whom to tell about it."""

    lab: Lab
    programs: Sequence[type[Program]]
    rounds: int
    served: Path
    sync: bool
    """Whether the time runs until the result is on the disk, which qshare itself waits for."""
    say: Callable[[str], None]

    def measure(self, work: str, place: Place) -> list[Run]:
        """All rounds of one work in one place. A program that is missing or fails is told of and left out."""
        # qshare, the first, starts to serve last: rqbit touches the files that it seeds, and what changes is offered anew.
        kinds = [kind for kind in reversed(self.programs) if work in kind.works]
        running = [program for kind in kinds if (program := self.start(kind, work, place))][::-1]
        runs: list[Run] = []
        for number in range(self.rounds):
            first = number % max(len(running), 1)
            for program in running[first:] + running[:first]:
                try:
                    run = self.once(program, number)
                except Failed as failure:
                    self.say(f"{work}, {place.name}: {program.name} FAILED: {failure}")
                    running.remove(program)
                    continue
                self.say(f"{work}, {place.name}, round {number + 1}: {program.name} {run.seconds:.3f} s")
                runs.append(run)
        return runs

    def start(self, kind: type[Program], work: str, place: Place) -> Program | None:
        """A program that is ready to serve."""
        try:
            program = kind(self.lab, place, self.served, work)
            program.start()
        except Missing as missing:
            self.say(f"{work}, {place.name}: {kind.name} skipped: {missing}")
        except Failed as failure:
            self.say(f"{work}, {place.name}: {kind.name} FAILED: {failure}")
        else:
            return program
        return None

    def once(self, program: Program, number: int) -> Run:
        """One copy: only the client's process is in the time."""
        source = self.served / program.item
        size = sum(files.sizes(source).values())
        into = self.lab.directory("into")
        files.empty(into)
        if self.sync:
            self.lab.tool("sync", "-f", into)
        files.touch_memory(size)
        time.sleep(0.1)
        before = sum(server.cpu() for server in program.servers)
        client = self.lab.start(program.fetch(into), program.place.client, into, program.home / "client.log")
        ended = self.lab.finish(client, 120 + size / 4e6, program.servers)
        seconds = ended.seconds
        if self.sync:
            began = time.monotonic()
            self.lab.tool("sync", "-f", into)
            seconds += time.monotonic() - began
        for server in program.servers:
            server.check()
            server.settle()
        served = sum(server.cpu() for server in program.servers) - before
        files.check(source, into / program.item, bytes_too=number == 0)
        files.empty(into)
        program.tidy()
        return Run(
            program.work, program.place.name, program.name, number, size, seconds,
            ended.cpu, served, ended.client_peak, ended.server_peak,
        )  # fmt: skip


def write_source(served: Path, work: str, size: int, count: int) -> None:
    """Makes what a work copies."""
    item = served / NAMES[work]
    if work == "large":
        files.write_noise(item, size)
    else:
        files.write_tree(item, count)
