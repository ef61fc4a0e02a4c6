"""The page in a browser, of a site that two workers serve over Redis."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Page, chromium
from tests.deadlines import wait_until
from tests.protocol.client import close, text
from tests.site.running import HANDSHAKE, RawSocket

from .project import PAGE, SOCKET
from .served import Town, town

CROWD = 2000

REASON = "Grüße, und tschüß"

BODY = "document.querySelectorAll('#live-table tbody tr')"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as served:
        yield served
        # Not even a style or a script that the browser has blocked.
        assert [record for record in served.records() if record["level"] == "ERROR"] == []


@pytest.fixture(scope="module")
def crowd(served: Town) -> Iterator[list[RawSocket]]:
    with served.crowd(CROWD) as crowd:
        yield crowd


@pytest.fixture(scope="module")
def browser(program: Callable[..., str]) -> Iterator[Page]:
    with chromium(program("chromium", "chromium-browser", "google-chrome")) as page:
        yield page


@pytest.fixture
def page(browser: Page, served: Town, crowd: list[RawSocket]) -> Page:
    """The page as root sees it, who may do everything."""
    browser.resize(1400, 1000)
    browser.prefer("light")
    served.look(browser, "root")
    browser.wait_for(f"{BODY}.length === 50")
    return browser


def wait_for_text(page: Page, selector: str, expected: str) -> None:
    page.wait_for(f"document.querySelector({json.dumps(selector)}).textContent.trim() === {json.dumps(expected)}")


def cell(column: str, row: int = 0) -> str:
    return f"{BODY}[{row}].querySelector('[data-column={column}]').textContent"


def search(page: Page, words: str) -> None:
    page.run("document.getElementById('live-search').focus()")
    page.run("document.getElementById('live-search').value = ''")
    page.type(words)


def receive_close(client: RawSocket) -> tuple[int, bytes]:
    """Code and reason; answers as a client does."""
    first, payload = client.frame()
    assert first == 0x88
    code = int.from_bytes(payload[:2], "big")
    client.send(close(code))
    assert client.rest() == b""
    client.sock.close()
    return code, payload[2:]


def test_websockets_of_all_processes(page: Page, served: Town) -> None:
    wait_for_text(page, "[data-figure=sockets]", f"{CROWD + 1:,}")
    wait_for_text(page, "#live-process-count", "2 processes")
    wait_for_text(page, "#live-range", f"1\N{EN DASH}50 of {CROWD + 1:,}")
    shares = "[...document.querySelectorAll('#live-processes li')].map((item) => item.textContent)"
    wait_until(lambda: {int(share.split()[0]) for share in page.run(shares)} == served.server.workers(), 10)
    page.wait_for("document.querySelectorAll('[data-chart] canvas').length === 3")
    page.wait_for("/ms$/.test(document.querySelector('[data-figure=lag]').textContent)")


def test_all_pages_by_keyboard(page: Page) -> None:
    page.run("document.querySelector('[data-page=next]').focus()")
    page.press("Enter")
    wait_for_text(page, "#live-range", f"51\N{EN DASH}100 of {CROWD + 1:,}")
    assert page.run("document.activeElement.dataset.page") == "next"
    page.run("document.querySelector('[data-page=last]').focus()")
    page.press("Enter")
    wait_for_text(page, "#live-range", f"{CROWD - 48:,}\N{EN DASH}{CROWD + 1:,} of {CROWD + 1:,}")
    assert page.run("document.querySelector('[data-page=next]').ariaDisabled") == "true"
    page.run("document.querySelector('[data-page=previous]').click()")
    wait_for_text(page, "#live-range", f"{CROWD - 98:,}\N{EN DASH}{CROWD - 49:,} of {CROWD + 1:,}")
    page.run("document.querySelector('[data-page=first]').click()")
    wait_for_text(page, "#live-range", f"1\N{EN DASH}50 of {CROWD + 1:,}")


def test_search_and_filter(page: Page, served: Town) -> None:
    with served.crowd(3, "/room/attic/", "ann"), served.crowd(2, "/room/attic/", "bob"):
        search(page, "attic ann")
        wait_for_text(page, "#live-range", "1\N{EN DASH}3 of 3")
        # Told to screen readers, once.
        wait_for_text(page, "#live-state", "1\N{EN DASH}3 of 3")
        search(page, "ATTIC")
        wait_for_text(page, "#live-range", "1\N{EN DASH}5 of 5")
        page.wait_for(f"[...{BODY}].some((row) => row.textContent.includes('bob'))")
        page.run(f"[...{BODY}].find((row) => row.textContent.includes('bob')).querySelector('.live-link').click()")
        wait_for_text(page, "#live-range", "1\N{EN DASH}2 of 2")
        assert page.run("document.activeElement.textContent.includes('bob')")
        page.press("Enter")
        wait_for_text(page, "#live-range", "1\N{EN DASH}5 of 5")
        search(page, "nothing like this")
        wait_for_text(page, "#live-range", "0")
        page.wait_for("!document.getElementById('live-empty').hidden")
    page.run("document.getElementById('live-search').value = ''")
    page.run("document.getElementById('live-filters').requestSubmit()")
    page.wait_for("[...document.getElementById('live-view').options].some((option) => option.value === 'room')")
    page.run("document.getElementById('live-view').value = 'room'")
    page.run("document.getElementById('live-view').dispatchEvent(new Event('change'))")
    wait_for_text(page, "#live-range", f"1\N{EN DASH}50 of {CROWD:,}")


def test_sorting_by_keyboard(page: Page, served: Town) -> None:
    head = "document.querySelector('th[data-column=received]')"
    with served.enter("/room/attic/", "ann") as client:
        for _ in range(3):
            client.send(text("hello"))
            client.frame()
        page.run(f"{head}.querySelector('button').focus()")
        page.press("Enter")
        page.wait_for(f"{head}.ariaSort === 'descending'")
        page.wait_for(f"{cell('received')} === '3'")
        page.press("Enter")
        page.wait_for(f"{head}.ariaSort === 'ascending'")
        page.wait_for(f"{cell('received')} === '0'")
        assert page.run(f"document.activeElement === {head}.querySelector('button')")


def test_rows_are_live_and_keep_the_focus(page: Page, served: Town) -> None:
    with served.enter("/room/attic/", "ann") as first, served.enter("/room/attic/", "ann") as second:
        page.run("document.querySelector('th[data-column=sent] button').click()")
        search(page, "attic")
        page.wait_for(f"{BODY}.length === 2")
        for number, client in enumerate((first, second, second), 1):
            client.send(text("hello"))
            client.frame()
            page.run(f"window.focused = {BODY}[{BODY}.length - 1].querySelector('.live-action button')")
            page.run("window.focused.focus()")
            page.wait_for(f"[...{BODY}].reduce((sum, row) => sum + Number(row.cells[5].textContent), 0) === {number}")
            # The row may be in another place now.
            assert page.run("document.activeElement === window.focused")
        page.wait_for(f"{cell('sent')} === '2'")
    # The one that had the focus is gone.
    page.wait_for(f"{BODY}.length === 0")
    assert page.run("document.activeElement.id") == "live-scroll"


def order(page: Page, row: str, reason: str, scope: str = "one") -> None:
    """Close by way of the dialog."""
    page.run(f"[...{BODY}].find((row) => {row}).querySelector('.live-action button').click()")
    page.wait_for("document.getElementById('live-dialog').open")
    assert page.run("document.activeElement.id") == "live-reason"
    page.run(f"document.querySelector('#live-dialog [value={scope}]').checked = true")
    page.press("Enter")  # without a reason nothing happens
    assert page.run("document.getElementById('live-dialog').open")
    page.type(reason)
    page.press("Enter")
    page.wait_for("!document.getElementById('live-dialog').open")


def test_closing_one(page: Page, served: Town) -> None:
    with served.enter("/room/attic/", "ann") as one, served.enter("/room/cellar/", "ann") as other:
        search(page, "ann")
        page.wait_for(f"{BODY}.length === 2")
        order(page, "row.textContent.includes('attic')", REASON)
        assert receive_close(one) == (1008, REASON.encode())
        wait_for_text(page, "#live-state", "Closed 1 websocket.")
        page.wait_for(f"{BODY}.length === 1")
        other.send(text("still there"))
        assert other.frame() == (0x81, b"still there")
    assert wait_logged(served, f"closed websocket /room/attic/ of ann: {REASON}").startswith("root (#")


def wait_logged(served: Town, part: str) -> str:
    """The one line of the log with ``part``."""
    lines: list[str] = []

    def is_there() -> bool:
        lines[:] = [message for message in served.logged() if part in message]
        return bool(lines)

    wait_until(is_there, 10, f"{part!r} in the log")
    [line] = lines
    return line


def test_closing_all_of_a_user(page: Page, served: Town) -> None:
    with served.crowd(20, "/room/attic/", "bob") as his, served.enter("/room/attic/", "ann") as hers:
        search(page, "attic")
        page.wait_for(f"{BODY}.length === 21")
        order(page, "row.textContent.includes('bob')", "enough", "user")
        assert [receive_close(client) for client in his] == [(1008, b"enough")] * 20
        wait_for_text(page, "#live-state", "Closed 20 websockets.")
        hers.send(text("still there"))
        assert hers.frame() == (0x81, b"still there")


def test_escape_closes_nothing(page: Page, served: Town) -> None:
    with served.enter("/room/attic/", "ann") as client:
        search(page, "attic")
        page.wait_for(f"{BODY}.length === 1")
        page.run(f"{BODY}[0].querySelector('.live-action button').click()")
        page.type("a reason")
        page.press("Escape")
        page.wait_for("!document.getElementById('live-dialog').open")
        client.send(text("still there"))
        assert client.frame() == (0x81, b"still there")


def test_a_process_that_does_not_answer_is_named(page: Page, served: Town) -> None:
    wait_for_text(page, "#live-process-count", "2 processes")
    # Which of them has the page's websocket?
    search(page, "admin")
    page.wait_for(f"{BODY}.length === 1")
    owner = int(page.run(f"{BODY}[0].dataset.pid"))
    [other] = served.server.workers() - {owner}
    os.kill(other, signal.SIGSTOP)
    try:
        page.wait_for(f"document.getElementById('live-notes').textContent.startsWith('Process {other} on ')")
        wait_for_text(page, "#live-process-count", "1 process")
    finally:
        os.kill(other, signal.SIGCONT)
    wait_for_text(page, "#live-process-count", "2 processes")
    page.wait_for("document.getElementById('live-notes').hidden")


def test_pause(page: Page, served: Town) -> None:
    page.run("document.getElementById('live-pause').click()")
    wait_for_text(page, "#live-state", "Paused")
    with served.enter("/room/attic/", "ann"):
        search(page, "attic")
        wait_for_text(page, "#live-range", "1\N{EN DASH}1 of 1")
    page.run("document.getElementById('live-pause').click()")
    wait_for_text(page, "#live-range", "0")


def test_who_may_not(browser: Page, served: Town, crowd: list[RawSocket]) -> None:
    for name in ("clerk", "ann"):
        assert served.server.get(PAGE, served.cookie(name))[0] == 403
        with RawSocket(served.server.port, SOCKET, headers=served.cookie(name)) as refused:
            assert refused.head().startswith("HTTP/1.1 403 ")
    assert served.server.get(PAGE)[0] == 302
    assert served.server.get(SOCKET, HANDSHAKE)[0] == 403
    foreign = {**served.cookie("root"), "Origin": "https://evil.example"}
    with RawSocket(served.server.port, SOCKET, headers=foreign) as refused:
        assert refused.head().startswith("HTTP/1.1 403 ")
    browser.resize(1400, 1000)
    served.look(browser, "viewer")
    browser.wait_for(f"{BODY}.length === 50")
    assert browser.run("document.querySelectorAll('.live-action, #live-dialog').length") == 0


AXE = files("axe_core_python").joinpath("axe.min.js").read_text()


def findings(page: Page, context: str = "#live") -> list[Any]:
    """What axe calls serious or worse."""
    page.run(f"{AXE}; null")
    found: list[Any] = page.run(
        f"axe.run({json.dumps(context)}).then(({{violations}}) => violations"
        ".filter(({impact}) => ['serious', 'critical'].includes(impact))"
        ".map(({id, help, nodes}) => [id, help, nodes.map(({html}) => html)]))"
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(page: Page, served: Town, scheme: str) -> None:
    with served.enter("/room/attic/", "ann"):
        search(page, "room")
        page.prefer(scheme)
        wait_for_text(page, "#live-range", f"1\N{EN DASH}50 of {CROWD + 1:,}")
        page.run("document.querySelector('.live-processes').open = true")
        assert findings(page) == []
        page.run(f"{BODY}[0].querySelector('.live-action button').click()")
        page.wait_for("document.getElementById('live-dialog').open")
        assert findings(page, "#live-dialog") == []
        page.press("Escape")


def test_a_phone(page: Page) -> None:
    page.resize(390, 844, touch=True)
    page.wait_for("innerWidth === 390")
    page.wait_for("document.documentElement.scrollWidth === 390")
    page.wait_for("[...document.querySelectorAll('[data-chart] canvas')].every((canvas) => canvas.clientWidth < 390)")
    assert page.run(f"{BODY}[0].getBoundingClientRect().right") <= 390
    assert findings(page) == []
    page.run("document.getElementById('live-sort').value = 'sent'")
    page.run("document.getElementById('live-sort').dispatchEvent(new Event('change'))")
    page.run("document.getElementById('live-direction').click()")
    page.wait_for("document.querySelector('th[data-column=sent]').ariaSort === 'descending'")


def test_charts_follow_the_colors(page: Page) -> None:
    colors = []
    for theme in ("light", "dark"):
        page.run(f"document.documentElement.dataset.theme = '{theme}'")
        page.wait_for("document.querySelectorAll('[data-chart] canvas').length === 3")
        colors.append(page.run("document.querySelector('[data-chart=sockets] canvas').toDataURL()"))
    assert colors[0] != colors[1]


def test_the_page_connects_again(browser: Page, tmp_path: Path) -> None:
    with town(tmp_path) as served:
        served.look(browser, "root")
        browser.wait_for(f"{BODY}.length === 1")
        owner = int(browser.run(f"{BODY}[0].dataset.pid"))
        os.kill(owner, signal.SIGTERM)
        browser.wait_for(f"{BODY}.length === 1 && {BODY}[0].dataset.pid !== '{owner}'")
        browser.open("about:blank")


KEEP_TIMERS = """
window.timers = new Set();
const [set, clear] = [setTimeout, clearTimeout];
window.setTimeout = (run, delay) => {
  const timer = set(() => {
    timers.delete(timer);
    run();
  }, delay);
  timers.add(timer);
  return timer;
};
window.clearTimeout = (timer) => {
  timers.delete(timer);
  clear(timer);
};
window.hide = (hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


def test_a_page_that_nobody_sees_waits_for_no_attempt(browser: Page, tmp_path: Path) -> None:
    with town(tmp_path, workers=1) as served:
        served.look(browser, "root")
        browser.wait_for(f"{BODY}.length === 1")
        browser.run(KEEP_TIMERS)
        assert served.server.end() == 0
        browser.wait_for("timers.size === 1 && (hide(true), timers.size === 0)")
        browser.run("hide(false)")
        browser.wait_for("timers.size === 1")
        browser.open("about:blank")


def test_redis_goes_and_comes_back(browser: Page, tmp_path: Path) -> None:
    with town(tmp_path) as served:
        served.look(browser, "root")
        wait_for_text(browser, "#live-process-count", "2 processes")
        served.redis.kill()
        browser.wait_for("document.getElementById('live-notes').textContent.startsWith('Other processes can')")
        wait_for_text(browser, "#live-process-count", "1 process")
        served.redis.start()
        wait_for_text(browser, "#live-process-count", "2 processes")
        browser.wait_for("document.getElementById('live-notes').hidden")
        assert [record for record in served.records() if record["level"] == "ERROR"] == []
        browser.open("about:blank")
