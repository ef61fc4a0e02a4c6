"""``python -m benchmarks.groups``: what groups over Redis cost the process and the Redis, operation by operation.

The figures of ``docs/explanation/scaling.rst``. One process without a server, one connection, a redis-server of its own
on the other core; user and system time by /proc. The cost of a delivery to a websocket is what the fan-out workloads
measure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from .environment import ROOT, ready
from .processes import cores, end_with_us, free_port, running

NUMBER = 5000
MESSAGE = b"x" * 100


class Counter:
    """Counts what is delivered, and does nothing with it."""

    def __init__(self) -> None:
        self.number = 0
        self.members: dict[str, list[tuple[int, Any]]] = {}
        self._arrived = threading.Condition()

    def deliver(self, message: Any) -> None:
        with self._arrived:
            self.number += 1
            self._arrived.notify()

    def wait_for(self, number: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.number >= number, 60)

    def wait_for_room(self) -> None:
        pass

    def fill_gaps(self) -> None:
        pass

    def interrupted(self, names: Iterable[str], reason: str) -> None:
        raise AssertionError(reason)

    def names(self) -> list[str]:
        return list(self.members)

    def members_of(self, name: str) -> list[tuple[int, Any]]:
        return self.members.get(name, [])

    def count(self, name: str) -> int:
        return len(self.members_of(name))


@contextmanager
def _redis() -> Iterator[tuple[int, int]]:
    """A redis-server on the load's core: its port and session."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running(command, port, cores()[1]) as session:
        yield port, session


def main() -> None:
    """Measure, and print a line for each operation."""
    import django
    import redis
    from django.conf import settings

    settings.configure()
    django.setup()
    from django_websocket.groups.config import GroupsConfig, History
    from django_websocket.groups.message import TEXT, GroupMessage
    from django_websocket.groups.position import START
    from django_websocket.groups.redis import RedisBackend

    from .procfs import processor_time, session_pids

    end_with_us()
    os.sched_setaffinity(0, {cores()[0]})
    with ExitStack() as stack:
        port, session = stack.enter_context(_redis())
        config = GroupsConfig(location=f"redis://127.0.0.1:{port}")
        counters = [Counter(), Counter()]
        sender, receiver = (RedisBackend(config, counter) for counter in counters)
        client = redis.Redis(port=port)

        def used_memory() -> int:
            return int(client.info("memory")["used_memory"])

        def measure(what: str, function: Callable[[int], object], number: int = NUMBER, after: Any = None) -> None:
            for index in range(number // 10):
                function(-index - 1)
            mine, before = time.process_time(), processor_time(session_pids(session))
            began, memory = time.perf_counter(), used_memory()
            for index in range(number):
                function(index)
            if after is not None:
                after()
            mine = time.process_time() - mine
            used = processor_time(session_pids(session)).since(before)
            seconds = time.perf_counter() - began
            theirs = used.user + used.system
            size = (used_memory() - memory) / number
            print(
                f"{what:45} {mine / number * 1e6:7.1f} us here {theirs / number * 1e6:7.1f} us in Redis"
                f" {number / seconds:8.0f}/s {size:7.0f} bytes in Redis",
                flush=True,
            )

        kept = History(1_000_000)
        measure("send to nobody", lambda n: sender.publish(GroupMessage("a", TEXT, MESSAGE), None))
        measure("send to nobody, with history", lambda n: sender.publish(GroupMessage("b", TEXT, MESSAGE), kept))
        receiver.subscribe("c")
        already = NUMBER // 10
        measure(
            "send and receive in one process",
            lambda n: sender.publish(GroupMessage("c", TEXT, MESSAGE), None),
            after=lambda: counters[1].wait_for(NUMBER + already),
        )
        others = stack.enter_context(_listeners(port, 10))
        measure("send to ten more processes", lambda n: sender.publish(GroupMessage("d", TEXT, MESSAGE), None))
        del others
        measure("join a group that is subscribed", lambda n: receiver.subscribe("c"))
        measure("join, the first of its group", lambda n: receiver.subscribe(f"e{n}"))

        def come(number: int) -> None:
            counters[1].members.setdefault("f", []).append((number, {"name": "x" * 20}))
            receiver.member_joined("f", number, {"name": "x" * 20})

        measure("presence of a member, written in batches", come, after=lambda: receiver.count("f"))
        measure("read 100 messages of a history", lambda n: sender.read_history("b", START), 500)
        measure("count the members of a group of 5500", lambda n: sender.count("f"), 500)
        measure("read their infos", lambda n: sender.members("f"), 20)
        counters[1].members.clear()
        for backend in (sender, receiver):
            backend.close()


@contextmanager
def _listeners(port: int, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Connections that are subscribed to the channel of the group d, and read what comes."""
    code = (
        "import redis, sys, threading\n"
        f"subscribers = [redis.Redis(port={port}).pubsub() for _ in range({number})]\n"
        "for one in subscribers: one.subscribe('django-websocket:{d}:c')\n"
        "for one in subscribers: threading.Thread(target=lambda one=one: list(one.listen()), daemon=True).start()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield [process]
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        main()
    else:
        sys.exit(subprocess.run([str(ready()), "-m", "benchmarks.groups", "--inside"], cwd=ROOT).returncode)
