"""The client in a browser, with a real server behind a network that fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser import Page, chromium
from tests.deadlines import wait_until
from tests.groups.redis_servers import Redis, redis_server
from tests.site.running import Site, serve_site

from .project import SETTINGS, groups
from .relay import Relay, relay

HURRY = "Math.random = () => 0.02"
"""So that a test of many cuts is no test of patience."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@contextmanager
def serving(directory: Path, redis: Redis) -> Iterator[Site]:
    with serve_site(directory, settings={**SETTINGS, "WEBSOCKET_GROUPS": groups(redis.url)}) as site:
        yield site


class Town:
    """A site that may be restarted, and the network before it."""

    def __init__(self, directory: Path, redis: Redis, network: Relay) -> None:
        self._directory = directory
        self._redis = redis
        self._stack = ExitStack()
        self.network = network
        self.said: list[str] = []
        self.start()

    def start(self) -> None:
        self.site = self._stack.enter_context(serving(self._directory, self._redis))
        self.network.target = self.site.port

    def stop(self) -> None:
        self._stack.close()

    def say(self, text: str) -> None:
        assert self.site.ask(f"/say/?text={quote(text)}").status == 200
        self.said.append(text)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.network.port}{path}"


@pytest.fixture
def town(tmp_path: Path, redis: Redis) -> Iterator[Town]:
    redis.client().flushall()
    with relay(0, seed=20) as network:
        town = Town(tmp_path, redis, network)
        try:
            yield town
        finally:
            town.stop()


@pytest.fixture(scope="module")
def browser(program: Callable[..., str]) -> Iterator[Page]:
    with chromium(program("chromium", "chromium-browser", "google-chrome")) as page:
        yield page


def start(page: Page, url: str, path: str = "/room/", **options: Any) -> None:
    """Load the page anew and connect."""
    page.open("about:blank")
    page.open(url)
    page.wait_for("window.start")
    page.run(HURRY)
    page.run(f"start({json.dumps(path)}, {json.dumps(options)})")


def wait_heard(page: Page, expected: list[str], seconds: float = 60) -> None:
    """Wait until the page has got as many messages, and see that they are the same."""
    wait_until(lambda: int(page.run("told.messages.length")) >= len(expected), seconds, f"{len(expected)} messages")
    assert page.run("told.messages") == expected


def test_a_network_that_fails_at_random(town: Town, browser: Page) -> None:
    start(browser, town.url("/page/"), since="0")
    town.network.is_bad = True
    while len(town.said) < 200 or town.network.cuts < 20:
        town.say(str(len(town.said)))
    town.network.is_bad = False
    wait_heard(browser, town.said)
    assert browser.run("told.states.filter((state) => state === 'websocket').length") > 5


def test_what_the_page_says_meanwhile(town: Town, browser: Page) -> None:
    start(browser, town.url("/page/"), "/numbered/", since="0", whileClosed="queue")
    town.network.is_bad = True
    for number in range(200):
        browser.run(f"socket.send('{number}')")
        if number % 50 == 25:
            town.network.cut()
    town.network.is_bad = False
    # A connection that was doomed before may take this along, too.
    browser.wait_for("(socket.send('last'), told.messages.at(-1)?.endsWith(' last'))")
    heard = [text.split() for text in browser.run("told.messages") if not text.endswith("last")]
    # What was in the browser's buffer when the connection broke is lost; nothing comes twice, and the order stays. What
    # the server has of the old connection it may send after the first of the new.
    numbers = [int(number) for _, number in sorted(heard, key=lambda one: int(one[0]))]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 20


def test_a_restart_of_the_server(town: Town, browser: Page) -> None:
    start(browser, town.url("/page/"), since="0")
    for number in range(3):
        town.say(f"before the restart, {number}")
        wait_heard(browser, town.said)
        town.stop()
        browser.wait_for("socket.state === 'waiting'")
        town.start()
        town.say(f"after the restart, {number}")
        wait_heard(browser, town.said)
    assert browser.run("told.close") is None


def test_the_event_stream_where_websockets_are_broken(town: Town, browser: Page) -> None:
    town.network.breaks_websockets = True
    start(browser, town.url("/page/"), since="0", eventStream="/events/")
    town.say("one")
    wait_heard(browser, town.said)
    assert browser.run("socket.transport") == "eventStream"
    town.network.cut()
    town.say("two")
    wait_heard(browser, town.said)
    assert browser.run("socket.transport") == "eventStream"
    town.network.breaks_websockets = False
    for number in range(10):
        town.say(f"three, {number}")
    browser.run("socket.retry()")
    for number in range(10):
        town.say(f"four, {number}")
    browser.wait_for("socket.transport === 'websocket'")
    town.say("five")
    wait_heard(browser, town.said)


def test_a_page_in_the_back_forward_cache(town: Town, browser: Page) -> None:
    start(browser, town.url("/page/"), since="0")
    town.say("before")
    wait_heard(browser, town.said)
    browser.open(town.url("/other/"))
    town.say("meanwhile")
    browser.run("history.back()")
    browser.wait_for("window.persisted")
    town.say("afterwards")
    wait_heard(browser, town.said)
    assert browser.run("told.states").count("websocket") == 2


def test_an_offline_browser(town: Town, browser: Page) -> None:
    # Not 127.0.0.1, which needs no network.
    start(browser, town.url("/page/", host="site.localhost"), since="0")
    browser.wait_for("socket.state === 'open'")
    handshakes = town.network.handshakes
    try:
        browser.go_offline()
        browser.wait_for("socket.state === 'offline'")
        town.say("meanwhile")
        assert browser.run("told.messages") == []
        assert town.network.handshakes == handshakes
    finally:
        browser.go_offline(False)
    wait_heard(browser, town.said)


TICKET = """
window.tickets = 0;
window.ticket = async () => {
  window.tickets += 1;
  const answer = await (await fetch("/ticket/")).json();
  return { ...answer, refresh_in: answer.refresh_in / 6 };  // long before, so that a busy machine is in time, too
};
"""


def start_with(page: Page, url: str, ticket: str) -> None:
    """Load the page, and connect with tickets from the JavaScript function ``ticket``."""
    page.open("about:blank")
    page.open(url)
    page.wait_for("window.start")
    page.run(TICKET)
    page.run(f"start('/greets/', {{ ticket: {ticket} }})")


def test_tickets_are_refreshed(town: Town, browser: Page) -> None:
    start_with(browser, town.url("/page/"), "ticket")
    browser.wait_for("window.tickets > 9")
    browser.run("socket.send('still here')")
    # The view sees no ticket.
    wait_heard(browser, ["Hello, ann", "still here"])
    assert town.network.handshakes == 1


def test_a_ticket_that_is_not_refreshed(town: Town, browser: Page) -> None:
    start_with(browser, town.url("/page/"), "async () => (await ticket()).ticket")
    browser.wait_for("told.close === 4401")
    assert browser.run("[told.messages, window.tickets]") == [["Hello, ann"], 1]


def test_each_attempt_has_a_ticket_of_its_own(town: Town, browser: Page) -> None:
    start_with(browser, town.url("/page/"), "ticket")
    wait_heard(browser, ["Hello, ann"])
    town.network.cut()
    wait_heard(browser, ["Hello, ann"] * 2)


def test_the_page_of_the_documentation(town: Town, browser: Page) -> None:
    browser.open(town.url("/documented/"))
    browser.wait_for("document.getElementById('state').value === 'open'")
    with town.site.connect("/chat/lobby/socket/?since=0") as client:
        client.send("hello")
        browser.wait_for("document.getElementById('lines').textContent === 'hello'")


@pytest.mark.parametrize("code", [1000, 1008, 4401])
def test_a_close_code_that_ends_it(town: Town, browser: Page, code: int) -> None:
    start(browser, town.url("/page/"), f"/closes/{code}/")
    browser.wait_for("socket.state === 'closed'")
    assert browser.run("told.close") == code
    assert town.network.handshakes == 1


def test_a_handshake_that_is_refused(town: Town, browser: Page) -> None:
    start(browser, town.url("/page/"), "/forbids/")
    browser.wait_for("socket.attempts >= 3")
    assert browser.run("told.close") is None
    assert town.network.handshakes >= 3
