"""Restarts while hundreds of clients are connected, which come back at once, and others ask for pages."""

from __future__ import annotations

import os
import re
import signal
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import deadline, wait_until
from tests.faults.reconnecting import Crowd, crowd
from tests.faults.test_reconnecting import GROUP, Stream, stream
from tests.groups.redis_servers import Redis, redis_server

from .running import Gunicorn, serving
from .visitor import Visitor

CLIENTS = 500


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with redis_server(tmp_path) as server:
        yield server


def settings(redis: Redis) -> dict[str, Any]:
    return {
        "WEBSOCKET_GROUPS": {
            "BACKEND": "django_websocket.groups.redis.RedisBackend",
            "LOCATION": redis.url,
            "TIMEOUT": deadline(20),
            "HISTORY": {"kept.*": 100_000},
        },
    }


def come(people: Crowd, server: Gunicorn) -> None:
    for _ in range(CLIENTS):
        people.add(f"ws://127.0.0.1:{server.port}/groups/room/?group={GROUP}", pause=0)
    people.wait_for_joins(1)
    for client in people.clients:
        client.returns.clear()


def check(people: Crowd, numbers: Stream, visitor: Visitor, what: str) -> None:
    """Nobody was refused or cut off, and each client has every message once."""
    numbers.end()
    sent = numbers.sent()
    people.wait_for_position(sent[-1][0])
    assert visitor.faults == []
    assert [client.failures for client in people.clients if client.failures] == []
    assert {code for client in people.clients for code in client.codes} == {1012}
    expected = [text for _, text in sent]
    assert [client for client in people.clients if client.messages != expected or client.incomplete] == []
    returns = sorted(seconds for client in people.clients for seconds in client.returns)
    p99 = statistics.quantiles(returns, n=100)[98]
    print(
        f"\n{what}: {CLIENTS} clients came back {len(returns)} times: p50 {statistics.median(returns) * 1000:.0f} ms,"
        f" p99 {p99 * 1000:.0f} ms, at most {returns[-1] * 1000:.0f} ms; {visitor.answers} pages, at most"
        f" {visitor.longest * 1000:.0f} ms; {len(sent)} messages"
    )


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_reload(redis: Redis, tmp_path: Path) -> None:
    with serving(tmp_path, settings=settings(redis), workers=2) as server, stream(redis) as numbers, crowd() as people:
        come(people, server)
        before = server.workers()
        with Visitor(server) as visitor:
            server.process.send_signal(signal.SIGHUP)
            people.wait_for_joins(2)
            wait_until(lambda: len(server.workers()) == 2 and not server.workers() & before, 40, "only new workers")
        check(people, numbers, visitor, "SIGHUP")


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_another_program(redis: Redis, tmp_path: Path) -> None:
    """SIGUSR2 starts a second gunicorn beside the first, which is then ended."""
    with ExitStack() as stack:
        server = stack.enter_context(serving(tmp_path, settings=settings(redis), workers=2))
        numbers, people = stack.enter_context(stream(redis)), stack.enter_context(crowd())
        come(people, server)
        with Visitor(server) as visitor:
            server.process.send_signal(signal.SIGUSR2)
            server.wait_logged("Listening at", 2)
            successor = int(re.findall(r"Listening at: .* \((\d+)\)", server.log())[1])
            stack.callback(end, successor)
            server.wait_logged("Booting worker", 4)
            server.process.terminate()
            people.wait_for_joins(2)
            assert server.process.wait(deadline(40)) == 0
        check(people, numbers, visitor, "SIGUSR2")


def end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or zombie(pid), 40, "the second gunicorn ends")


def zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.mark.heavy
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", [1, 2])
def test_max_requests(redis: Redis, tmp_path: Path, workers: int) -> None:
    options = ("--max-requests", "100", "--max-requests-jitter", "20")
    with (
        serving(tmp_path, *options, settings=settings(redis), workers=workers) as server,
        stream(redis) as numbers,
        crowd() as people,
    ):
        come(people, server)
        before = server.workers()
        with Visitor(server) as visitor:
            people.wait_for_joins(2)
            wait_until(lambda: not server.workers() & before, 80, "the first workers are gone")
            visitor.pause = 60  # or workers would be replaced for ever
            wait_until(lambda: len(server.workers()) == workers, 60, "as many as before")
        check(people, numbers, visitor, f"max_requests, {workers} workers")
