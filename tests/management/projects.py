"""Fresh projects, and servers that run in them as processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.deadlines import deadline, wait_until

VIEWS = """
from django.http import HttpResponse
from django_websocket import accept_websocket, require_websocket

@require_websocket
def echo_once(request):
    message = request.websocket.wait()
    request.websocket.send(message)

@accept_websocket
def lower_case(request):
    if not request.is_websocket():
        return HttpResponse(request.GET["message"].lower())
    for message in request.websocket:
        request.websocket.send(message.lower())
"""

URLS = """
from django.contrib import admin
from django.urls import path
from mysite import views

urlpatterns = [
    path("echo-once/", views.echo_once),
    path("lower-case/", views.lower_case),
    path("admin/", admin.site.urls),
]
"""


GREEN_DNS = {"EVENTLET_NO_GREENDNS": "no"}
"""Has eventlet resolve names itself, as it does by default, but not in most tests."""


def environment(installed: Path, **variables: str) -> dict[str, str]:
    """This process's environment, with the package from ``installed`` and without this test run's settings."""
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return {**kept, "PYTHONPATH": str(installed), "PYTHONUNBUFFERED": "1", **variables}


def start_project(directory: Path) -> Path:
    """``django-admin startproject mysite``, with the app and the two example views and nothing else added."""
    command = [sys.executable, "-m", "django", "startproject", "mysite", str(directory)]
    subprocess.run(command, check=True, env=environment(directory))
    settings = directory / "mysite" / "settings.py"
    text = settings.read_text()
    assert "INSTALLED_APPS = [" in text
    settings.write_text(text.replace("INSTALLED_APPS = [", "INSTALLED_APPS = [\n    'django_websocket',"))
    (directory / "mysite" / "views.py").write_text(VIEWS)
    (directory / "mysite" / "urls.py").write_text(URLS)
    return directory


class RunningServer:
    """A server process and what it prints."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.port = 0

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, seconds: float = 20) -> None:
        """Wait until ``text`` was printed; fail at once if the process ends without it."""

        def printed() -> bool:
            ended = self.process.poll() is not None
            if text in self.output:
                return True
            assert not ended, f"ended without {text!r}:\n{self.output}"
            return False

        try:
            wait_until(printed, seconds, repr(text))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def wait_until_serving(self) -> None:
        self.wait_for("Serving HTTP and websockets at")
        self.wait_for("CONTROL-C")
        found = re.search(r"://[^/]*:(\d+)/", self.output)
        self.port = int(found[1]) if found else 0

    def connect(self, path: str, **options: Any) -> ClientConnection:
        url = f"ws://127.0.0.1:{self.port}{path}"
        client: ClientConnection = connect(url, proxy=None, open_timeout=deadline(10), **options)
        return client

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a plain GET."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=deadline(10)) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def end(self, signum: signal.Signals) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(signum)
        return self.process.wait(deadline(15))


@contextmanager
def running(
    command: list[str], cwd: Path, env: dict[str, str], pass_fds: Sequence[int] = (), **options: Any
) -> Iterator[RunningServer]:
    """Start ``command``, with more ``options`` of Popen; at the end all that it started is gone."""
    log = cwd / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            start_new_session=True,
            pass_fds=pass_fds,
            **{"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, **options},
        )
    try:
        yield RunningServer(process, log)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
