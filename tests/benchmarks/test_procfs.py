"""Processor time, memory and listeners, of this very process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from benchmarks.procfs import core_time, listens, memory, processor_time, session_pids
from tests.deadlines import deadline, wait_until


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
    program = (
        "import socket, sys; listener = socket.create_server(('127.0.0.1', 0));"
        "print(listener.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())
        assert listens(server.pid, port)
        assert not listens(2**22 + 1, port)
        assert not listens(server.pid, 1)
        server.stdin.close()
        assert server.wait(timeout=deadline(10)) == 0
    assert not listens(server.pid, port)


def test_processes_that_may_not_be_looked_into_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session in a container can hold processes of other users, its first one above all."""
    stranger = 2**22 + 1
    readlink = os.readlink

    def refusing(path: str) -> str:
        if path.startswith(f"/proc/{stranger}/"):
            raise PermissionError(path)
        return readlink(path)

    listdir = os.listdir
    monkeypatch.setattr("benchmarks.procfs.session_pids", lambda session: [stranger, os.getpid()])
    monkeypatch.setattr(os, "readlink", refusing)
    monkeypatch.setattr(os, "listdir", lambda path: ["0"] if path == f"/proc/{stranger}/fd" else listdir(path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listens(1, listener.getsockname()[1])


def test_core_time_is_known_for_each_core() -> None:
    assert core_time(min(os.sched_getaffinity(0))) > 0
    with pytest.raises(LookupError):
        core_time(100_000)
