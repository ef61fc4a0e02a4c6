"""What several processes count together, over Redis, and what they do without it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from django_websocket.groups.config import GroupsConfig
from django_websocket.groups.redis import counts as module
from django_websocket.groups.redis.clients import Call
from django_websocket.groups.redis.counts import RedisCounts
from django_websocket.groups.redis.scripts import Keys
from tests.deadlines import deadline, wait_until
from tests.site.running import serve_site

from .redis_servers import Redis, redis_cluster, redis_server

KEY = "ip:203.0.113.7"

PATIENCE = deadline(2)
"""Seconds: longer than a busy machine keeps Redis from answering."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", PATIENCE)
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)


class Process:
    def __init__(self, url: str, **options: Any) -> None:
        self.own: dict[str, int] = {}
        self.counts = RedisCounts(GroupsConfig(location=url, **options), Keys("test"), self.own)

    def count(self, number: int, key: str = KEY) -> int | None:
        self.own[key] = number
        found = self.counts.count([key])
        return None if found is None else found[0]

    def drop(self, key: str = KEY) -> None:
        del self.own[key]
        self.counts.record([key])


@contextmanager
def processes(url: str, number: int = 2, **options: Any) -> Iterator[list[Process]]:
    made = [Process(url, **options) for _ in range(number)]
    try:
        yield made
    finally:
        for process in made:
            process.counts.close()
        wait_until(lambda: not any(t.name == "groups counts" for t in threading.enumerate()), 10, "threads end")


def soon(condition: Callable[[], bool]) -> None:
    wait_until(condition, 10)


def test_each_is_told_what_the_others_have(server: Redis) -> None:
    with processes(server.url, 3) as (one, two, three):
        assert one.count(1) == 0
        assert one.count(2) == 0
        assert two.count(1) == 2
        assert three.count(5) == 3
        assert one.count(3) == 6
        assert one.count(1, "user:7") == 0
        three.drop()
        soon(lambda: one.count(3) == 1)
        # Nothing is left of who has nothing.
        one.own.clear()
        one.counts.record([KEY, "user:7"])
        two.drop()
        with server.client() as client:
            soon(lambda: client.keys("test:n:*") == [])


def test_who_takes_leave_counts_no_more(server: Redis) -> None:
    with processes(server.url) as (one, two):
        assert one.count(4) == 0
        assert two.count(1) == 4
        one.counts.close()
        assert two.count(1) == 0
        assert one.count(5) is None


def test_who_dies_counts_until_its_lease_ends(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE_SECONDS", deadline(0.5))
    with processes(server.url) as (one, two):
        assert one.count(4) == 0
        soon(lambda: two.count(1) == 4)  # not at once, if its lease has ended already and it must begin anew
        one.counts._is_closed = True  # its thread ends without a farewell
        soon(lambda: two.count(1) == 0)
        with server.client() as client:
            assert client.hlen(f"test:n:{KEY}") == 1


def test_who_was_taken_for_dead_records_everything_again(server: Redis) -> None:
    with processes(server.url) as (one, two), server.client() as client:
        assert one.count(4) == 0
        client.flushall()
        soon(lambda: two.count(1) == 4)


def test_who_begins_while_another_asks_is_not_taken_for_dead(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with processes(server.url) as (one, two):
        call_all = two.counts._clients.call_all

        def call_all_slowly(calls: Sequence[Call]) -> list[Any]:
            """What another process does may come between any two."""
            monkeypatch.setattr(two.counts._clients, "call_all", call_all)
            found = call_all(calls[:1])
            assert one.count(4) == 0
            return found + call_all(calls[1:])

        monkeypatch.setattr(two.counts._clients, "call_all", call_all_slowly)
        assert two.count(1) == 4
        assert two.count(2) == 4


def test_many_at_once_share_round_trips_and_are_counted_exactly(server: Redis) -> None:
    with processes(server.url) as (one, two):
        found: list[list[int] | None] = []
        assert two.count(7) == 0
        lock = threading.Lock()

        def ask() -> None:
            with lock:
                one.own[KEY] = one.own.get(KEY, 0) + 1
            found.append(one.counts.count([KEY]))

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(deadline(10))
        assert found == [[7]] * 50
        assert two.count(7) == 50


def test_a_server_that_is_down_holds_up_nobody(server: Redis) -> None:
    with processes(server.url) as (one, two):
        assert one.count(1) == 0
        assert two.count(2) == 1
        server.kill()
        soon(lambda: one.count(2) is None)
        began = time.monotonic()
        for number in range(1000):
            assert one.count(number) is None
        assert time.monotonic() - began < 5 * PATIENCE, "nobody waits"
        two.drop()  # and comes back with nothing
        one.own[KEY] = 5
        server.start()
        soon(lambda: two.count(1) == 5)
        soon(lambda: one.count(5) == 1)


def test_a_server_that_is_frozen_holds_up_those_who_ask_first(server: Redis) -> None:
    with processes(server.url) as (one, two):
        assert one.count(1) == 0
        assert two.count(2) == 1
        with server.frozen():
            assert one.count(3) is None
            began = time.monotonic()
            for _ in range(1000):
                assert one.count(4) is None
            assert time.monotonic() - began < 5 * PATIENCE
            del one.own[KEY]
            one.counts.record([KEY])
        # Nothing that was said while it was frozen counts for long.
        soon(lambda: two.count(2) == 0)
        soon(lambda: one.count(1) == 2)


def test_in_a_cluster(tmp_path: Path) -> None:
    with redis_cluster(tmp_path) as cluster, processes(cluster.url, cluster=True) as (one, two):
        for number in range(5):
            key = f"user:{number}"
            assert one.count(number + 1, key) == 0
            assert two.count(1, key) == number + 1


def test_two_servers_keep_one_limit(server: Redis, tmp_path: Path) -> None:
    groups = {"BACKEND": "django_websocket.groups.redis.RedisBackend", "LOCATION": server.url}
    options = {
        "settings": {"WEBSOCKET_GROUPS": groups, "WEBSOCKET_MAX_CONNECTIONS_PER_IP": 3},
        "constants": {"groups.redis.counts.PATIENCE": PATIENCE},
    }
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    with serve_site(places[0], **options) as one, serve_site(places[1], **options) as two:
        echo = "/common/echo/"
        with one.raw(echo).opened() as first, one.raw(echo).opened(), two.raw(echo).opened():
            assert two.shake_hands(echo).status == 429
            assert one.shake_hands(echo).status == 429
            first.close()
            with server.frozen():
                # Each process counts its own: there is room for one here, and two there.
                with one.raw(echo).opened(), one.raw(echo).opened():
                    assert one.shake_hands(echo).status == 429
                assert two.shake_hands(echo).status == 101
            wait_until(lambda: two.shake_hands(echo).status == 101, 10)
