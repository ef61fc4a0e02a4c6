"""The client with tickets of the server: it connects, refreshes, and gives up when they are revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import Page, chromium
from tests.site.running import Site, serve_site

from .project import SETTINGS

TICKET = """async () => {
    if (window.loggedOut) return null;
    window.given = (window.given ?? 0) + 1;
    const answer = await (await fetch("/tickets/new/")).json();
    // Long before, so that a busy machine is in time, too.
    return { ...answer, refresh_in: answer.refresh_in / 6 };
}"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve_site(tmp_path, settings=SETTINGS) as site:
        yield site


@pytest.fixture
def browser(program: Callable[..., str]) -> Iterator[Page]:
    with chromium(program("chromium", "chromium-browser", "google-chrome")) as page:
        yield page


def test_a_websocket_that_lives_by_tickets(site: Site, browser: Page) -> None:
    browser.open(f"http://127.0.0.1:{site.port}/page/")
    browser.wait_for("window.start")
    browser.run(f"start('/tickets/echo/', {{ ticket: {TICKET} }})")
    browser.wait_for("told.messages.length")
    assert browser.run("told.messages") == ["ann"]
    browser.wait_for("given >= 10")
    browser.run("socket.send('still here')")
    browser.wait_for("told.messages.length > 1")
    assert browser.run("[told.messages, told.states]") == [["ann", "still here"], ["websocket"]]
    # Where the next ticket is due just then, the client takes it for late, and asks for one.
    browser.run("window.loggedOut = true")
    assert site.ask("/tickets/revoke/").status == 200
    browser.wait_for("told.close")
    assert browser.run("[told.close, socket.state]") == [4401, "closed"]
