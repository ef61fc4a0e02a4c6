"""``python -m tests.faults.soak [--minutes N] [--csv FILE]``: connections come and go, and go wrong, for a long time.

At the end the served process must hold as many file descriptors, greenlets, listeners, timers and database connections
as after its warm-up, and its memory must be within five per cent of what it was then. Prints the curve; exits with 1 if
something has leaked.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.deadlines import deadline, wait_until

from .peer import PING, TEXT, close_frame, crowd, frame, handshake
from .postgres import Postgres, postgres
from .served import Served, serve

WORKERS = 24

#: Seconds between two points of the curve.
STEP = 10.0

#: What must be back where it was.
COUNTED = ("fds", "greenlets", "listeners", "timers", "websockets", "connections", "watched", "database")

#: By how much resident memory may differ.
MEMORY_SHARE = 0.05

SETTINGS = {
    "WEBSOCKET_PING_INTERVAL": 1,
    "WEBSOCKET_PING_TIMEOUT": 1,
    "WEBSOCKET_SEND_TIMEOUT": 1,
    "WEBSOCKET_CLOSE_TIMEOUT": 1,
    "WEBSOCKET_REQUEST_TIMEOUT": 1,
    "WEBSOCKET_RELEASE_DB_AFTER": 0.2,
    "WEBSOCKET_SESSION_CHECK_INTERVAL": 1,
    "WEBSOCKET_COMPRESSION": True,
    "WEBSOCKET_MAX_OUTBOX": 65536,
}

PATHS = ["/hello/", "/nowhere/", "/plain_query/", "/echo/", "/slow_response/?seconds=0.1"]

Fault = Callable[[Served, random.Random], None]
FAULTS: list[tuple[int, Fault]] = []


def fault(weight: int) -> Callable[[Fault], Fault]:
    """Register something that a client does, ``weight`` times as often as others."""

    def register(function: Fault) -> Fault:
        FAULTS.append((weight, function))
        return function

    return register


@fault(20)
def echo(served: Served, chance: random.Random) -> None:
    extension = ["Sec-WebSocket-Extensions: permessage-deflate"] if chance.random() < 0.3 else []
    with served.open("/witness/", *extension) as peer:
        for _ in range(chance.randrange(10)):
            text = "x" * chance.choice((0, 10, 1000, 30_000))
            peer.send_text(text)
            if not extension:
                assert peer.text() == text
        peer.send(close_frame())
        peer.gone()


@fault(5)
def http(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        for path in chance.choices(PATHS, k=4):
            peer.get(path)


@fault(10)
def reset(served: Served, chance: random.Random) -> None:
    path = chance.choice(["/echo/", "/push/", "/queries/", "/in_atomic/", "/sends_from_many/", "/leaves_greenlet/"])
    peer = served.open(path)
    peer.send_text("SELECT 1")
    time.sleep(chance.choice((0, 0, 0.05)))
    peer.reset()


@fault(5)
def reset_early(served: Served, chance: random.Random) -> None:
    request = handshake("/echo/")
    peer = served.peer()
    peer.send(request[: chance.randrange(len(request) + 1)])
    peer.reset()


@fault(5)
def half_close(served: Served, chance: random.Random) -> None:
    with served.open(chance.choice(["/echo/", "/queries/", "/witness/"])) as peer:
        peer.sock.shutdown(1)
        peer.gone()


@fault(8)
def garbage(served: Served, chance: random.Random) -> None:
    with served.open("/witness/") as peer:
        peer.send_text("in order")
        peer.send(chance.randbytes(chance.randrange(1, 2000)))
        peer.sock.shutdown(1)
        peer.gone()


@fault(5)
def garbage_early(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        peer.send(chance.randbytes(chance.randrange(1, 2000)))
        peer.sock.shutdown(1)
        peer.gone()


@fault(2)
def slow_reader(served: Served, chance: random.Random) -> None:
    with served.open("/push/", receive_buffer=4096) as peer:
        time.sleep(1.5)
        peer.gone()


@fault(2)
def frozen(served: Served, chance: random.Random) -> None:
    with served.open("/witness/"):
        time.sleep(3)


@fault(2)
def half_done(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        peer.send(handshake("/echo/")[:50])
        time.sleep(1.5)
        peer.gone()


@fault(8)
def wrong_view(served: Served, chance: random.Random) -> None:
    names = ["raises", "exits", "rubbish", "closes_twice", "sends_after_close", "leaves_greenlet", "sends_from_many"]
    with served.open(f"/{chance.choice(names)}/") as peer:
        peer.send_text("go")
        peer.gone()


@fault(3)
def wrong_early(served: Served, chance: random.Random) -> None:
    with served.peer() as peer:
        peer.send(handshake(f"/{chance.choice(['raises_early', 'exits_early', 'rubbish_early', 'nowhere'])}/"))
        assert peer.head()[0] in (404, 500)


@fault(8)
def database(served: Served, chance: random.Random) -> None:
    with served.open(chance.choice(["/query_loop/", "/queries/"])) as peer:
        for _ in range(3):
            peer.send_text(chance.choice(["SELECT 1", "SELECT 2", "SELECT nonsense"]))
            if peer.message().opcode != TEXT:
                return
            time.sleep(chance.choice((0, 0.3)))


@fault(4)
def session(served: Served, chance: random.Random) -> None:
    with served.peer() as browser:
        _, headers, _ = browser.get(f"/log_in/?name=user{chance.randrange(20)}")
        cookie = headers["set-cookie"].partition(";")[0]
        with served.open("/member/", f"Cookie: {cookie}") as peer:
            peer.text()
            if chance.random() < 0.5:
                browser.get("/log_out/", f"Cookie: {cookie}")
                assert peer.closing() == 4401


@fault(2)
def flood(served: Served, chance: random.Random) -> None:
    with served.open("/echo/") as peer:
        peer.sock.settimeout(2)
        try:
            peer.send(frame(PING) * 20_000)
            peer.send(frame(TEXT, b"x" * 100) * 2_000)
        except OSError:  # nothing of the echo is read, so it may have had enough of us
            pass


def work(served: Served, seed: int, stopping: threading.Event, counts: Counter[str]) -> None:
    chance = random.Random(seed)
    weights = [weight for weight, _ in FAULTS]
    while not stopping.is_set():
        [(_, function)] = chance.choices(FAULTS, weights)
        try:
            function(served, chance)
            counts[function.__name__] += 1
        except (EOFError, ConnectionError) as error:
            counts[f"{function.__name__}: {type(error).__name__}"] += 1
        except Exception as error:
            counts[f"{function.__name__} failed: {error!r:.100}"] += 1


class Soak:
    """One run: its curve, and what came of it."""

    def __init__(self, served: Served, database: Postgres, csv: Path | None) -> None:
        self._served = served
        self._database = database
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
            threading.Thread(target=work, args=(self._served, random.randrange(2**32), stopping, self._counts))
            for _ in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0:
                # A crowd beside them, which is there for half a step.
                with crowd(self._served.port, "/echo/", random.randrange(200)):
                    time.sleep(min(STEP, left) / 2)
                time.sleep(min(STEP, left) / 2)
                self.look(phase)
        finally:
            stopping.set()
            for worker in workers:
                worker.join(deadline(60))

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
        return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--csv", type=Path, help="where to write the curve")
    arguments = parser.parse_args()
    seconds = arguments.minutes * 60
    log = Path(tempfile.mkstemp(prefix="soak-", suffix=".log")[1])
    with postgres() as database, serve(log, settings={**SETTINGS, **database.settings()}, migrate=True) as served:
        soak = Soak(served, database, arguments.csv)
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
