"""Many asynchronous requests beside websockets and plain requests."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.deadlines import deadline
from tests.faults.machine import Stopwatch
from tests.faults.served import background, percentile, retried
from tests.protocol.client import frame
from tests.site.fixtures import Serve
from tests.site.running import RawSocket, Site

pytestmark = pytest.mark.heavy

PAUSE = 0.05
"""Seconds between two things that one of the others does: it is the server that is to be busy, not the clients."""


def test_sleepers_beside_echoing_sockets(serve: Serve, record_property: Callable[[str, object], None]) -> None:
    """50 requests of a second each, at once, and 100 sockets that must not feel them."""
    with serve() as site, ExitStack() as stack:
        sockets = [stack.enter_context(site.raw("/common/echo/")).opened() for _ in range(100)]

        def measure() -> float:
            over, times = threading.Event(), []

            def echo() -> None:
                while not over.is_set():
                    times.extend(_round_trips(site, sockets))
                    over.wait(0.02)

            with background(echo):
                try:
                    took = _ask_sleepers(site)
                finally:
                    over.set()
            return percentile(times, 0.99) if took < deadline(2) else math.inf

        retried(measure, 0.05, record_property)


def _ask_sleepers(site: Site) -> float:
    """Seconds that 50 requests of a second take."""
    with ThreadPoolExecutor(50) as pool:
        began = time.monotonic()
        asked = [pool.submit(site.ask, "/async_code/sleeps/?seconds=1") for _ in range(50)]
        assert [one.result(deadline(30)).body for one in asked] == [b"slept"] * 50
        return time.monotonic() - began


def _round_trips(site: Site, sockets: list[RawSocket]) -> list[float]:
    """How long one echo took on each of ``sockets``; what others took of the processors is not counted."""
    watch, sent = Stopwatch(site.process.pid), []
    for sock in sockets:
        sent.append(time.perf_counter())
        sock.send(frame(0x81, b"hello"))
    came = []
    for sock in sockets:
        assert sock.frame() == (0x81, b"hello")
        came.append(time.perf_counter())
    stolen = came[-1] - sent[0] - watch.seconds()
    return [max(0.0, end - began - stolen) for began, end in zip(sent, came, strict=True)]


def test_a_thousand_queries_among_others(serve: Serve) -> None:
    """No error, and no database connection is left; whoever else asks is served."""
    with serve(settings={"TIME_ZONE": "UTC"}) as site:
        failed: Counter[str] = Counter()
        done = threading.Event()

        def count(path: str, times: int) -> None:
            for _ in range(times):
                answer = site.ask(path)
                if (answer.status, answer.body) != (200, b"0"):
                    failed[f"{path} {answer.status}"] += 1

        def converse(path: str) -> int:
            """Handshakes and queries, one websocket after the other."""
            opened = 0
            while not done.is_set():
                with site.connect(path) as client:
                    opened += 1
                    for _ in range(5):
                        client.send("ask")
                        if client.recv(deadline(20)) != "ask 0":
                            failed[path] += 1
            return opened

        def look() -> int:
            looked = 0
            while not done.is_set():
                assert site.get_json("/async_code/sees_no_loop/")["groups"] == 0
                looked += 1
                done.wait(PAUSE)
            return looked

        with ThreadPoolExecutor(32) as pool:
            others = [pool.submit(look) for _ in range(4)]
            paths = ("/async_code/by_async_to_sync/", "/async_code/by_asyncio_run/")
            others += [pool.submit(converse, path) for path in paths * 4]
            try:
                counting = [pool.submit(count, "/async_code/counts/", 50) for _ in range(20)]
                for one in counting:
                    one.result(deadline(40))
            finally:
                done.set()
            rounds = [one.result(deadline(30)) for one in others]
        print(f"looks and websockets meanwhile: {rounds}")
        assert not failed
        assert all(rounds)
        _wait_for_no_connections(site)


def _wait_for_no_connections(site: Site) -> None:
    site.wait_until_back_at({"database connections": 0, "connections": 1, "websockets": 0})
