"""Commands to Redis are counted, and their time is."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from django_websocket import GroupsUnavailable
from django_websocket.groups.config import GroupsConfig
from django_websocket.groups.redis.clients import Clients
from django_websocket.groups.round_trips import round_trips
from tests.deadlines import wait_until

from .redis_servers import redis_server


def test_those_that_are_answered_and_those_that_fail(tmp_path: Path) -> None:
    # Those of a test before may still be on their way, and all of a process are counted together.
    wait_until(lambda: not any(one.name.startswith("groups") for one in threading.enumerate()), 10, "threads end")
    before = (round_trips.succeeded, round_trips.failed, round_trips.seconds)
    began = time.monotonic()
    with redis_server(tmp_path) as server:
        clients = Clients(GroupsConfig(location=server.url))
        for _ in range(3):
            clients.execute("PING")
        with pytest.raises(GroupsUnavailable):
            clients.execute("NOSUCHCOMMAND")
        server.kill()
        with pytest.raises(GroupsUnavailable):
            clients.execute("PING")
        clients.close()
    assert (round_trips.succeeded - before[0], round_trips.failed - before[1]) == (3, 2)
    assert 0 < round_trips.seconds - before[2] < time.monotonic() - began
