"""Arguments, the order of works, and what is printed: progress to standard error, the table to standard output."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from . import files
from .copies import Copies, write_source
from .lab import Lab, Place
from .process import Failed
from .programs import LARGE, TREE, Aria2, Curl, Program, Rsync, Scp, ScpGcm, TarSsh
from .qshare import QshareCopy
from .table import Run, markdown, rows

REPOSITORY = Path(__file__).resolve().parents[3]
WORKS = (LARGE, TREE)
PLACES = ("loopback", "veth")
PROGRAMS: tuple[type[Program], ...] = (QshareCopy, Rsync, Curl, Aria2, ScpGcm, Scp, TarSsh)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0, 1 when qshare failed, 2 for usage, 130 or 143 when interrupted."""
    options = parse(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    try:
        with Lab(options.disk) as lab:
            runs = measure(lab, options)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except Failed as failure:
        say(str(failure))
        return 1
    print(f"\n{machine()}\n\n{markdown(rows(runs))}")
    if options.json:
        options.json.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, with `--quick` worked in."""
    parser = argparse.ArgumentParser(
        prog="benches/compare/run",
        description="Measures qshare beside other programs, in one run, alternating. "
        "Needs root for network namespaces; without it only loopback is measured, on 127.0.0.1 of this host.",
    )
    parser.add_argument("--work", type=names(WORKS), default=list(WORKS), help=f"of {','.join(WORKS)} [all]")
    parser.add_argument("--place", type=names(PLACES), default=list(PLACES), help=f"of {','.join(PLACES)} [all]")
    parser.add_argument("--rounds", type=int, default=5, help="of each program in each work and place [5]")
    parser.add_argument("--size", type=size, default=2 << 30, help="of the large file [2GiB]")
    parser.add_argument("--files", type=int, default=10_000, help="of 8 KiB in the small tree [10000]")
    parser.add_argument("--disk", type=Path, default=Path("/dev/shm"), help="where all files are [/dev/shm: memory]")
    parser.add_argument("--only", type=lambda t: t.split(","), help="programs whose names begin so; qshare always runs")
    parser.add_argument("--qshare", type=Path, help="the binary [target/release/qshare]")
    parser.add_argument("--json", type=Path, help="write all runs into this file")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one round, 64 MiB, 500 files")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.size, options.files = 1, 64 << 20, 500
    options.qshare = binary(parser, options.qshare)
    return options


def names(known: Sequence[str]):  # noqa: ANN201
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


def measure(lab: Lab, options: argparse.Namespace) -> list[Run]:
    """All works in all places."""
    files.require_space(lab.root, 2 * options.size + (512 << 20))
    QshareCopy.binary = options.qshare
    served = lab.directory("served")
    chosen = [kind for kind in PROGRAMS if wanted(kind, options.only)]
    copies = Copies(lab, chosen, options.rounds, served, say)
    places = set_up(lab, options.place)
    runs: list[Run] = []
    for work in (work for work in WORKS if work in options.work):
        write_source(served, work, options.size, options.files)
        for place in places:
            measured = copies.measure(work, place)
            if not any(run.program == QshareCopy.name for run in measured):
                raise Failed(f"qshare itself was not measured: {work}, {place.name}")
            runs += measured
        files.empty(served)
    return runs


def wanted(kind: type[Program], only: Sequence[str] | None) -> bool:
    """Whether a program was asked for."""
    return only is None or kind is QshareCopy or any(kind.name.startswith(name) for name in only)


def set_up(lab: Lab, chosen: Sequence[str]) -> list[Place]:
    """The places, as far as they can be made here."""
    cause = "not root" if os.getuid() != 0 else None
    if cause is None:
        try:
            return [lab.loopback(root=True) if name == "loopback" else lab.veth() for name in chosen]
        except (Failed, OSError) as failure:
            cause = str(failure)
    say(f"network namespaces need root and iproute2 ({cause}): only loopback is measured, on this host's 127.0.0.1")
    return [lab.loopback(root=False)]


def machine() -> str:
    """What this was measured on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}"
