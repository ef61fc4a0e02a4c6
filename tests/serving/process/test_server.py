"""The server's end, where no HTTP client sees it."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_websocket.descriptor_limit import SPARE_DESCRIPTORS
from django_websocket.serving.patch import eventlet
from django_websocket.serving.process.binding import bind_sockets
from django_websocket.serving.process.server import Server
from django_websocket.serving.process.site import SiteServer
from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.ends import send_until_ended
from tests.protocol.client import close
from tests.site.running import serve_site


def test_a_websocket_that_opens_while_the_server_stops_is_closed_at_once(tmp_path: Path) -> None:
    """Its 101 was sent before, but the request was not yet at its end."""
    with serve_site(tmp_path) as site, site.raw("/common/echo/?delay_close=0.5") as client:
        client.opened()
        site.process.send_signal(signal.SIGTERM)
        # A view that is killed when the time to drain is over closes with 1001 too, but gives no reason.
        first, payload = client.frame()
        assert (first, payload) == (0x88, b"\x03\xe9server is stopping")
        client.send(close(1001))
        assert client.rest() == b""


def test_signals_repeated_until_the_end_do_not_change_the_exit_status(tmp_path: Path) -> None:
    settings = {"WEBSOCKET_CLOSE_TIMEOUT": 1}  # for which an open websocket keeps it alive
    with serve_site(tmp_path, settings=settings) as site, site.raw("/common/echo/") as client:
        client.opened()
        assert send_until_ended(site.process, lambda _: site.process.send_signal(signal.SIGTERM)) == 0


PROGRAM = """
from django_websocket.serving.patch import patch
patch()
import os, signal
from django.conf import settings
settings.configure()
from django_websocket.serving.process.binding import bind_sockets
from django_websocket.serving.process.server import Server

def application(environ, start_response):
    os.kill(os.getpid(), signal.SIGINT)
    start_response("200 OK", [])
    return []

[listener] = bind_sockets("127.0.0.1:0")
print(listener.getsockname()[1], flush=True)
Server(application, [listener]).serve()
"""


def test_ctrl_c_ends_a_server_whose_process_handles_no_signals() -> None:
    """Python raises KeyboardInterrupt in whatever runs, here in the application: it isn't an error of that."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            with socket.create_connection(("127.0.0.1", int(process.stdout.readline()))) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                _, errors = process.communicate(timeout=deadline(10))
            assert errors.endswith("KeyboardInterrupt\n")
            assert process.returncode == -signal.SIGINT
        finally:
            process.kill()


# As many connections as there are descriptors for


@pytest.fixture
def hard() -> Iterator[int]:
    """The hard limit of descriptors; the soft one is the test's to lower."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def max_connections(wanted: int) -> int:
    [listener] = bind_sockets("127.0.0.1:0")
    server = Server(lambda environ, start_response: [], [listener], max_connections=wanted or None)
    server.stop(drain_timeout=0)
    with eventlet.Timeout(deadline(10)):
        server.serve()
    return server.max_connections


def test_the_limit_of_descriptors_is_raised_to_its_hard_limit(hard: int, settings: Any) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
    settings.WEBSOCKET_MAX_CONNECTIONS = 10 * hard
    assert max_connections(0) == hard - SPARE_DESCRIPTORS
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_uploads_get_half_of_the_descriptors_that_connections_leave(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1000, hard), hard))
    [listener] = bind_sockets("127.0.0.1:0")
    with listener:
        server: Any = SiteServer(lambda environ, start_response: [], [listener], max_connections=400)
        assert server.application.max_files == (min(1000, hard) - 400) // 2


def test_the_setting_counts_where_there_are_descriptors_enough(hard: int, settings: Any) -> None:
    settings.WEBSOCKET_MAX_CONNECTIONS = 10
    assert max_connections(0) == 10
    assert max_connections(7) == 7
