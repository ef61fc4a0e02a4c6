"""Native threads for what blocks, in a served process and outside of one."""

from __future__ import annotations

import contextvars
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from django_websocket.blocking import in_thread, to_thread
from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until

from .serving import all_at_once, longest_gap, serve_project

STILL = 1.0


def database_files(pid: int) -> list[str]:
    """The files of databases that a process has open."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(descriptor))
    return [path for path in found if "sqlite3" in path]


def test_many_at_once(tmp_path: Path) -> None:
    """More than there are threads, each with the ORM and a log; the sockets go on."""
    with serve_project(tmp_path) as (served, _), longest_gap(served) as gaps:
        calls = [partial(served.get, f"/blocking/?seconds=0.05&number={number}") for number in range(60)]
        answers = all_at_once(calls)
        assert [status for status, _, _ in answers] == [200] * 60
        assert [json.loads(body) for _, _, body in answers] == [
            [str(number), "changed", True, str(number)] for number in range(60)
        ]
        # No thread keeps its database connection; those of the requests end behind their answers.
        wait_until(lambda: not database_files(served.process.pid), 10, "no connection to the database")
    print("longest gap", max(gaps))
    assert max(gaps) < deadline(STILL)


def test_what_leaves_the_function(tmp_path: Path) -> None:
    with serve_project(tmp_path) as (served, _):
        status, _, body = served.get("/failing/")
        assert (status, json.loads(body)) == (200, [True] * 9)
        assert served.get("/blocking/?seconds=0&number=1")[0] == 200


def test_the_server_does_not_wait_for_a_stuck_thread(tmp_path: Path) -> None:
    with serve_project(tmp_path) as (served, _), served.peer() as peer:
        peer.send(b"GET /stuck/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert served.get("/blocking/?seconds=0&number=1")[0] == 200
        served.process.send_signal(signal.SIGTERM)
        assert served.wait_end(15) == (0, "ended")


def test_without_green_threads() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @in_thread
    def work(number: int, *, more: int) -> int:
        """Its docstring."""
        variable.set(variable.get() + number + more)
        assert threading.get_ident() == here
        return variable.get()

    here = threading.get_ident()
    variable.set(1)
    assert work(2, more=3) == 6
    assert variable.get() == 1
    assert work.__doc__ == "Its docstring."
    with pytest.raises(ZeroDivisionError):
        to_thread(lambda: 1 / 0)


PROGRAM = """
from django_websocket.serving.patch import eventlet, patch
patch()
import os, threading, warnings
from django_websocket.blocking import to_thread
warnings.simplefilter("ignore")
main = threading.get_native_id()
assert {FIRST} (to_thread(threading.get_native_id) != main)
pid = os.fork()
if not pid:
    assert {FIRST} (to_thread(threading.get_native_id) != os.getpid())
    print("child", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print("parent")
"""


@pytest.mark.parametrize("size", ["2", "0"])
def test_a_forked_child_has_threads_of_its_own(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTLET_THREADPOOL_SIZE", size)
    program = PROGRAM.replace("{FIRST}", "not" if size == "0" else "")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=deadline(30),
        check=False,
    )
    assert (run.stdout, run.stderr) == ("child\nparent\n", "")
