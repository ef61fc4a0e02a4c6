"""A server process under test, and what is asked of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until

from .machine import Stopwatch
from .peer import Peer

__all__ = ["Served", "attack", "background", "percentile", "retried", "round_trips", "serve"]


TRACEBACK = "Traceback (most recent call last):"
CHAINED = re.compile(rf"\n(The above exception was|During handling of the above).*\n\n{re.escape(TRACEBACK)}")


class Served:
    """The process, and its port."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log
        self._read = 0
        self._told = 0

    def forget(self) -> None:
        """Of the log and of what was told, let the next test see only what comes from now on."""
        self._read = self._log.stat().st_size
        self._told = len(self.state()["told"])

    def peer(self, **options: Any) -> Peer:
        return Peer(self.port, **options)

    def open(self, path: str, *headers: str, **options: Any) -> Peer:
        """An open websocket."""
        return Peer(self.port, **options).open(path, *headers)

    def get(self, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
        with self.peer() as peer:
            return peer.get(path, "Connection: close", *headers)

    def state(self, *, collected: bool = False) -> dict[str, Any]:
        """What goes on in the process; see :mod:`tests.faults.project.state`."""
        status, _, body = self.get("/state/?gc=1" if collected else "/state/")
        assert status == 200, body
        state: dict[str, Any] = json.loads(body)
        return state

    def told(self, word: str) -> list[str]:
        """What views had to tell that begins with ``word``."""
        return [line for line in self.state()["told"][self._told :] if line.startswith(word)]

    def wait_told(self, word: str, count: int = 1, seconds: float = 10) -> list[str]:
        wait_until(lambda: len(self.told(word)) >= count, seconds, f"{word!r} told {count} times")
        return self.told(word)

    def wait_state(self, seconds: float = 10, **expected: int) -> dict[str, Any]:
        """The state, once each of ``expected`` is what is asked for."""
        state: dict[str, Any] = {}

        def reached() -> bool:
            if (answer := self.get("/state/"))[0] != 200:
                return False  # a server that is full
            state.clear()
            state.update(json.loads(answer[2]))
            return all(state[name] == value for name, value in expected.items())

        try:
            wait_until(reached, seconds, str(expected))
        except AssertionError:
            raise AssertionError(f"expected {expected} in {state}") from None
        return state

    def wait_checked(self, count: int = 2, *, word: str = "checked") -> None:
        """Wait until the sessions were looked at so often from now on; ``checks`` counts those that failed, too."""
        end = self.state()[word] + count
        wait_until(lambda: bool(self.state()[word] >= end), 20, f"{count} {word}")

    def beats(self) -> list[float]:
        """The gaps between the beats since the last call, in seconds."""
        gaps: list[float] = json.loads(self.get("/beat/")[2])["gaps"]
        return gaps

    def log(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_bytes()[self._read :].decode(errors="replace")

    def tracebacks(self, word: str = "") -> int:
        """How many tracebacks, each with its causes, the log holds in which ``word`` is."""
        blocks = CHAINED.sub("", self.log()).split(TRACEBACK)[1:]
        return sum(word in block for block in blocks)

    def wait_logged(self, word: str, seconds: float = 10) -> None:
        wait_until(lambda: word in self.log(), seconds, f"a log line with {word!r}")

    def rss(self) -> int:
        """Resident bytes, as the kernel counts them."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGESIZE")

    def wait_end(self, seconds: float) -> tuple[int, str]:
        """The exit status and the last line that it printed."""
        status = self.process.wait(deadline(seconds))
        assert self.process.stdout is not None
        return status, self.process.stdout.read().strip()


@contextmanager
def serve(
    log: Path,
    *,
    settings: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    before: tuple[str, ...] = (),
    **options: Any,
) -> Iterator[Served]:
    """A server process under ``settings``; ``options`` are those of :mod:`tests.faults.project.serve`.

    ``before`` is put before the command, as ``("ip", "netns", "exec", "name")``.
    """
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*before, sys.executable, "-W", "error", "-m", "tests.faults.project.serve", json.dumps(options)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "FAULTS_SETTINGS": json.dumps(settings or {}), **(environment or {})},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline().strip()
            assert line, log.read_text()
            yield Served(process, int(line), log)
            # What the hub says when a callback let an exception out; nothing of ours ever does.
            assert "Removing descriptor:" not in log.read_text(), log.read_text()
        finally:
            process.kill()


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie."""
    assert values, "nothing was measured"
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def round_trips(served: Served, peer: Peer, seconds: float, pause: float = 0.01) -> list[float]:
    """How long an echo took, again and again, in seconds; what others took of the processors is not counted."""
    times: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch = Stopwatch(served.process.pid)
        peer.send_text("hello")
        assert peer.text() == "hello"
        times.append(watch.seconds())
        time.sleep(pause)
    return times


def retried(measure: Callable[[], float], limit: float, record: Callable[[str, object], None] | None = None) -> float:
    """The first of at most three measurements, in seconds, that is below ``limit``; the machine may be busy."""
    figures = []
    for _ in range(3):
        figures.append(measure())
        if figures[-1] < deadline(limit):
            break
    print(f"measured {', '.join(f'{figure * 1000:.1f} ms' for figure in figures)}, limit {limit * 1000:.0f} ms")
    if record is not None:
        record("milliseconds", [round(figure * 1000, 1) for figure in figures])
    assert figures[-1] < deadline(limit), figures
    return figures[-1]


@contextmanager
def attack(kind: str, port: int, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of :mod:`tests.faults.attackers`, which has begun."""
    command = [sys.executable, "-m", "tests.faults.attackers", kind, str(port), *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().strip() == "begun"
            yield process
        finally:
            process.kill()


@contextmanager
def background(function: Callable[[], None]) -> Iterator[None]:
    """Runs ``function`` in a thread; its exception is raised at the end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(deadline(60))
    if errors:
        raise errors[0]
