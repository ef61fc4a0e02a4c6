"""The reentrant lock of green and native threads, by itself."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from django_websocket.serving.green import eventlet
from django_websocket.serving.green.rlock import RLock
from tests.conftest import ROOT
from tests.deadlines import deadline

LATE = """
from django_websocket.serving.patch import patch
patch()
import builtins, posix
from django_websocket.serving.green.rlock import RLock

class Late:
    lock = RLock()

    def __del__(self, write=posix.write):
        with self.lock:
            write(1, b"finalized")

builtins.late = late = Late()
late.itself = late
"""


def public(lock: object) -> set[str]:
    return {name for name in dir(lock) if not name.startswith("__")}


def test_it_has_all_that_the_standard_librarys_has() -> None:
    """A new version may ask more of a lock; multiprocessing asks for ``_recursion_count``."""
    assert public(threading.RLock()) <= public(RLock())


def test_only_its_owner_holds_it_more_than_once() -> None:
    lock = RLock()
    with lock, lock:
        assert lock._recursion_count() == 2
        assert eventlet.spawn(lock.acquire, False).wait() is False
        assert eventlet.spawn(lock._recursion_count).wait() == 0
    assert lock._recursion_count() == 0
    with pytest.raises(RuntimeError):
        lock.release()


def test_a_greenlet_that_waits_lets_others_run() -> None:
    lock = RLock()
    log: list[str] = []

    def hold() -> None:
        with lock:
            eventlet.sleep(0.05)
            log.append("released")

    def wait() -> None:
        with lock:
            log.append("acquired")

    greenlets = [eventlet.spawn(hold), eventlet.spawn(wait)]
    eventlet.sleep(0)
    log.append("another")
    for one in greenlets:
        one.wait()
    assert log == ["another", "released", "acquired"]


def test_a_wait_times_out() -> None:
    lock = RLock()
    lock.acquire()
    assert eventlet.spawn(lock.acquire, True, 0.02).wait() is False
    lock.release()


def test_native_threads_and_greenlets_exclude_each_other() -> None:
    lock = RLock()
    count = 0

    def add(times: int, pause: Callable[[float], None]) -> None:
        nonlocal count
        for _ in range(times):
            with lock:
                before = count
                pause(0)
                count = before + 1

    with ThreadPoolExecutor(4) as threads:
        native = [threads.submit(add, 500, lambda _: None) for _ in range(4)]
        green = [eventlet.spawn(add, 200, eventlet.sleep) for _ in range(4)]
        with eventlet.Timeout(deadline(60)):
            for one in green:
                one.wait()
        for other in native:
            other.result(deadline(60))
    assert count == 4 * 500 + 4 * 200


def test_it_can_be_had_while_the_interpreter_is_finalized() -> None:
    """As the handlers of logs need it, which may go as late as this; greenlets have ended before."""
    command = [sys.executable, "-W", "error", "-c", LATE]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=deadline(30), check=True)
    assert (ran.stdout, ran.stderr) == ("finalized", "")
