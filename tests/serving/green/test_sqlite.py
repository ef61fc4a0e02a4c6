"""Django on SQLite in a served process: writers that meet each other let the sockets go on."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.deadlines import deadline
from tests.faults.served import Served

from .serving import all_at_once, longest_gap, serve_project

STILL = 1.0
"""Seconds; a process that waits for a lock in C stands still for as long as the lock is held, or 5 s."""

WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=float(sys.argv[3]))
for number in range(int(sys.argv[2])):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO auth_group (name) VALUES (?)", (f"process {number}",))
    time.sleep(0.05)
    connection.execute("COMMIT")
"""


def write(served: Served, name: str) -> tuple[int, list[Any]]:
    status, _, body = served.get(f"/write/?name={name}")
    return status, json.loads(body)


def names(served: Served) -> list[str]:
    found: list[str] = json.loads(served.get("/names/")[2])
    return found


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process, which this one is, holds the lock to write."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("others", [0, 10])
def test_many_writers(journal_mode: str, others: int, tmp_path: Path, record_property: Any) -> None:
    """Each transaction waits for 50 ms in its middle. With ``others``, another process writes as much, too."""
    # Django's own time-out, 5 s, may not be enough for the last of them on a slow machine.
    options = {"timeout": deadline(20)}
    with serve_project(tmp_path, journal_mode, **options) as (served, database), longest_gap(served) as gaps:
        with subprocess.Popen([sys.executable, "-c", WRITER, database, str(others), str(deadline(20))]) as process:
            answers = all_at_once([partial(write, served, f"view-{number}") for number in range(40)])
            assert process.wait(deadline(30)) == 0
        assert [status for status, _ in answers] == [200] * 40, answers
        assert len(names(served)) == 40 + others
    print("longest gap", max(gaps), "longest write", max(seconds for _, (_, seconds) in answers))
    record_property("gap", max(gaps))
    assert max(gaps) < deadline(STILL)


def test_the_timeout_of_the_settings(tmp_path: Path) -> None:
    with serve_project(tmp_path, timeout=1.5) as (served, database):
        with locked(database), longest_gap(served) as gaps:
            answers = all_at_once([partial(write, served, f"view-{number}") for number in range(5)])
        for status, (error, seconds) in answers:
            assert (status, error) == (503, "database is locked")
            assert 1.5 <= seconds < deadline(4), answers
        assert max(gaps) < deadline(STILL)
        assert write(served, "later")[0] == 200
        assert names(served) == ["later"]


@pytest.mark.parametrize("transaction_mode", ["IMMEDIATE", "EXCLUSIVE"])
def test_transaction_modes(transaction_mode: str, tmp_path: Path) -> None:
    with serve_project(tmp_path, transaction_mode=transaction_mode) as (served, _), longest_gap(served) as gaps:
        answers = all_at_once([partial(write, served, f"view-{number}") for number in range(10)])
        assert [status for status, _ in answers] == [200] * 10, answers
    assert max(gaps) < deadline(STILL)


def test_sessions_are_saved(tmp_path: Path) -> None:
    with serve_project(tmp_path) as (served, _), longest_gap(served) as gaps:
        calls: list[Any] = [partial(write, served, f"view-{number}") for number in range(10)]
        calls[::2] = [partial(served.get, "/session/")] * 5
        assert [answer[0] for answer in all_at_once(calls)] == [200] * 10
    assert max(gaps) < deadline(STILL)
