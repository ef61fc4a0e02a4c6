"""The tables as reStructuredText. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..workloads import WORKLOADS, Workload
from .machine import Machine
from .summary import Row

QUIET = 0.05
"""The share of the server's core that others may take in a median before the figures are marked as disturbed."""

NOTES = """\
Each server runs on one core and the load generator on the other, in a closed loop over loopback. Figures are
medians over the rounds, with the lowest and the highest; in each round all servers are measured in turn. *Ours is*
tells how many times better django-websocket does. CPU is the processor time that the server (with its workers,
without a redis-server) takes for one message, in user mode and in the kernel, and *to ours* its ratio to what ours
takes. *Busy* is the share of its core that the server and the load generator used: where the server's is well below
100 %, it was not the bottleneck, and its CPU says more than its rate. The bare loop in C shows how far the load
generator reaches. Servers marked with \\* run Django, each with the same default middleware, sessions and
authentication.
"""


class Column(NamedTuple):
    """A heading and the cells below it."""

    heading: str
    value: Callable[[Row], str]


def number(value: float) -> str:
    """Three significant digits at least, with a thin grouping of thousands."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _sample(name: str, scale: float = 1.0, suffix: str = "") -> Callable[[Row], str]:
    def value(row: Row) -> str:
        return number(row.samples[name] * scale) + suffix if name in row.samples else ""

    return value


def _cpu(row: Row) -> str:
    if "cpu_us" not in row.samples:
        return ""
    samples = row.samples
    return f"{number(samples['cpu_us'])} ({number(samples['user_us'])} + {number(samples['system_us'])})"


def _busy(row: Row) -> str:
    if "server_busy" not in row.samples:
        return ""
    return f"{row.samples['server_busy']:.0%} / {row.samples['client_busy']:.0%}".replace("%", " %")


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} x"


_CPU = [
    Column("CPU µs (user + system)", _cpu),
    Column("to ours", lambda row: "" if row.ours else _ratio(row.cpu_ratio)),
    Column("busy server / load", _busy),
]
_EXTRA = {
    "echo": [*_CPU, Column("longest pause ms", _sample("longest_pause", 1e3))],
    "deflate": _CPU,
    "http": _CPU,
    "fanout": [*_CPU, Column("last delivery ms", _sample("last_delivery_ms"))],
    "storm": [
        *_CPU,
        Column("median ms", _sample("median_ms")),
        Column("99 % ms", _sample("p99_ms")),
        Column("slowest ms", _sample("slowest_ms")),
        Column("longest pause ms", _sample("longest_pause", 1e3)),
    ],
    "idle": [
        Column("PSS KiB/socket", _sample("pss_kib")),
        Column("server MiB", _sample("server_mib")),
        Column("lost", _sample("lost")),
    ],
    "pings": [
        Column("user %", _sample("user_percent")),
        Column("system %", _sample("system_percent")),
        Column("pings", _sample("pings")),
        Column("lost", _sample("lost")),
    ],
}


def columns(workload: Workload) -> list[Column]:
    """The columns of a workload's table."""
    return [
        Column("server", lambda row: f"**{row.title}** \\*" if row.ours else row.title + " \\*" * row.django),
        Column(workload.figure.label, lambda row: "" if row.median is None else number(row.median)),
        Column(
            "low to high",
            lambda row: "" if row.median is None else f"{number(row.low)} to {number(row.high)}",
        ),
        Column("ours is", lambda row: "" if row.ours else _ratio(row.ratio)),
        *_EXTRA[workload.kind],
    ]


def simple_table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A "simple table" of reStructuredText. An empty first cell would continue the row above, so there is none."""
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    rule = "  ".join("=" * max(width, 2) for width in widths)

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(max(widths[0], 2))]
        padded += [cell.rjust(max(width, 2)) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join(padded).rstrip()

    return "\n".join([rule, line(head), rule, *(line(cells) for cells in body), rule])


def section(name: str, rows: Sequence[Row]) -> str:
    """A heading, the chart, the table, and the reasons for what is missing."""
    workload = WORKLOADS[name]
    shown = [row for row in rows if row.median is not None]
    parts = [workload.title, "-" * len(workload.title), ""]
    if shown:
        kept = [c for c in columns(workload) if c.heading == "server" or any(c.value(row) for row in shown)]
        parts += [f".. image:: {name}.svg", f"   :alt: {workload.title}", ""]
        parts += [
            simple_table([c.heading for c in kept], [[c.value(row) for c in kept] for row in shown]),
            "",
        ]
    for row in rows:
        if row.missing:
            parts.append(f"* {row.title}: {row.missing}" + (" (in a later round)" if row.median is not None else ""))
    return "\n".join(parts).rstrip() + "\n"


def document(
    tables: Sequence[tuple[str, Sequence[Row]]], on: Machine, *, fewest: int, most: int, duration: float
) -> str:
    """The whole report; ``fewest`` and ``most`` are the rounds in which a cell was measured."""
    disturbance = max((row.samples.get("others_busy", 0.0) for _, rows in tables for row in rows), default=0.0)
    warning = (
        [f"**Not for publishing**: other processes took up to {disturbance:.0%} of the server's core.", ""]
        if disturbance > QUIET
        else []
    )
    versions = ", ".join(f"{package} {version}" for package, version in on.versions.items())
    rounds = f"{most} round{'s' * (most != 1)}" if fewest == most else f"{fewest} to {most} rounds"
    measured = f"{rounds} of {number(duration)} s for each cell"
    where = f"{on.processor}, {on.cores} cores, {on.memory_gib} GiB; {on.kernel}; {on.python}. {measured}."
    head = ["Benchmarks", "==========", "", where, "", *warning, NOTES, f"{versions}.", ""]
    return "\n".join([*head, *(section(name, rows) for name, rows in tables)])
