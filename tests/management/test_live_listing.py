"""``manage.py websockets --live``, of a site that two workers serve."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_websocket.live_page.census import Answer
from django_websocket.live_page.inquiry import Page
from django_websocket.live_page.query import LIMIT, Query
from django_websocket.management import live_listing
from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.live_page.served import Town, town


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as served:
        wait_until(lambda: len(ask(served)) == 2, 60, "both workers answer")
        yield served


def listed(served: Town, *options: str) -> list[str]:
    """What is listed if both workers answer, who on a busy machine may be too late."""
    lines: list[str] = []

    def is_whole() -> bool:
        lines[:] = ask(served, *options)
        late = [line for line in lines if "did not answer" in line or '"websockets": null' in line]
        pids = {str(pid) for pid in served.server.workers()}
        return not late and all(any(pid in line for line in lines[:2]) for pid in pids)

    wait_until(is_whole, 60, "an answer of both workers")
    return lines


def ask(served: Town, *options: str) -> list[str]:
    command = [sys.executable, "-m", "django", "websockets", "--live", *options]
    run = subprocess.run(
        command, cwd=ROOT, env=served.environment, capture_output=True, text=True, timeout=deadline(60)
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_each_websocket_has_a_line(served: Town) -> None:
    with served.crowd(2 * LIMIT + 10), served.enter("/room/attic/?secret", "ann"):
        lines = listed(served)
    processes, websockets = lines[:2], lines[2:]
    assert {int(line.split()[0]) for line in processes} == served.server.workers()
    assert sum(int(line.split()[-2]) for line in processes) == len(websockets) == 2 * LIMIT + 11
    assert websockets[0].startswith("/room/attic/  ann from 127.0.0.1, ")
    assert websockets[1].startswith("/room/hall/  nobody from 127.0.0.1, ")


def test_json_has_an_object_in_each_line(served: Town) -> None:
    with served.enter("/room/attic/", "ann"):
        found = [json.loads(line) for line in listed(served, "--json")]
    assert {one["process"] for one in found[:2]} == served.server.workers()
    [row] = found[2:]
    assert (row["path"], row["user"], row["groups"]) == ("/room/attic/", "ann", ["room.attic"])


def test_without_any_websocket_the_processes_are_listed(served: Town) -> None:
    assert len(listed(served)) == 2


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (live_listing.as_text, "7 on host did not answer; its websockets are missing."),
        (live_listing.as_json, '{"process": 7, "host": "host", "websockets": null}'),
    ],
)
def test_a_process_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[], Iterator[str]], expected: str
) -> None:
    pages = [Page(Query(), late=[(Answer("p", 7, "host"), 1.0)]) for _ in range(3)]
    monkeypatch.setattr(live_listing, "_pages", lambda: iter(pages))
    assert list(write()) == [expected]


def test_a_user_tells_the_terminal_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"path": "/", "user": "\x1b[2Jann\n", "address": "a", "age": 1, "received": 2, "sent": 3, "pid": 4}
    monkeypatch.setattr(live_listing, "_pages", lambda: [Page(Query(), rows=[(("", "p", 1), row)])])
    assert list(live_listing.as_text()) == [r"/  \x1b[2Jann\n from a, 1 s, 2 in, 3 out, process 4"]


def test_what_it_needs(settings: Any) -> None:
    with pytest.raises(CommandError, match=r"django_websocket\.live_page in INSTALLED_APPS"):
        call_command("websockets", "--live", stdout=StringIO())
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django_websocket.live_page"]
    with pytest.raises(CommandError, match="in memory"):
        call_command("websockets", "--live", stdout=StringIO())
