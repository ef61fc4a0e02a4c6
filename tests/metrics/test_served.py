"""The figures of one process, and of several that serve one site."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_websocket.metrics.declarations import DECLARATIONS, Kind
from tests.deadlines import deadline, wait_until
from tests.ports import free_port
from tests.serving.gunicorn.running import Gunicorn, serving
from tests.site.running import RawSocket, Site, serve_site

from .load import MEMBER, SETTINGS, SOCKETS, load, say_goodbye, wait_until_right
from .scraped import Scraped


def scrape_port(port: int, path: str = "/metrics") -> Scraped:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline(10))
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        page = response.read().decode()
        assert response.status == 200, page
        return Scraped(page)
    finally:
        connection.close()


@pytest.fixture
def own_port() -> int:
    return free_port()


@pytest.fixture
def site(tmp_path: Path, own_port: int) -> Iterator[Site]:
    settings = {**SETTINGS, "WEBSOCKET_METRICS_ADDRESS": f"127.0.0.1:{own_port}"}
    with serve_site(tmp_path, settings=settings) as site:
        yield site


def exported(declared: str) -> set[str]:
    """The names of a metric's samples."""
    if DECLARATIONS[declared].kind is Kind.HISTOGRAM:
        return {f"{declared}_{part}" for part in ("bucket", "count", "sum")}
    return {declared}


def test_one_process(site: Site, own_port: int) -> None:
    def scrape() -> Scraped:
        return scrape_port(site.port, "/metrics/")

    with load(site.port) as members:
        site.take_log()  # the views that raised
        scraped = wait_until_right(scrape)
        assert scraped.sum("processes") == 1
        assert wait_until_right(lambda: scrape_port(own_port)).sum("processes") == 1
        say_goodbye(members[0], 1000)
        wait_until(lambda: scrape().sum("open") == SOCKETS - 1, 5)
        assert scrape().sum("closed_total", code="1000", route=MEMBER) == 1
    wait_until(lambda: scrape().sum("open") == 0, 5)
    wait_until(lambda: scrape().sum("hub_lag_seconds_count") > 0, 5)
    scraped = scrape()
    for name in DECLARATIONS:
        if name != "django_websocket_database_connections":
            assert exported(name) <= scraped.names()
    site.take_log()


def test_the_lag_is_that_of_a_blocked_process(site: Site) -> None:
    before = scrape_port(site.port, "/metrics/")
    site.ask("/common/spin/?seconds=0.6")
    scraped = scrape_port(site.port, "/metrics/")
    late = scraped.sum("hub_lag_seconds_count") - scraped.sum("hub_lag_seconds_bucket", le="0.25")
    late_before = before.sum("hub_lag_seconds_count") - before.sum("hub_lag_seconds_bucket", le="0.25")
    # 0.6, 0.5, 0.4 and 0.3 seconds, give or take a tick.
    assert late - late_before >= 3


def test_connections_to_the_database(site: Site) -> None:
    def held() -> float:
        return scrape_port(site.port, "/metrics/").sum("database_connections", database="default")

    before = held()
    with site.connect("/database/sleeps/") as client:
        assert client.recv(timeout=deadline(10)) == "holds one"
        assert held() == before + 1
    wait_until(lambda: held() == before, 5)


def test_what_a_client_does_not_read(site: Site) -> None:
    def outbox() -> float:
        return scrape_port(site.port, "/metrics/").sum("outbox_bytes", route=MEMBER)

    with site.raw(f"{MEMBER}?group=slow", receive_buffer=4096).opened() as slow:
        wait_until(lambda: scrape_port(site.port, "/metrics/").sum("memberships") == 1, 5)
        for _ in range(200):
            site.ask("/groups/sends/?group=slow&times=1&size=60000")
            if waiting := outbox():  # the kernel may take it yet
                break
        assert 0 < waiting < 200 * 60_000
        slow.reset()
    wait_until(lambda: outbox() == 0, 5)


def test_what_the_port_of_its_own_has_not(site: Site, own_port: int) -> None:
    site.ask("/common/plain/")  # it serves now
    connection = http.client.HTTPConnection("127.0.0.1", own_port, timeout=deadline(10))
    for path in ("/", "/common/plain/"):
        connection.request("GET", path)
        response = connection.getresponse()
        assert (response.status, response.read()) == (404, b"The metrics are at /metrics.\n")
    connection.close()


def test_what_is_no_address_is_logged(tmp_path: Path) -> None:
    with serve_site(tmp_path, settings={**SETTINGS, "WEBSOCKET_METRICS_ADDRESS": "localhost"}) as site:
        assert site.wait_for_error()["message"] == "No metrics at localhost: not an address: 'localhost'"
        assert scrape_port(site.port, "/metrics/").sum("processes") == 1


def test_a_port_that_can_not_be_had_is_logged(tmp_path: Path, site: Site, own_port: int) -> None:
    site.ask("/common/plain/")  # it serves now, and has the port
    other = tmp_path / "other"
    other.mkdir()
    settings = {**SETTINGS, "WEBSOCKET_METRICS_ADDRESS": f"127.0.0.1:{own_port}"}
    with serve_site(other, settings=settings) as second:
        assert second.wait_for_error()["message"].startswith(f"No metrics at 127.0.0.1:{own_port}: ")
        assert scrape_port(second.port, "/metrics/").sum("processes") == 1


# Four workers


@pytest.fixture
def four(tmp_path: Path, own_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gunicorn]:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "shared"))
    settings = {**SETTINGS, "WEBSOCKET_METRICS_ADDRESS": f"127.0.0.1:{own_port}"}
    with serving(tmp_path, "--graceful-timeout", f"{deadline(4):.0f}", settings=settings, workers=4) as server:
        wait_until(lambda: scrape_port(own_port).sum("processes") == 4, 20, "four workers serve")
        yield server


def test_four_workers_and_what_those_left_that_have_gone(four: Gunicorn, own_port: int, tmp_path: Path) -> None:
    def scrape() -> Scraped:
        return scrape_port(own_port)

    (tmp_path / "shared" / "counter_0.db").touch()  # as a process makes it that has just begun
    with load(four.port) as members:
        wait_until_right(scrape)
        assert wait_until_right(lambda: scrape_port(four.port, "/metrics/")).sum("processes") == 4
        # A worker that is killed can't say goodbye: what it counted stays, what was open is open no more.
        first, *others = sorted(four.workers())
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(four.workers() - {first}) == 4, 20, "its successor")
        wait_until(lambda: scrape().sum("processes") == 4, 20, "four workers serve")
        lost = [member for member in members if is_closed(member)]
        wait_until_right(scrape, SOCKETS - len(lost))
        # Those that leave in an orderly way count to the end.
        for pid in others:
            os.kill(pid, signal.SIGTERM)
        for member in members:
            if member not in lost:
                assert member.frame()[1][:2] == b"\x03\xf4"  # 1012
                member.close()
        wait_until(lambda: not four.workers() & set(others), 20, "they have left")
        wait_until(lambda: scrape().sum("processes") == 4, 20, "four workers serve")
        scraped = wait_until_right(scrape, 0)
        assert scraped.sum("closed_total", route=MEMBER) == SOCKETS - len(lost)
        assert scraped.sum("view_seconds_count", route=MEMBER) == SOCKETS - len(lost)


def test_workers_that_share_no_listener_share_the_port_of_the_metrics(
    tmp_path: Path, own_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "shared"))
    settings = {**SETTINGS, "WEBSOCKET_METRICS_ADDRESS": f"127.0.0.1:{own_port}"}
    with serving(tmp_path, "--reuse-port", settings=settings, workers=2):
        wait_until(lambda: scrape_port(own_port).sum("processes") == 2, 20, "two workers serve")
        assert "No metrics" not in (tmp_path / "log").read_text()


def is_closed(member: RawSocket) -> bool:
    sock = member.sock
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        sock.settimeout(deadline(20))


def test_several_workers_that_share_nothing_tell_nothing(
    tmp_path: Path, own_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with serving(tmp_path, settings=SETTINGS, workers=2) as server:
        assert server.get("/metrics/")[0] == 500
    assert '"ImproperlyConfigured"' in (tmp_path / "log").read_text()
