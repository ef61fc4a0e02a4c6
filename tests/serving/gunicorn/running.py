"""gunicorn with our worker, in processes of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until
from tests.over_tls import connect_over_tls
from tests.ports import free_port

DJANGO = "django.core.wsgi:get_wsgi_application()"
WORKER = "django_websocket.serving.gunicorn.EventletWorker"


class Gunicorn:
    """The master, and what can be asked of it."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, log: Path, tls: ssl.SSLContext | None = None
    ) -> None:
        self.tls = tls
        self.process = process
        self.port = port
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_logged(self, text: str, count: int = 1, seconds: float = 20) -> None:
        wait_until(lambda: self.log().count(text) >= count, seconds, f"{text!r} in the log {count} times")

    def workers(self) -> set[int]:
        """The pids of the workers that there are now."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in children.read_text().split()}

    def connect(self, path: str, **options: Any) -> ClientConnection:
        if self.tls is not None:
            return connect_over_tls(f"wss://127.0.0.1:{self.port}{path}", self.tls, compression=None, **options)
        client: ClientConnection = connect(
            f"ws://127.0.0.1:{self.port}{path}", proxy=None, compression=None, open_timeout=deadline(10), **options
        )
        return client

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and body of a page, on a connection of its own."""
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=deadline(20))
            if self.tls is None
            else http.client.HTTPSConnection("127.0.0.1", self.port, timeout=deadline(20), context=self.tls)
        )
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def end(self, signum: int = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return self.process.wait(deadline(30))


PASS_ON = 'exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
"""Has the shell pass its descriptor $0 on as sd_listen_fds(3) says."""


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends ``process`` afterwards, if it is still there."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(deadline(30))
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def gunicorn(
    directory: Path,
    *options: str,
    application: str = DJANGO,
    settings: dict[str, Any] | None = None,
    workers: int = 1,
    tls: ssl.SSLContext | None = None,
    inherited: socket.socket | None = None,
) -> Iterator[Gunicorn]:
    """gunicorn that serves the tests' project, or another ``application``, on a port of its own.

    ``tls`` is for clients, if the options are such. ``inherited`` is a listener that is passed on as systemd does.
    """
    port = inherited.getsockname()[1] if inherited else free_port()
    log = directory / "gunicorn.log"
    (directory / "log").touch()
    site = {"directory": str(directory), "settings": settings or {}}
    env = {**os.environ, "TEST_SITE": json.dumps(site), "DJANGO_SETTINGS_MODULE": "tests.site.settings"}
    env["HOME"] = str(directory)  # where gunicorn 27 puts a socket
    if application != DJANGO:
        del env["DJANGO_SETTINGS_MODULE"]
    command = [
        *(["bash", "-c", PASS_ON, str(inherited.fileno())] if inherited else []),
        *(str(Path(sys.executable).with_name("gunicorn")), "-k", WORKER, "-b", f"127.0.0.1:{port}"),
        *("-w", str(workers), "--error-logfile", "-", *options, application),
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=output,
            pass_fds=[inherited.fileno()] if inherited else [],
        ) as process,
        ended(process),
    ):
        yield Gunicorn(process, port, log, tls)


@contextmanager
def serving(directory: Path, *options: str, workers: int = 1, **more: Any) -> Iterator[Gunicorn]:
    """The same, once all workers have begun and one of them serves."""
    with gunicorn(directory, *options, workers=workers, **more) as server:

        def serves() -> bool:
            assert server.process.poll() is None, server.log()
            try:
                return server.get("/")[0] in (200, 404)
            except OSError:
                return False

        wait_until(serves, 20, "gunicorn serves")
        wait_until(lambda: len(server.workers()) == workers, 20, f"{workers} workers")
        yield server
