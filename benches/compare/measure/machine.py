"""What was measured with: the machine, and the versions of the programs that are there."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from .lab import Lab

VERSION = {
    "rsync": "--version",
    "nginx": "-v",
    "curl": "--version",
    "aria2c": "--version",
    "ssh": "-V",
    "sendme": "--version",
    "rqbit": "--version",
    "b3sum": "--version",
}
"""How each program tells its version."""


def machine() -> str:
    """Cores, processor, memory, kernel."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    model = cpu[1] if cpu else platform.machine()
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}"


def versions(lab: Lab) -> str:
    """Every known program that is there."""
    return ", ".join(f"{tool} {found}" for tool in VERSION if (found := version(lab, tool)))


def version(lab: Lab, tool: str) -> str | None:
    """What a program calls its version; `None` when it is not there or does not tell."""
    path = lab.which(tool)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, VERSION[tool]], check=False, capture_output=True, text=True, env=lab.env, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r"\d+\.\d+[\w.]*", done.stdout + done.stderr)
    return number[0] if number else None
