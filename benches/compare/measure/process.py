"""Processes: started in a network namespace, waited for with a deadline, their processor time and memory counted.

Processor time is exact: of a client what wait4 tells (with the children that it reaped), of a server the user and
system time of its whole tree, before and after. Memory is the peak resident set of the largest process of a side.
Not responsible for what is started.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNET = 0x40000000
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLES = 0.02, 0.2
"""The fewest and the most seconds between two looks at the memory of what runs: a tenth of its age in between, so that a
look of 0.2 ms a process is lost in the noise of a long run.
"""


class Failed(Exception):
    """A program did not do what it was started for; the message is one sentence."""


@dataclass(frozen=True)
class Ended:
    """A finished client: wall seconds, processor seconds, peak bytes of the client's and of the servers' side."""

    seconds: float
    cpu: float
    client_peak: int
    server_peak: int


@contextmanager
def inside(namespace: str | None) -> Iterator[None]:
    """What is started or opened here is in that network namespace; `None` is the host."""
    if namespace is None:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(fd: int) -> None:
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")

    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(other)
        try:
            yield
        finally:
            enter(own)
    finally:
        os.close(own)
        os.close(other)


def spawn(
    command: Sequence[str | Path],
    *,
    namespace: str | None,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    output: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts `command`, standard error to `log`, standard output to `output` or to nowhere."""
    with inside(namespace), open(log, "ab") as errors, open(output or os.devnull, "wb") as out:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
            )
        except OSError as error:
            raise Failed(f"{command[0]} cannot be started: {error.strerror}") from error


def last_line(log: Path) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def wait_until(condition: Callable[[], bool], seconds: float, what: str, pause: float = 0.02) -> None:
    """Polls `condition` every `pause` seconds; raises Failed with `what` when it stays false."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


class Server:
    """A process that serves until it is stopped."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.process, self.log = name, process, log
        self.idle = 0
        """How many processes its tree has while nobody is served."""

    def check(self) -> None:
        """Raises Failed when it has ended."""
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}: {last_line(self.log)}")

    def tree(self) -> list[int]:
        """It and its living descendants."""
        return tree(self.process.pid)

    def cpu(self) -> float:
        """Seconds of user and system time of the tree and of all children that it reaped."""
        return sum(cpu_seconds(pid) for pid in self.tree())

    def peak(self) -> int:
        """Peak bytes of the largest process of the tree."""
        return peak_of(self.tree())

    def settle(self) -> None:
        """Waits until the processes that served a client have been reaped, so that their time is counted."""
        wait_until(lambda: len(self.tree()) <= self.idle, 5, f"{self.name} is idle again")


def tree(pid: int) -> list[int]:
    """A process and its living descendants."""
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        found.append(at)
        try:
            for task in os.listdir(f"/proc/{at}/task"):
                todo += map(int, Path(f"/proc/{at}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of the children that it reaped; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def peak_of(pids: Sequence[int]) -> int:
    """Peak bytes of the largest of these processes."""
    return max(map(peak_memory, pids), default=0)


def peak_memory(pid: int) -> int:
    """Bytes, the highest resident set so far; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, after 3 s SIGKILL; then SIGKILL for descendants that are left."""
    if process.returncode is not None:
        return
    family = {pid: started(pid) for pid in tree(process.pid)[1:]}
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        family |= {pid: started(pid) for pid in tree(process.pid)[1:]}
        process.kill()
        process.wait()
    for pid, when in family.items():
        # The number may belong to another process by now.
        if when is not None and started(pid) == when:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def started(pid: int) -> str | None:
    """When a process was started, in ticks since the machine was; `None` when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def finish(process: subprocess.Popen[bytes], began: float, limit: float, servers: Sequence[Server], log: Path) -> Ended:
    """Waits for a client that was started at `began`, at most `limit` seconds; raises Failed when it does not end with 0."""
    client_peak = server_peak = 0
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not poll.poll(min(max((time.monotonic() - began) / 10, SAMPLES[0]), SAMPLES[1]) * 1000):
            client_peak = max(client_peak, peak_of(tree(process.pid)))
            server_peak = max([server_peak, *(server.peak() for server in servers)])
            if time.monotonic() - began > limit:
                stop(process)
                raise Failed(f"not done within {limit:.0f} s")
        seconds = time.monotonic() - began
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"ended with {process.returncode}: {last_line(log)}")
    # The kernel counts our own size, shared until exec, as the child's: below that only the samples tell.
    if usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        client_peak = max(client_peak, usage.ru_maxrss * 1024)
    server_peak = max([server_peak, *(server.peak() for server in servers)])
    return Ended(seconds, usage.ru_utime + usage.ru_stime, client_peak, server_peak)
