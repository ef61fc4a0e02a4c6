"""A served project in which a view holds up everything."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from django_websocket.serving.green import watchdog
from django_websocket.serving.green.watchdog import excuse, watch_hub
from django_websocket.serving.patch import eventlet
from tests.deadlines import deadline, wait_until
from tests.site.running import Site, serve_site

pytestmark = pytest.mark.skipif(
    os.environ.get("EVENTLET_HUB", "epolls") not in ("epolls", "poll"), reason="this hub does not tell when it waits"
)


LIMIT = deadline(0.5)
"""Seconds: longer than what a busy machine or the first import of a module holds up a process."""

LONG = 2 * LIMIT


@pytest.fixture
def fresh_site(tmp_path: Path) -> Iterator[Site]:
    """A server of its own: the watchdog logs once a minute."""
    with serve_site(tmp_path, settings={"WEBSOCKET_BLOCKING_WARNING": LIMIT}) as site:
        yield site


@pytest.fixture
def talkative_site(tmp_path: Path) -> Iterator[Site]:
    """The same, and each time that something has blocked it is logged: it may have been held up before."""
    constants = {"serving.green.watchdog.LOG_SECONDS": 0}
    with serve_site(tmp_path, settings={"WEBSOCKET_BLOCKING_WARNING": LIMIT}, constants=constants) as site:
        yield site


def named(site: Site) -> str:
    """What is logged of a call that blocks. Whoever is to see it may be held up for as long as it blocks."""
    found: list[str] = []

    def is_named() -> bool:
        site.ask(f"/processes/block/?seconds={LONG}")
        found.extend(message for message in warnings(site, 1) if "Blocking call" in message)
        return bool(found)

    wait_until(is_named, 10 * LONG, "a call that is named")
    return found[0]


def warnings(site: Site, count: int) -> list[str]:
    """The first ``count`` warnings in the log."""
    found: list[str] = []

    def are_logged() -> bool:
        found.extend(record["message"] for record in site.take_log("WARNING"))
        return len(found) >= count

    wait_until(are_logged, 10, "a warning in the log")
    return found


def state(site: Site) -> str:
    """As proc(5) says: of its main thread, which has the hub."""
    return Path(f"/proc/{site.process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def threads(site: Site) -> int:
    return len(list(Path(f"/proc/{site.process.pid}/task").iterdir()))


def test_a_call_that_blocks_is_named(talkative_site: Site) -> None:
    message = named(talkative_site)
    assert message.startswith("the process was blocked for ")
    assert "Blocking call (in a request for '/processes/block/'):\n" in message
    assert message.splitlines()[-1].strip() == 'native_sleep(float(request.GET["seconds"]))'


@pytest.fixture
def polled() -> Iterator[None]:
    """The hub of this thread has something to poll for, as a server's has."""
    hub = eventlet.hubs.get_hub()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        listener = hub.add(hub.READ, silent.fileno(), lambda fd: None, lambda *error: None, lambda: None)
        yield
        hub.remove(listener)


@pytest.mark.usefixtures("polled")
def test_what_is_excused_hides_nothing_that_blocked_before_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LOG_SECONDS", 0)
    native_sleep = eventlet.patcher.original("time").sleep

    def excused() -> None:
        native_sleep(LONG)

    def blocking() -> None:
        native_sleep(LONG)

    def is_named() -> bool:
        """Whoever is to see it may be held up for as long as it blocks."""
        for calls in ([excused], [blocking, excused]):
            eventlet.sleep(0.01)
            for call in calls:
                call()
        eventlet.sleep(0.1)
        return "in blocking\n" in caplog.text

    excuse(excused.__code__)
    with watch_hub(LIMIT, attentive=True):
        wait_until(is_named, 10 * LONG, "a call that is named")
    assert "in excused\n" not in caplog.text


def test_the_log_is_not_flooded(fresh_site: Site) -> None:
    for _ in range(3):
        fresh_site.ask(f"/processes/block/?seconds={LONG}")
    assert len(warnings(fresh_site, 1)) == 1
    assert fresh_site.take_log("WARNING") == []


def test_what_waits_in_the_hub_is_not_named(fresh_site: Site) -> None:
    """Nor a process that was stopped."""
    assert fresh_site.ask("/common/plain/").status == 200
    wait_until(lambda: state(fresh_site) == "S", 5, "a process that waits")
    fresh_site.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: state(fresh_site) == "T", 5, "a stopped process")
    end = os.times().elapsed + LONG
    wait_until(lambda: os.times().elapsed > end, 2 * LONG)
    fresh_site.process.send_signal(signal.SIGCONT)
    assert fresh_site.get_json("/processes/start/?way=fork&number=3") == [9, 3]
    assert fresh_site.take_log("WARNING") == []


def test_none_switches_it_off(tmp_path: Path) -> None:
    with serve_site(tmp_path, settings={"WEBSOCKET_BLOCKING_WARNING": None}) as site:
        site.ask("/processes/block/?seconds=0.6")
        site.ask("/common/plain/")
        assert site.take_log("WARNING") == []
        assert threads(site) == 1


def test_its_thread_is_there_after_a_fork(talkative_site: Site) -> None:
    """In the parent, not in the child."""
    pid = talkative_site.get_json("/processes/keep/?daemon=yes")
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    # The kernel may still know the one that was joined before the fork.
    wait_until(lambda: threads(talkative_site) == 2, what="the server's own and the watchdog's")
    assert "native_sleep" in named(talkative_site)


def test_what_never_ends_is_seen(tmp_path: Path) -> None:
    """The hub does not come back to log it, so it is written to stderr."""

    class SeenError(Exception):
        """The server won't end in order."""

    errors = tmp_path / "stderr"
    settings = {"WEBSOCKET_BLOCKING_WARNING": LIMIT}
    with (
        suppress(SeenError),
        serve_site(tmp_path, settings=settings) as site,
        site.raw("/processes/block/?seconds=300"),
    ):
        wait_until(lambda: "so far. Blocking call" in errors.read_text(), 30, "a line on stderr")
        raise SeenError
    assert "Blocking call (in a request for '/processes/block/'):\n" in errors.read_text()
