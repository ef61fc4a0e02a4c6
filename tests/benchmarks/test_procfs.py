"""Processor time, memory and listeners, of this very process."""

from __future__ import annotations

import os
import socket
import time

import pytest

from benchmarks.procfs import core_time, listens, memory, processor_time, session_pids
from tests.deadlines import wait_until


def test_a_session_has_this_process() -> None:
    assert os.getpid() in session_pids(os.getsid(0))


def test_processor_time_grows_with_work() -> None:
    before = processor_time([os.getpid()])

    def worked() -> bool:
        sum(range(100_000))
        return processor_time([os.getpid()]).since(before).user >= 0.05

    wait_until(worked, what="0.05 s of processor time")
    assert sum(processor_time([os.getpid()])) == pytest.approx(time.process_time(), abs=0.1)


def test_memory_is_in_bytes() -> None:
    found = memory([os.getpid()])
    assert 2**20 < found.pss <= found.rss < 2**34


def test_who_is_gone_costs_nothing() -> None:
    assert sum(processor_time([2**22 + 1])) == 0
    assert memory([2**22 + 1]).rss == 0


def test_a_listener_is_found_by_its_session() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listens(os.getsid(0), port)
        assert not listens(2**22 + 1, port)
    assert not listens(os.getsid(0), port)


def test_core_time_is_known_for_each_core() -> None:
    assert core_time(min(os.sched_getaffinity(0))) > 0
    with pytest.raises(LookupError):
        core_time(100_000)
