"""``docs/howto/debugging-blocked-hub.rst``: its view blocks the server, whose log says what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from django_websocket.metrics import declarations
from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.management.projects import RunningServer, environment, running, start_project

from .pages import Page

PAGE = Page("howto/debugging-blocked-hub")
BLOCKS, THREADED = PAGE.code()

URLS = """
from django.urls import path
from mysite import views

urlpatterns = [path("fingerprints/", views.fingerprints), path("echo/", views.echo)]
"""

ECHO = """

@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)
"""

LOGS_EACH = """
from django_websocket.serving.green import watchdog

watchdog.LOG_SECONDS = 0
"""


@contextmanager
def served(directory: Path, code: str) -> Iterator[RunningServer]:
    """The page's view in a fresh project. It computes longer on a slow machine, as all time-outs are longer there.

    Each slow turn is logged, as one that is the machine's may come first.
    """
    start_project(directory)
    code = code.replace("5_000_000", str(int(deadline(5_000_000))))
    (directory / "mysite" / "views.py").write_text(code + ECHO + LOGS_EACH)
    (directory / "mysite" / "urls.py").write_text(URLS)
    env = environment(ROOT)
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=directory, env=env, check=True)
    with running([*manage, "runwsserver", "--noreload", "0"], directory, env) as server:
        server.wait_until_serving()
        yield server


@pytest.mark.skipif(
    os.environ.get("EVENTLET_HUB", "epolls") not in ("epolls", "poll"), reason="this hub does not tell when it waits"
)
def test_the_log_names_the_call(tmp_path: Path) -> None:
    [shown] = re.findall(r"^    (the process was blocked .*\n(?:    +.*\n)+)", PAGE.text, re.MULTILINE)
    first, *frames = [line.strip() for line in shown.splitlines()]
    line = re.compile(re.sub(r"1\\\.12", r"[0-9.]+", re.escape(first)) + "\n")

    def is_named(report: str) -> bool:
        said = [line.strip().replace(str(tmp_path), "/srv/mysite") for line in report.splitlines()]
        said = [line for line in said if set(line) - set("~^ ")]
        return any(said[at : at + len(frames)] == frames for at in range(len(said)))

    with served(tmp_path, BLOCKS) as server, server.connect("/fingerprints/") as client:

        def is_told() -> bool:
            """A machine that holds up the whole process hides the call from the thread that looks for it."""
            client.send("secret")
            assert len(client.recv(timeout=deadline(30))) == 64
            output = server.output.replace(str(int(deadline(5_000_000))), "5_000_000")
            return any(is_named(report) for report in line.split(output)[1:])

        wait_until(is_told, 30, "the call is named")


def test_a_thread_takes_it_out_of_the_way(tmp_path: Path) -> None:
    """While it computes, another websocket is answered, and no call of the view's is logged."""
    with (
        served(tmp_path, THREADED) as server,
        server.connect("/fingerprints/") as client,
        server.connect("/echo/") as other,
    ):
        answered = threading.Event()
        client.send("secret")
        client.send("another")

        def receive() -> None:
            for _ in range(2):
                client.recv(timeout=deadline(30))
            answered.set()

        receiver = threading.Thread(target=receive)
        receiver.start()
        echoes = 0
        while not answered.is_set():
            other.send("x")
            assert other.recv(timeout=deadline(10)) == "x"
            echoes += 1
        receiver.join()
        assert echoes > 10
        # A machine may hold up the whole process, which is told, too.
        assert "in fingerprint\n" not in server.output


def test_what_else_it_says() -> None:
    source = (ROOT / "django_websocket" / "serving" / "green" / "watchdog.py").read_text()
    for text in (
        "The blocking call is unknown: it returned before it could be sampled,",
        "No single call blocked it: the process is overloaded.",
        " more times since the last report)",
    ):
        assert text in source
        assert text in PAGE.prose
    assert 'tell(f"django_websocket: the process has been blocked for {seconds:.0f} s so far. ' in source
    assert "django_websocket: the process has been blocked for 10 s so far" in PAGE.prose
    assert f"``{declarations.PREFIX}hub_lag_seconds``" in PAGE.text
