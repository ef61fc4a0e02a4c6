"""A browser behind the proxies' TLS, where it has pages over HTTP/2 and opens websockets beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import Page, chromium

from .proxies import PROXIES, serve_front
from .served import Certificate, Demo, demo, short_directory

ECHO = """
new Promise((resolve) => {
  const socket = new WebSocket(`wss://${location.host}/echo/`);
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (event) => { resolve(event.data); socket.close(); };
  socket.onerror = () => resolve("failed");
})
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Demo]:
    with short_directory() as directory, demo(directory) as running:
        yield running


@pytest.fixture(scope="module")
def page(program: Callable[..., str]) -> Iterator[Page]:
    with chromium(program("chromium", "chromium-browser", "google-chrome"), "--ignore-certificate-errors") as browser:
        yield browser


@pytest.mark.parametrize("name", PROXIES)
def test_a_browser(name: str, server: Demo, page: Page, tmp_path: Path) -> None:
    with serve_front(name, server.upstreams["tcp"], tmp_path, certificate=Certificate(tmp_path)) as front:
        page.open(f"{front.origin}/")
        assert page.run("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        # The second time, it knows what the proxy can.
        for _ in range(2):
            assert page.run(ECHO) == "hello"
