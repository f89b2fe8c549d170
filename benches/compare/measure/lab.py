"""Where a run takes place: a temporary directory, network namespaces, processes. All of it is gone when the lab ends,
also after an error or Ctrl-C. Namespaces begin with `qc<process id>`, so that labs never meet.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .process import (
    Ended,
    Failed,
    Server,
    finish,
    inside,
    last_line,
    spawn,
    stop,
    wait_until,
)

HOSTS = Path(__file__).resolve().parents[3] / "tests" / "lab" / "hosts.sh"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Place:
    """Two ends. Namespaces are `None` on the host itself."""

    name: str
    server: str | None
    client: str | None
    address: str
    """At which the client reaches the server."""


class Lab:
    """Owns everything that must be undone."""

    def __init__(self, parent: Path, given: Mapping[str, Path]) -> None:
        self.given = given
        self.root = Path(tempfile.mkdtemp(prefix="qshare-compare-", dir=parent))
        self.prefix = f"qc{os.getpid()}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.undo: list[Callable[[], None]] = []
        path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
        # Nobody's own settings: a HOME of the lab's.
        self.env = {"PATH": path, "HOME": str(self.root), "LC_ALL": "C", "TMPDIR": str(self.root)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.stop_all()
        for action in reversed(self.undo):
            action()
        shutil.rmtree(self.root, ignore_errors=True)

    def stop_all(self) -> None:
        """Ends whatever runs, the last started first."""
        while self.processes:
            stop(self.processes[-1])
            self.processes.pop()

    def which(self, program: str) -> Path | None:
        """Where a program is: as given on the command line, else on the PATH."""
        if program in self.given:
            return self.given[program].resolve()
        found = shutil.which(program, path=self.env["PATH"])
        return Path(found) if found else None

    def directory(self, *names: str) -> Path:
        """A directory of the lab, made if absent."""
        path = self.root.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def server(
        self, name: str, command: Sequence[str | Path], namespace: str | None, output: Path | None = None
    ) -> Server:
        """Starts what serves; it is not known to be ready yet."""
        cwd = self.directory("run", name)
        log = cwd / "log"
        process = spawn(command, namespace=namespace, env=self.env, cwd=cwd, log=log, output=output)
        self.processes.append(process)
        return Server(name, process, log)

    def stop(self, server: Server) -> None:
        """Ends a server before the lab ends."""
        stop(server.process)
        self.processes.remove(server.process)

    def start(
        self, command: Sequence[str | Path], namespace: str | None, cwd: Path, log: Path, output: Path | None = None
    ) -> Client:
        """Starts a client; the clock runs from before its start."""
        began = time.monotonic()
        process = spawn(command, namespace=namespace, env=self.env, cwd=cwd, log=log, output=output)
        self.processes.append(process)
        return Client(process, began, log)

    def finish(self, client: Client, limit: float, servers: Sequence[Server] = ()) -> Ended:
        """Waits for a client, at most `limit` seconds from its start."""
        try:
            return finish(client.process, client.began, limit, servers, client.log)
        finally:
            if client.process.returncode is not None:
                self.processes.remove(client.process)

    def tool(self, *command: str | Path) -> str:
        """Runs a short helper and returns its output; raises Failed with its last words."""
        log = self.root / "tool.log"
        log.unlink(missing_ok=True)
        with open(log, "wb") as errors:
            try:
                done = subprocess.run(
                    command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=self.env,
                    timeout=60,
                )  # fmt: skip
            except OSError as error:
                raise Failed(f"{command[0]} cannot be started: {error.strerror}") from error
            except subprocess.TimeoutExpired as late:
                raise Failed(f"{command[0]} was not done within 60 s") from late
        if done.returncode != 0:
            raise Failed(f"{command[0]} failed: {last_line(log)}")
        return done.stdout.decode(errors="replace")

    def namespace(self, name: str) -> str:
        """A new network namespace with loopback."""
        full = self.prefix + name
        self.tool("ip", "netns", "add", full)
        self.undo.append(lambda: forget(self, "ip", "netns", "del", full))
        self.tool("ip", "-n", full, "link", "set", "lo", "up")
        return full

    def loopback(self, root: bool) -> Place:
        """Both ends on one host: a namespace of its own, or 127.0.0.1 of this host where none can be made."""
        host = self.namespace("lo") if root else None
        return Place("loopback", host, host, "127.0.0.1")

    def veth(self) -> Place:
        """Two namespaces joined by a pair of virtual Ethernet devices, MTU 1500."""
        server, client = self.namespace("a"), self.namespace("b")
        self.tool("ip", "-n", server, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", client)
        for number, host in ((1, server), (2, client)):
            self.tool("ip", "-n", host, "addr", "add", f"10.66.0.{number}/24", "dev", "eth0")
            self.tool("ip", "-n", host, "link", "set", "eth0", "mtu", "1500", "up")
        return Place("veth 1500", server, client, "10.66.0.1")

    def hosts(self, name: str, count: int) -> list[str]:
        """That many namespaces on one bridge, the i-th (from 1) with 10.66.0.i."""
        prefix = self.prefix + name
        self.undo.append(lambda: forget(self, "bash", HOSTS, "down", prefix))
        self.tool("bash", HOSTS, "up", prefix, str(count))
        return [f"{prefix}{i}" for i in range(1, count + 1)]

    def limit(self, host: str, mbit: float) -> None:
        """Limits what a host of `hosts` sends, frame bytes counted."""
        self.tool(
            "tc", "-n", host, "qdisc", "replace", "dev", "eth0", "root",
            "tbf", "rate", f"{mbit:g}mbit", "burst", "256k", "latency", "50ms",
        )  # fmt: skip


@dataclass
class Client:
    """A running client."""

    process: subprocess.Popen[bytes]
    began: float
    log: Path


def forget(lab: Lab, *command: str | Path) -> None:
    """Runs a helper that undoes something which may not be there."""
    try:
        lab.tool(*command)
    except Failed:
        pass


def free_port(namespace: str | None, address: str) -> int:
    """A TCP port that nothing uses at the moment."""
    with inside(namespace), socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_listening(server: Server, namespace: str | None, address: str, port: int) -> None:
    """Waits until a TCP port answers, then until the processes of that are gone."""

    def answers() -> bool:
        server.check()
        with inside(namespace), socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((address, port)) == 0

    wait_until(answers, 10, f"{server.name} listens")
    time.sleep(0.3)
    server.idle = len(server.tree())
