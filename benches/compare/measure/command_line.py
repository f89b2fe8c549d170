"""Arguments, the order of works, and what is printed: progress to standard error, the table to standard output."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from . import files
from .copies import Copies, write_source
from .lab import Lab, Place
from .links import Links
from .local import Local
from .machine import machine, versions
from .peers import Rqbit, Sendme
from .process import Failed
from .programs import LARGE, TREE, Aria2, Curl, Program, Rsync, Scp, ScpGcm, TarSsh
from .qshare import Qshare, QshareCopy
from .table import Run, markdown, rows

REPOSITORY = Path(__file__).resolve().parents[3]
STARTUP, HASHING, SWARM, SLOW, CROWD = "startup", "hash", "swarm", "slow", "crowd"
WORKS = (LARGE, TREE, STARTUP, HASHING, SWARM, SLOW, CROWD)
QUICK = [LARGE, TREE, STARTUP, HASHING]
PLACES = ("loopback", "veth")
PROGRAMS: tuple[type[Program], ...] = (QshareCopy, Rsync, Curl, Aria2, ScpGcm, Scp, TarSsh, Sendme, Rqbit)
GIVEN = ("sendme", "rqbit", "b3sum")

EPILOG = """\
works:
  large    copy one large file                       tree     copy many files of 8 KiB
  startup  get 1 KiB, the whole process              hash     hash a tree, beside b3sum
  swarm    get from four providers at 100 Mbit/s     slow     the same, also with a fifth at 2 Mbit/s
  crowd    eight fetch from one, all at 100 Mbit/s

Programs alternate in each round; startup is four runs for each round.
Times are medians, from the start of a process to its end. CPU seconds are those of both ends together (of qshare: get,
share and tracker). MB is 10^6 bytes, the highest peak of the largest process of a side. Every result is checked: sizes
always, all bytes in the first round."""


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, 1 when qshare failed, 2 for usage, 130 and the like when interrupted."""
    options = parse(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    try:
        with Lab(options.disk, {name: path for name in GIVEN if (path := getattr(options, name))}) as lab:
            comparison = Comparison(lab, options)
            comparison.measure()
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Failed as failure:
        say(str(failure))
        return 1
    if comparison.runs:
        print(f"\n{machine()}; files on {options.disk}\n{comparison.versions}\n\n{markdown(rows(comparison.runs))}")
    if options.json:
        options.json.write_text(json.dumps([asdict(run) for run in comparison.runs], indent=1) + "\n")
    return 1 if comparison.failed else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with `--quick` worked in."""
    parser = argparse.ArgumentParser(
        prog="benches/compare/run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures qshare beside other programs, in one run, alternating.\nNeeds root, for network namespaces; "
        "without it only loopback is measured, on 127.0.0.1 of this host.",
        epilog=EPILOG,
    )
    parser.add_argument("--work", type=names(WORKS), metavar="W,...", help="which works, see below [all]")
    parser.add_argument(
        "--place", type=names(PLACES), default=list(PLACES), metavar="P,...", help="loopback, veth [both]"
    )
    parser.add_argument(
        "--only", type=lambda t: t.split(","), metavar="NAME,...", help="beside qshare only programs so named"
    )
    parser.add_argument(
        "--rounds", type=positive, default=5, metavar="N", help="of each program in each work and place [5]"
    )
    parser.add_argument("--size", type=size, default=2 << 30, help="of the large file, and of what is hashed [2GiB]")
    parser.add_argument("--files", type=positive, default=10_000, metavar="N", help="of 8 KiB in a tree [10000]")
    parser.add_argument("--link-size", type=size, default=512 << 20, metavar="SIZE",
                        help="fetched from four providers; a quarter of it by a crowd [512MiB]")  # fmt: skip
    parser.add_argument(
        "--disk", type=Path, default=Path("/dev/shm"), metavar="DIR", help="where all files are [/dev/shm]"
    )
    parser.add_argument(
        "--sync", action="store_true", help="copies: the time runs until the result is on the disk (sync -f)"
    )
    parser.add_argument("--qshare", type=Path, metavar="PATH", help="the binary [target/release/qshare]")
    for name in GIVEN:
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help="where it is, if not on the PATH")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all runs into this file")
    parser.add_argument("--quick", action="store_true",
                        help=f"a smoke test: one round of {','.join(QUICK)}; 64 MiB, 500 files")  # fmt: skip
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.size, options.files, options.link_size = 1, 64 << 20, 500, 16 << 20
    options.work = options.work or (QUICK if options.quick else list(WORKS))
    if not options.disk.is_dir():
        parser.error(f"{options.disk} is not a directory: --disk DIR")
    options.qshare = binary(parser, options.qshare)
    return options


def positive(text: str) -> int:
    """A number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def names(known: Sequence[str]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names."""

    def parsed(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return chosen

    return parsed


def size(text: str) -> int:
    """Bytes from `512MiB` and the like."""
    found = re.fullmatch(r"(\d+)\s*([KMG]i?B?)?", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not a size such as 512MiB")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[(found[2] or "")[:1]]


def binary(parser: argparse.ArgumentParser, given: Path | None) -> Path:
    """The qshare that is measured."""
    path = given or target() / "release" / "qshare"
    if not os.access(path, os.X_OK):
        parser.error(f"{path} is not there: cargo build --release, or --qshare PATH")
    return path.resolve()


def target() -> Path:
    """Cargo's target directory, wherever it is configured."""
    if cargo := shutil.which("cargo"):
        command = [cargo, "metadata", "--format-version", "1", "--no-deps", "--offline"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
        if done.returncode == 0:
            return Path(json.loads(done.stdout)["target_directory"])
    return REPOSITORY / "target"


def say(message: str) -> None:
    """A line of progress."""
    print(message, file=sys.stderr, flush=True)


class Comparison:
    """One run of all that was chosen. A work that fails is told of, and the others go on."""

    def __init__(self, lab: Lab, options: argparse.Namespace) -> None:
        self.lab, self.options = lab, options
        self.runs: list[Run] = []
        self.failed = False
        self.versions = versions(lab)

    def measure(self) -> None:
        """All works in all places."""
        options = self.options
        QshareCopy.binary = options.qshare
        qshare = Qshare(self.lab, options.qshare)
        places = set_up(self.lab, options.place)
        for work in (LARGE, TREE):
            if work in options.work:
                self.copy(work, places)
        local = Local(self.lab, qshare, places[0], options.rounds, 4 * options.rounds, say)
        if STARTUP in options.work:
            self.attempt(STARTUP, local.startup)
        if HASHING in options.work:
            self.attempt(HASHING, lambda: local.hashing(options.size, options.files), 5 * options.size // 4)
        links, size = Links(self.lab, qshare, options.rounds, say), options.link_size
        if places[0].server is None:
            if {SWARM, SLOW, CROWD} & set(options.work):
                say(f"{SWARM}, {SLOW} and {CROWD} skipped: they need network namespaces")
            return
        if {SWARM, SLOW} & set(options.work):
            self.attempt(SWARM, lambda: links.swarm(size, SLOW in options.work), 2 * size)
        if CROWD in options.work:
            self.attempt(CROWD, lambda: links.crowd(size // 4), 9 * size // 4)

    def copy(self, work: str, places: Sequence[Place]) -> None:
        """A large file or a small tree, by all programs."""
        options = self.options
        served = self.lab.directory("served")
        programs = [kind for kind in PROGRAMS if wanted(kind, options.only)]
        copies = Copies(self.lab, programs, options.rounds, served, options.sync, say)

        def measured(place: Place) -> list[Run]:
            runs = copies.measure(work, place)
            if sum(run.program == QshareCopy.name for run in runs) < options.rounds:
                raise Failed("qshare itself failed")
            return runs

        needed = options.size if work == LARGE else options.files * files.SMALL
        files.require_space(self.lab.root, 2 * needed)
        write_source(served, work, options.size, options.files)
        for place in places:
            self.attempt(f"{work}, {place.name}", partial(measured, place))
        files.empty(served)

    def attempt(self, name: str, work: Callable[[], list[Run]], needed: int = 0) -> None:
        """Runs a work that needs so many bytes of files, and ends what it left running."""
        try:
            files.require_space(self.lab.root, needed)
            self.runs += work()
        except Failed as failure:
            say(f"{name} FAILED: {failure}")
            self.failed = True
        finally:
            self.lab.stop_all()


def wanted(kind: type[Program], only: Sequence[str] | None) -> bool:
    """Whether a program was asked for."""
    return only is None or kind is QshareCopy or any(kind.name.startswith(name) for name in only)


def set_up(lab: Lab, chosen: Sequence[str]) -> list[Place]:
    """The places, as far as they can be made here."""
    cause = "not root" if os.getuid() != 0 else None
    if cause is None:
        try:
            return [lab.loopback(root=True) if name == "loopback" else lab.veth() for name in chosen]
        except Failed as failure:
            cause = str(failure)
    say(f"network namespaces need root and iproute2 ({cause}): only loopback is measured, on this host's 127.0.0.1")
    return [lab.loopback(root=False)]
