"""``docs/howto/proxies.rst``: what the server answers where a proxy does less than it has to."""

from __future__ import annotations

import re
import socket
import subprocess

import pytest

from django_websocket.conf import SETTINGS
from tests.conftest import find_program
from tests.deadlines import deadline
from tests.site.running import Site

from .pages import Page

PAGE = Page("howto/proxies")
[CURL] = PAGE.code("sh")

HEADERS = ("Host: 127.0.0.1", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
UPGRADE = ("Upgrade: websocket", "Connection: upgrade")

ROWS = re.findall(r"^   \* - (\d+), ``(.+)``$", PAGE.text, re.MULTILINE)

WRONG = {
    "the Upgrade header does not name websocket; is a proxy removing it?": ("1.1", HEADERS),
    "the Connection header does not name Upgrade; is a proxy removing it?": (
        "1.1",
        (*HEADERS, "Upgrade: websocket", "Connection: close"),
    ),
    "this URL only accepts websockets": ("1.1", ("Host: 127.0.0.1",)),
    "a websocket handshake requires HTTP/1.1, not HTTP/1.0": ("1.0", (*HEADERS, *UPGRADE)),
    "origin 'https://example.com' is not allowed": ("1.1", (*HEADERS, *UPGRADE, "Origin: https://example.com")),
}


def answer(site: Site, version: str, headers: tuple[str, ...]) -> str:
    """All that the server says before it closes the connection."""
    with socket.create_connection(("127.0.0.1", site.port), deadline(10)) as sock:
        lines = [f"GET /decorators/requires/ HTTP/{version}", *headers, "", ""]
        sock.sendall("\r\n".join(lines).encode())
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile() as file:
            return file.read()


@pytest.mark.parametrize(("status", "text"), ROWS, ids=[text for _, text in ROWS])
def test_what_is_missing(site: Site, status: str, text: str) -> None:
    said = answer(site, *WRONG[text])
    assert said.startswith(f"HTTP/1.1 {status} ")
    assert said.endswith(f"\n\n{text}\n")


def test_all_answers_are_tried() -> None:
    assert {text for _, text in ROWS} == set(WRONG)


def test_curl(site: Site) -> None:
    find_program("curl")
    command = CURL
    for old, new in {
        "http://127.0.0.1:8000/echo/": f"http://127.0.0.1:{site.port}/common/echo/",
        "--max-time 2": f"--max-time {deadline(2)}",
    }.items():
        assert old in command
        command = command.replace(old, new)
    run = subprocess.run(
        ["sh", "-c", f"exec {command}"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "*"},
        timeout=deadline(30),
    )
    assert "HTTP/1.1 101 Switching Protocols" in run.stdout, run.stderr


def test_the_default() -> None:
    assert f"``WEBSOCKET_PING_INTERVAL`` seconds ({SETTINGS['WEBSOCKET_PING_INTERVAL'].default})" in PAGE.prose
