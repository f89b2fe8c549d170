"""Many hosts on limited links: four providers, a fifth that is slow, and a crowd that fetches from one.

qshare alone: what is measured is how near it comes to what the links allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import files
from .lab import Client, Lab
from .process import Server
from .qshare import Qshare
from .table import OURS, Run

MBIT = 100.0
"""What each host may send, in Mbit/s of frame bytes."""
PAYLOAD = 0.947
"""The most of it that QUIC carries as payload at MTU 1500."""
SLOW = 2.0
PROVIDERS = 4
CROWD = 8
ITEM = "linked.bin"


@dataclass
class Net:
    """A tracker and providers that run on hosts of one bridge, and what they share."""

    work: str
    place: str
    source: Path
    tracker: str
    servers: list[Server]
    allowed: float
    """What the links let one downloader have as payload, Mbit/s."""


@dataclass
class Links:
    """What is to be measured, and whom to tell about it."""

    lab: Lab
    qshare: Qshare
    rounds: int
    say: Callable[[str], None]

    def swarm(self, size: int, slow_too: bool) -> list[Run]:
        """Four providers; with `slow_too` each round once more beside a fifth at 2 Mbit/s."""
        tracker_host, *hosts, slow, client = self.lab.hosts("s", PROVIDERS + 3)
        self.lab.limit(slow, SLOW)
        place = f"{PROVIDERS} x {MBIT:.0f} Mbit/s"
        net = self.net("swarm", place, size, tracker_host, hosts, PROVIDERS * MBIT * PAYLOAD)
        runs: list[Run] = []
        for number in range(self.rounds):
            ways = [False, True] if slow_too else [False]
            for with_slow in ways if number % 2 == 0 else reversed(ways):
                if with_slow:
                    fifth = self.qshare.share(f"{slow}-share", slow, net.tracker, net.source)
                    beside = replace(net, servers=[*net.servers, fifth], allowed=net.allowed + SLOW * PAYLOAD)
                    runs.append(self.fetch(beside, f"{OURS}, a fifth at {SLOW:.0f} Mbit/s", number, [client]))
                    self.lab.stop(fifth)
                else:
                    runs.append(self.fetch(net, OURS, number, [client]))
        return runs

    def crowd(self, size: int) -> list[Run]:
        """One provider and eight that fetch at the same moment, beside one that fetches alone."""
        tracker_host, provider, *clients = self.lab.hosts("c", CROWD + 2)
        for host in (tracker_host, *clients):
            self.lab.limit(host, MBIT)
        net = self.net("crowd", f"hosts at {MBIT:.0f} Mbit/s", size, tracker_host, [provider], MBIT * PAYLOAD)
        runs: list[Run] = []
        for number in range(self.rounds):
            runs.append(self.fetch(net, OURS, number, clients[:1]))
            runs.append(self.fetch(net, f"{OURS}, last of {CROWD} at once", number, clients))
        return runs

    def net(self, work: str, place: str, size: int, tracker_host: str, hosts: Sequence[str], allowed: float) -> Net:
        """A tracker on the first host of a bridge, and providers of one file on limited links."""
        files.empty(self.lab.directory("links"))
        source = self.lab.directory("links") / ITEM
        files.write_noise(source, size)
        server, tracker = self.qshare.tracker(f"{work}-tracker", tracker_host, "10.66.0.1")
        net = Net(work, place, source, tracker, [server], allowed)
        for host in hosts:
            self.lab.limit(host, MBIT)
            net.servers.append(self.qshare.share(f"{host}-share", host, tracker, source))
        return net

    def fetch(self, net: Net, name: str, number: int, hosts: Sequence[str]) -> Run:
        """All hosts start at once; the time is that of the last."""
        size = net.source.stat().st_size
        before = sum(server.cpu() for server in net.servers)
        clients = [self.start(net, host) for host in hosts]
        limit = 60 + 4 * len(hosts) * size * 8 / (net.allowed * 1e6)
        ended = [self.lab.finish(client, limit, net.servers) for client in clients]
        served = sum(server.cpu() for server in net.servers) - before
        for host in hosts:
            files.check(net.source, self.into(host) / ITEM, bytes_too=number == 0)
            files.empty(self.into(host))
        seconds = max(one.seconds for one in ended)
        self.say(f"{net.work}, round {number + 1}: {name} {seconds:.2f} s")
        return Run(
            net.work, net.place, name, number, size, seconds, sum(one.cpu for one in ended), served,
            max(one.client_peak for one in ended), max(one.server_peak for one in ended), net.allowed,
        )  # fmt: skip

    def start(self, net: Net, host: str) -> Client:
        """A `get` on a host."""
        files.empty(self.into(host))
        command = self.qshare.get(f"{host}-get", net.tracker, ITEM, self.into(host))
        return self.lab.start(command, host, self.into(host), self.lab.directory("run") / f"{host}.log")

    def into(self, host: str) -> Path:
        """Where a host's result lands."""
        return self.lab.directory("links", f"into-{host}")
