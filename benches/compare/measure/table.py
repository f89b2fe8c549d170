"""From measured runs to one table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

GIB, MB = 1 << 30, 1_000_000
OURS = "qshare"


@dataclass(frozen=True)
class Run:
    """One measured run. Seconds, bytes; processor seconds of both ends together; peaks of the largest process."""

    work: str
    place: str
    program: str
    round: int
    bytes: int
    seconds: float
    cpu_client: float | None = None
    cpu_server: float | None = None
    client_peak: int | None = None
    server_peak: int | None = None
    allowed: float | None = None
    """What the links let through as payload, Mbit/s."""

    @property
    def cpu(self) -> float | None:
        """Processor seconds of both ends."""
        return None if self.cpu_client is None or self.cpu_server is None else self.cpu_client + self.cpu_server


@dataclass(frozen=True)
class Row:
    """Medians of the runs of one program in one work and place; peaks are the highest."""

    work: str
    place: str
    program: str
    rounds: int
    seconds: float
    rate: float | None
    """MB/s; like what is counted per GiB only where it is about bytes."""
    ratio: float | None
    """Its median time over ours."""
    cpu: float | None
    cpu_per_gib: float | None
    client_peak: int | None
    server_peak: int | None
    of_links: float | None
    """The rate over what the links let through as payload."""


def rows(runs: Sequence[Run], ours: str = OURS) -> list[Row]:
    """A row for each work, place and program, in order of their first runs, ours first in its group."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.work, run.place, run.program), []).append(run)
    mine = {key[:2]: median(run.seconds for run in group) for key, group in groups.items() if key[2] == ours}
    made = [row(group, mine.get(key[:2])) for key, group in groups.items()]
    order = list(dict.fromkeys((one.work, one.place) for one in made))
    return sorted(made, key=lambda one: (order.index((one.work, one.place)), one.program != ours, one.seconds))


def row(runs: Sequence[Run], ours: float | None) -> Row:
    """The row of runs of one kind; `ours` is our median time."""
    first = runs[0]
    seconds = median(run.seconds for run in runs)
    rate = first.bytes / seconds / MB if first.bytes >= MB // 10 else None
    cpu = middle(run.cpu for run in runs)
    return Row(
        first.work, first.place, first.program, len(runs), seconds, rate,
        seconds / ours if ours else None, cpu, cpu * GIB / first.bytes if cpu is not None and rate is not None else None,
        highest(run.client_peak for run in runs), highest(run.server_peak for run in runs),
        rate * 8 / first.allowed if first.allowed and rate is not None else None,
    )  # fmt: skip


def middle(values: Iterable[float | None]) -> float | None:
    """The median of what was measured."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def highest(values: Iterable[int | None]) -> int | None:
    """The highest of what was measured; nothing was caught of what ended too soon."""
    return max(filter(None, values), default=None)


COLUMNS: list[tuple[str, Callable[[Row], str]]] = [
    ("work", lambda r: r.work),
    ("place", lambda r: r.place),
    ("program", lambda r: r.program),
    ("time s", lambda r: f"{r.seconds:.3f}"),
    ("MB/s", lambda r: optional(r.rate, ".0f" if r.rate and r.rate >= 100 else ".1f")),
    ("of links", lambda r: optional(r.of_links, ".3f")),
    ("time / ours", lambda r: optional(r.ratio, ".2f")),
    ("CPU s", lambda r: optional(r.cpu, ".2f")),
    ("CPU s/GiB", lambda r: optional(r.cpu_per_gib, ".2f")),
    ("client MB", lambda r: optional(megabytes(r.client_peak), ".0f")),
    ("server MB", lambda r: optional(megabytes(r.server_peak), ".0f")),
]

WORDS = 3
"""How many columns hold words."""


def optional(value: float | None, form: str) -> str:
    """A number, or nothing."""
    return "" if value is None else format(value, form)


def megabytes(count: int | None) -> float | None:
    """Bytes as MB."""
    return None if count is None else count / MB


def markdown(table: Sequence[Row]) -> str:
    """The table in Markdown, columns aligned; a work or place is named where it begins, empty columns are left out."""
    lines = [[cell(one) for _, cell in COLUMNS] for one in table]
    for above, below, line in reversed(list(zip(table, table[1:], lines[1:]))):
        if (above.work, above.place) == (below.work, below.place):
            line[0] = line[1] = ""
    kept = [i for i in range(len(COLUMNS)) if any(line[i] for line in lines)]
    widths = {i: max(len(COLUMNS[i][0]), *(len(line[i]) for line in lines)) for i in kept}
    head = [fill([name for name, _ in COLUMNS], widths), [rule(i, width) for i, width in widths.items()]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [*head, *(fill(line, widths) for line in lines)])


def fill(line: Sequence[str], widths: Mapping[int, int]) -> list[str]:
    """Words to the left, numbers to the right."""
    return [line[i].ljust(width) if i < WORDS else line[i].rjust(width) for i, width in widths.items()]


def rule(column: int, width: int) -> str:
    """The line below a heading."""
    return "-" * (width - 1) + ("-" if column < WORDS else ":")
