"""Thousands of clients come back with their positions, while messages go on: none is lost, none comes twice."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from django_websocket import GroupsUnavailable
from django_websocket.groups.config import GroupsConfig, History
from django_websocket.groups.message import TEXT, GroupMessage
from django_websocket.groups.position import START
from django_websocket.groups.redis import RedisBackend
from tests.deadlines import deadline, wait_until
from tests.groups.recorder import Recorder
from tests.groups.redis_servers import Redis, redis_server
from tests.ports import free_port
from tests.site.running import serve_site

from .reconnecting import crowd

GROUP = "kept.stream"
KEPT = History(100_000)
ROUNDS = int(os.environ.get("RECONNECT_ROUNDS", "1"))


class Stream:
    """Sends numbered messages. An attempt that fails may have been sent all the same, so each has a name of its own."""

    def __init__(self, server: Redis) -> None:
        self._backend = RedisBackend(GroupsConfig(location=server.url, timeout=deadline(3)), Recorder())
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failures = 0
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._is_over.wait(0.05):
            number += 1
            try:
                self._backend.publish(GroupMessage(GROUP, TEXT, str(number).encode()), KEPT)
            except GroupsUnavailable:
                self.failures += 1

    def end(self) -> None:
        self._is_over.set()
        self._thread.join()

    def sent(self) -> list[tuple[str, str]]:
        """Position and text of everything that was sent."""
        found: list[tuple[str, str]] = []
        after = START
        while True:
            page = self._backend.read_history(GROUP, after)
            assert page.complete
            found += [(str(message.position), str(message.content)) for message in page.messages]
            if page.is_last:
                return found
            last = page.messages[-1].position
            assert last is not None
            after = last

    def close(self) -> None:
        self.end()
        self._backend.close()


@contextmanager
def stream(server: Redis) -> Iterator[Stream]:
    running = Stream(server)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    """One that keeps what it knows over a restart."""
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


@contextmanager
def site(server: Redis, directory: Path, port: int) -> Iterator[Any]:
    settings = {
        "WEBSOCKET_GROUPS": {
            "BACKEND": "django_websocket.groups.redis.RedisBackend",
            "LOCATION": server.url,
            "TIMEOUT": deadline(5),
            "HISTORY": {"kept.*": 100_000},
        },
        "WEBSOCKET_PING_INTERVAL": None,
    }
    directory.mkdir(exist_ok=True)
    with serve_site(directory, settings=settings, port=port) as site:
        yield site


@pytest.mark.heavy
@pytest.mark.timeout(900 * ROUNDS)
def test_servers_restart(server: Redis, tmp_path: Path, many: int) -> None:
    """``many`` is thousands, or fewer where the machine doesn't allow them. RECONNECT_ROUNDS repeats it."""
    clients = min(many, 2000)
    port = free_port()
    url = f"ws://127.0.0.1:{port}/groups/room/?group={GROUP}"
    for number in range(ROUNDS):
        with server.client() as client:
            client.flushall()
        with stream(server) as numbers, crowd() as people:
            with ExitStack() as stack:
                stack.enter_context(site(server, tmp_path / f"one{number}", port))
                for _ in range(clients):
                    people.add(url)
                people.wait_for_joins(1)
            began = time.monotonic()
            with ExitStack() as stack:
                stack.enter_context(site(server, tmp_path / f"two{number}", port))
                people.wait_for_joins(2)
                again = time.monotonic() - began
                # Redis ends in an orderly way, and all clients lose their connections while it does.
                with server.client() as client:
                    client.shutdown()
                people.drop_all()
                server.kill()
                server.start()
                people.wait_for_joins(3)
                time.sleep(0.5)
                numbers.end()
                sent = numbers.sent()
                people.wait_for_position(sent[-1][0])
                expected = [text for _, text in sent]
                wrong = [one for one in people.clients if one.messages != expected or one.incomplete]
                assert not wrong, (len(wrong), _difference(wrong[0].messages, expected), wrong[0].incomplete)
                print(
                    f"round {number + 1}: {clients} clients, {len(sent)} messages, {numbers.failures} not sent; "
                    f"all back {again:.1f} s after the server's start"
                )


def _difference(got: list[str], expected: list[str]) -> tuple[list[str], list[str]]:
    missing = [text for text in expected if text not in set(got)]
    doubled = [text for text in got if got.count(text) > 1]
    return missing[:10], doubled[:10]


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_joins_in_the_middle_of_a_stream(server: Redis, tmp_path: Path) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/groups/room/?group={GROUP}"
    with stream(server) as numbers, site(server, tmp_path / "site", port), crowd() as people:
        first = people.add(url)
        wait_until(lambda: len(first.messages) > 20, 30)
        starts = []
        for _ in range(300):
            index = random.randrange(len(first.messages))
            starts.append(index)
            people.add(url, first.positions[index])
            time.sleep(0.01)
        people.wait_for_joins(1)
        numbers.end()
        sent = numbers.sent()
        people.wait_for_position(sent[-1][0])
        for one, start in zip(people.clients[1:], starts, strict=True):
            assert one.messages == [text for _, text in sent[start + 1 :]]
            assert not one.incomplete
