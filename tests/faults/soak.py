"""``python -m tests.faults.soak [--minutes N] [--seed S] [--csv FILE]``: connections come, go and go wrong, for long.

What happens (:mod:`.clients`, and a database that is restarted beside them) is drawn from the seed, so that a run can
be made again, but for the moments at which things meet. At the end the served process must hold as many file
descriptors, greenlets, listeners, timers and database connections as after its warm-up, its memory must be within five
per cent of what it was then, and no exception may be in its log but those that were raised on purpose. Prints the
curve; exits with 1 if something has leaked or failed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deadlines import deadline, wait_until

from .clients import FAULTS, Fault
from .peer import crowd
from .postgres import Postgres, postgres
from .served import CHAINED, TRACEBACK, Served, serve

WORKERS = 24

#: Seconds between two points of the curve.
STEP = 10.0

#: The share of the steps at whose end the database crashes and is started again.
RESTART_SHARE = 0.3

#: What must be back where it was.
COUNTED = ("fds", "greenlets", "listeners", "timers", "websockets", "connections", "watched", "database")

#: By how much resident memory may differ.
MEMORY_SHARE = 0.05

SETTINGS = {
    "WEBSOCKET_PING_INTERVAL": 1,
    "WEBSOCKET_PING_TIMEOUT": deadline(2),  # of clients that are threads of one busy process
    "WEBSOCKET_SEND_TIMEOUT": 1,
    "WEBSOCKET_CLOSE_TIMEOUT": 1,
    "WEBSOCKET_REQUEST_TIMEOUT": deadline(3),  # of the same
    "WEBSOCKET_RELEASE_DB_AFTER": 0.2,
    "WEBSOCKET_SESSION_CHECK_INTERVAL": 1,
    "WEBSOCKET_COMPRESSION": True,
    "WEBSOCKET_MAX_OUTBOX": 65536,
}

#: Exceptions that views raise on purpose, or that a client or the database causes.
EXPECTED = re.compile(
    r"(ValueError|SystemExit|KeyboardInterrupt): on purpose"
    r"|AttributeError: 'list' object has no attribute 'status_code'"
    r"|TypeError: .* returned a list|.*\b(ConnectionClosed|UnreadablePostError)\b"
    r"|.*\b(ProgrammingError|OperationalError|InterfaceError|SessionInterrupted)\b"
)

#: The line of a traceback that names the exception.
RAISED = re.compile(r"[A-Za-z_][\w.]*[a-z]\w*(: |$)")


class Outages:
    """When the database was away."""

    def __init__(self) -> None:
        self._begun = self._ended = float("-inf")

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self._begun, self._ended = time.monotonic(), float("inf")
        try:
            yield
        finally:
            self._ended = time.monotonic()

    def touched(self, start: float) -> bool:
        """Whether it was away at any time since ``start``, or shortly before."""
        return self._ended > start - 1


def schedule(chance: random.Random) -> Iterator[tuple[Fault, random.Random]]:
    """What one worker does, for ever. The order depends on the seed alone, not on how each client fares."""
    weights = [weight for weight, _ in FAULTS]
    while True:
        [(_, function)] = chance.choices(FAULTS, weights)
        yield function, random.Random(chance.random())


def work(
    served: Served, chance: random.Random, stopping: threading.Event, counts: Counter[str], outages: Outages
) -> None:
    for function, own_chance in schedule(chance):
        if stopping.is_set():
            return
        name, start = function.__name__, time.monotonic()
        try:
            function(served, own_chance)
            counts[name] += 1
        except (EOFError, ConnectionError) as error:
            counts[f"{name}: {type(error).__name__}"] += 1
        except Exception as error:
            if outages.touched(start):
                counts[f"{name}: without a database"] += 1
            else:
                counts[f"{name} failed: {error!r:.100}"] += 1


class Soak:
    """One run: its curve, and what came of it."""

    def __init__(self, served: Served, database: Postgres, chance: random.Random, csv: Path | None) -> None:
        self._served = served
        self._database = database
        self._chance = chance
        self._outages = Outages()
        self._csv = csv
        self._start = time.monotonic()
        self._counts: Counter[str] = Counter()
        if csv is not None:
            csv.write_text("seconds,phase,rss_kib,done," + ",".join(COUNTED) + "\n")

    def look(self, phase: str) -> dict[str, Any]:
        """One point of the curve."""
        status, _, body = self._served.get("/state/?gc&forget")
        assert status == 200, body
        state: dict[str, Any] = json.loads(body)
        state["database"] = self._database.connections()
        seconds, done = time.monotonic() - self._start, sum(self._counts.values())
        counts = " ".join(f"{name}={state[name]}" for name in COUNTED)
        print(f"{seconds:7.0f} s {phase:8} rss {state['rss'] / 2**20:6.1f} MiB, {done} done, {counts}", flush=True)
        if self._csv is not None:
            with self._csv.open("a") as file:
                values = ",".join(str(state[name]) for name in COUNTED)
                file.write(f"{seconds:.0f},{phase},{state['rss'] // 1024},{done},{values}\n")
        return state

    def load(self, phase: str, seconds: float) -> None:
        """Let everything happen for a while, then wait until it is over."""
        stopping = threading.Event()
        workers = [
            threading.Thread(
                target=work,
                args=(self._served, random.Random(self._chance.random()), stopping, self._counts, self._outages),
            )
            for _ in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                # A crowd beside them, which is there for half a step.
                with crowd(self._served.port, "/echo/", self._chance.randrange(200)):
                    time.sleep(min(STEP, left) / 2)
                time.sleep(min(STEP, left) / 2)
                self.look(phase)
                if self._chance.random() < RESTART_SHARE:
                    self._restart_database()
        finally:
            stopping.set()
            for worker in workers:
                worker.join(deadline(60))

    def _restart_database(self) -> None:
        with self._outages():
            self._database.stop()
            self._database.start()
        self._counts["database restarted"] += 1

    def settle(self) -> dict[str, Any]:
        """The state once nothing goes on any more."""
        self._served.wait_state(30, websockets=0, connections=1)
        # The last timers (of cancelled waits) and pooled things are gone after this.
        time.sleep(3)
        wait_until(lambda: self._database.connections() == 0, 30, "no database connection is left")
        return self.look("settled")

    def report(self, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        """What has leaked."""
        problems = [
            f"{name}: {before[name]} before, {after[name]} after" for name in COUNTED if after[name] > before[name]
        ]
        grown = after["rss"] / before["rss"] - 1
        print(f"memory: {before['rss'] / 2**20:.1f} MiB after the warm-up, {grown:+.1%} at the end")
        if grown > MEMORY_SHARE:
            problems.append(f"memory: {grown:+.1%}")
        for name, count in sorted(self._counts.items()):
            print(f"{count:8} {name}")
            if "failed" in name:
                problems.append(f"{count} times {name}")
        problems += [f"in the log: {name}" for name in unexpected(self._served.log())]
        return problems


def unexpected(log: str) -> list[str]:
    """The exceptions in a log that nobody raised on purpose, as the last lines of their tracebacks."""
    lines = []
    for block in CHAINED.sub("", log).split(TRACEBACK)[1:]:
        raised = [line for line in block.splitlines() if RAISED.match(line)]
        if not raised or not EXPECTED.match(raised[-1]):
            lines.append(raised[-1] if raised else block[:200])
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--csv", type=Path, help="where to write the curve")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    print(f"seed {arguments.seed}", flush=True)
    log = Path(tempfile.mkstemp(prefix="soak-", suffix=".log")[1])
    with postgres() as database, serve(log, settings={**SETTINGS, **database.settings()}, migrate=True) as served:
        soak = Soak(served, database, random.Random(arguments.seed), arguments.csv)
        soak.load("warm-up", max(30, min(180, seconds / 4)))
        before = soak.settle()
        soak.load("load", seconds)
        after = soak.settle()
        problems = soak.report(before, after)
        served.process.terminate()
        try:
            if served.wait_end(30)[0] != 0:
                problems.append("the server did not end in good order")
        except subprocess.TimeoutExpired:
            problems.append("the server did not end")
    for problem in problems:
        print(f"LEAK OR FAILURE: {problem}")
    print(f"the server's log is {log}" if problems else "nothing has leaked")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
