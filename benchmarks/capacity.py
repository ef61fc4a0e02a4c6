"""``python -m benchmarks.capacity``: open, hold and close as many idle sockets as one process can have.

Opens sockets in steps, to show whether memory, processor time and the time to open grow linearly; holds all of
them for some minutes while the server pings; closes each with a closing handshake. With
``--processes 2`` two servers share one port (SO_REUSEPORT). Several load processes, each with an address of its
own in 127.0.0.0/8, hold the client ends. Exits with 0 if no socket was lost and every close was answered.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .environment import HERE, PYTHON, ROOT, ready
from .load.job import Job
from .processes import Failure, cores, end_with_us, free_port, running
from .procfs import memory, processor_time, session_pids
from .project.pauses import VARIABLE, longest_pause
from .report.tables import number, simple_table
from .servers import OURS, SERVERS

LOADS = 4  # load processes for each server process
PER_STEP = 5000  # sockets for each server process


@dataclass(frozen=True)
class Step:
    """The cost of a step; every figure is the total of all server processes."""

    sockets: int  # open after it
    opened: int  # in it
    open_seconds: float
    open_cpu_seconds: float
    rss_mib: float
    kib_per_socket: float  # of all that are open, above the empty server
    core_percent: float  # of one core, in the window after it
    pings: int  # in the window
    collector_seconds: float | None  # the longest pause that the garbage collector made, ours only


@dataclass
class Findings:
    """The outcome."""

    server: str
    processes: int
    steps: list[Step] = field(default_factory=list)
    shares: list[int] = field(default_factory=list)  # file descriptors of each server process at the end
    held_seconds: float = 0.0
    held_core_percent: float = 0.0
    held_pings: int = 0
    lost: int = 0
    close_seconds: float = 0.0
    unanswered_closes: int = 0


class Loads:
    """The load processes, which get the same orders at the same time."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def order(self, *orders: str) -> list[dict[str, Any]]:
        """Send one order to each process, or one to all; return their answers. Raises Failure with the first error."""
        for place, process in enumerate(self._processes):
            assert process.stdin is not None
            process.stdin.write(orders[place % len(orders)] + "\n")
            process.stdin.flush()
        findings = []
        for process in self._processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            findings.append(json.loads(line) if line else {"error": "a load process ended"})
        for finding in findings:
            if "error" in finding:
                raise Failure(finding["error"])
        return findings

    def open(self, count: int) -> float:
        """Open ``count`` more, spread evenly; return the seconds taken."""
        each, more = divmod(count, len(self._processes))
        outcomes = self.order(*(f"open {each + (place < more)}" for place in range(len(self._processes))))
        return max(float(outcome["seconds"]) for outcome in outcomes)

    def total(self, name: str) -> int:
        """The sum of one figure over all load processes."""
        return sum(int(report[name]) for report in self.order("report"))


@contextlib.contextmanager
def load_processes(port: int, path: str, count: int, usable: set[int]) -> Iterator[Loads]:
    """``count`` load processes for the server on ``port``; they are stopped when the context ends."""
    processes = []
    try:
        for number_ in range(1, count + 1):
            job = Job("held", port=port, path=path, source=f"127.0.0.{number_}", in_flight=max(4, 64 // count))
            processes.append(
                subprocess.Popen(
                    [str(PYTHON), "-m", "benchmarks.load", job.to_json()],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    preexec_fn=lambda: os.sched_setaffinity(0, usable),
                )
            )
        yield Loads(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def measure(name: str, *, processes: int, sockets: int, window: float, hold: float) -> Findings:
    """Run the measurement. ``sockets`` is for each server process, ``window`` and ``hold`` are seconds.

    Raises Failure if sockets can't be opened.
    """
    server, port, (server_core, load_core) = SERVERS[name], free_port(), cores()
    findings = Findings(name, processes)
    command = server.command(port) + (["shared"] if processes > 1 else [])
    with ExitStack() as stack:
        pauses = Path(stack.enter_context(tempfile.NamedTemporaryFile()).name) if name == OURS else None
        environment = {VARIABLE: str(pauses)} if pauses is not None else {}
        sessions = [
            stack.enter_context(running(command, port, (server_core, load_core)[place % 2], environment=environment))
            for place in range(processes)
        ]
        pids = [pid for session in sessions for pid in session_pids(session)]
        usable = {load_core} if processes == 1 else {server_core, load_core}
        loads = stack.enter_context(load_processes(port, server.path, LOADS * processes, usable))
        loads.open(LOADS * processes)  # everything that is loaded and allocated once
        empty, already = memory(pids), LOADS * processes
        while already < sockets * processes:
            count = min(PER_STEP * processes, sockets * processes - already)
            findings.steps.append(_step(loads, pids, already, count, empty.rss, window, pauses))
            already += count
            print(findings.steps[-1], file=sys.stderr)
        findings.shares = [sum(len(os.listdir(f"/proc/{p}/fd")) for p in session_pids(s)) for s in sessions]
        findings.held_core_percent, findings.held_pings = _watch(loads, pids, hold)
        findings.held_seconds = hold
        start = time.monotonic()
        closed = loads.order("close")
        findings.close_seconds = time.monotonic() - start
        findings.lost = sum(int(outcome["lost"]) for outcome in closed)
        findings.unanswered_closes = sum(int(outcome["unanswered"]) for outcome in closed)
    return findings


def _step(
    loads: Loads, pids: Sequence[int], already: int, count: int, empty: int, window: float, pauses: Path | None
) -> Step:
    if pauses is not None:
        longest_pause(pauses)
    before = processor_time(pids)
    seconds = loads.open(count)
    cpu = sum(processor_time(pids).since(before))
    percent, pings = _watch(loads, pids, window)
    rss = memory(pids).rss
    return Step(
        sockets=already + count,
        opened=count,
        open_seconds=seconds,
        open_cpu_seconds=cpu,
        rss_mib=rss / 2**20,
        kib_per_socket=(rss - empty) / (already + count) / 1024,
        core_percent=percent,
        pings=pings,
        collector_seconds=None if pauses is None else longest_pause(pauses),
    )


def _watch(loads: Loads, pids: Sequence[int], seconds: float) -> tuple[float, int]:
    """The share of a core that the servers use in ``seconds`` of silence, and their pings."""
    pings, before, start = loads.total("pings"), processor_time(pids), time.monotonic()
    time.sleep(seconds)
    used = sum(processor_time(pids).since(before))
    share = used / (time.monotonic() - start) * 100 if seconds else 0.0
    return share, loads.total("pings") - pings


def report(findings: Findings) -> str:
    """The findings as a table, with each step's cost for one socket relative to the first step's."""
    head = [
        "sockets",
        "opened in s",
        "connects/s",
        "time",
        "CPU",
        "RSS MiB",
        "KiB/socket",
        "memory",
        "% of a core",
        "pings",
        "collector ms",
    ]
    body, first = [], findings.steps[0]

    def growth(value: float, reference: float) -> str:
        return f"{value / reference:.2f} x" if reference else ""

    for step in findings.steps:
        body.append(
            [
                str(step.sockets),
                number(step.open_seconds),
                number(step.opened / step.open_seconds),
                growth(step.open_seconds / step.opened, first.open_seconds / first.opened),
                growth(step.open_cpu_seconds / step.opened, first.open_cpu_seconds / first.opened),
                number(step.rss_mib),
                number(step.kib_per_socket),
                growth(step.kib_per_socket, first.kib_per_socket),
                number(step.core_percent),
                str(step.pings),
                "" if step.collector_seconds is None else number(step.collector_seconds * 1000),
            ]
        )
    return (
        f"{SERVERS[findings.server].title}, {findings.processes} process{'es' * (findings.processes > 1)}\n\n"
        f"{simple_table(head, body)}\n\n"
        "*Time*, *CPU* and *memory* are for one socket, relative to the first step: 1.00 is a straight line. "
        "*Collector* is the longest pause that Python's garbage collector made during the step.\n\n"
        f"File descriptors of each process: {', '.join(map(str, findings.shares))}. Held for "
        f"{number(findings.held_seconds)} s: {number(findings.held_core_percent)} % of a core, "
        f"{findings.held_pings} pings, {findings.lost} sockets lost. Closed in {number(findings.close_seconds)} s, "
        f"{findings.unanswered_closes} closes unanswered.\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--server", default=OURS, choices=sorted(n for n, s in SERVERS.items() if "idle" in s.kinds))
    parser.add_argument("--processes", type=int, default=1, help="servers on one port; more than one: ours only")
    parser.add_argument("--sockets", type=int, default=19_000, help="for each server process")
    parser.add_argument("--window", type=float, default=20.0, help="seconds of watching after each step")
    parser.add_argument("--hold", type=float, default=300.0, help="seconds of keeping all of them")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="where capacity-*.rst and .json go")
    options = parser.parse_args()
    end_with_us()
    if options.processes > 1 and options.server != OURS:
        parser.error("only ours can share its port")
    try:
        findings = measure(
            options.server,
            processes=options.processes,
            sockets=options.sockets,
            window=options.window,
            hold=options.hold,
        )
    except Failure as failure:
        print(f"benchmarks: {failure}", file=sys.stderr)
        return 1
    text = report(findings)
    options.output.mkdir(parents=True, exist_ok=True)
    stem = options.output / f"capacity-{options.server}-{options.processes}"
    stem.with_suffix(".rst").write_text(text)
    stem.with_suffix(".json").write_text(json.dumps(asdict(findings), indent=1) + "\n")
    print(text)
    return int(bool(findings.lost or findings.unanswered_closes))


if __name__ == "__main__":
    ready()
    sys.exit(main())
