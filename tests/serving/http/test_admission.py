"""Handshakes past their rate are refused as soon as their head is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from django_websocket.addresses import parse_networks
from django_websocket.quiet_log import quiet_log
from django_websocket.rates import Amount
from django_websocket.serving.http.admission import Admission
from django_websocket.serving.http.head import Head, approve_head
from tests.deadlines import wait_until
from tests.site.running import Site, serve_site


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    yield
    quiet_log.flush(final=True)


def head(*headers: str, upgrade: str = "Upgrade: websocket") -> Head:
    lines = ["GET / HTTP/1.1", "Host: a", "Connection: Upgrade", upgrade, *headers, "", ""]
    approved = approve_head("\r\n".join(lines).encode())
    assert isinstance(approved, Head)
    return approved


def admission(*trusted: str) -> Admission:
    return Admission(Amount(2, 10.0), parse_networks(trusted), lambda: 1000.0)


def statuses(admission: Admission, peer: str, *heads: Head) -> list[int]:
    refusals = [admission.refuse(head, peer) for head in heads]
    return [101 if refusal is None else refusal.status for refusal in refusals]


def test_an_address_begins_so_many() -> None:
    gate = admission()
    assert statuses(gate, "203.0.113.7", *[head()] * 4) == [101, 101, 429, 429]
    assert statuses(gate, "203.0.113.8", head()) == [101]
    refusal = gate.refuse(head(), "203.0.113.7")
    assert refusal is not None
    assert refusal.retry_after == 5


def test_a_network_of_64_bits_counts_as_one() -> None:
    gate = admission()
    assert statuses(gate, "2001:db8::1", head()) == [101]
    assert statuses(gate, "2001:db8::2", head()) == [101]
    assert statuses(gate, "2001:db8::3", head()) == [429]
    assert statuses(gate, "2001:db8:0:1::3", head()) == [101]


def test_other_requests_are_not_counted() -> None:
    page = head(upgrade="Accept: text/html")
    assert statuses(admission(), "203.0.113.7", *[page] * 5, head(), head(), page, head()) == [101] * 8 + [429]


def test_a_handshake_without_upgrade_counts() -> None:
    stripped = head("Sec-WebSocket-Key: x", upgrade="Accept: text/html")
    assert statuses(admission(), "203.0.113.7", stripped, stripped, stripped) == [101, 101, 429]


def test_what_the_client_says_of_itself_is_no_matter() -> None:
    forged = [head(f"X-Forwarded-For: 198.51.100.{number}") for number in range(4)]
    assert statuses(admission("10.0.0.1"), "203.0.113.7", *forged) == [101, 101, 429, 429]
    forged = [head(f"X-Forwarded-For: 198.51.100.{number}", "X-Forwarded-For: 203.0.113.7") for number in range(4)]
    assert statuses(admission("10.0.0.1"), "10.0.0.1", *forged) == [101, 101, 429, 429]
    assert statuses(admission(), "", *forged) == [101, 101, 429, 429]


def test_behind_a_proxy_clients_are_told_apart() -> None:
    clients = [head(f"X-Forwarded-For: 203.0.113.{number}") for number in range(4)]
    assert statuses(admission("10.0.0.1"), "10.0.0.1", *clients) == [101] * 4


def test_who_can_not_be_told_from_others_is_let_in_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    assert statuses(admission(), "", *[head()] * 4) == [101] * 4
    assert len(caplog.messages) == 1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve_site(tmp_path, settings={"WEBSOCKET_HANDSHAKE_RATE": "3/h"}) as site:
        yield site


def test_a_server_refuses_before_anything_runs(site: Site) -> None:
    site.ask("/common/plain/")
    site.journal()
    for _ in range(3):
        with site.connect("/common/echo/"):
            pass
    site.journal()
    site.take_log("INFO")
    answers = [site.shake_hands("/common/echo/") for _ in range(20)]
    assert {answer.status for answer in answers} == {429}
    assert 1100 < int(answers[-1].headers["Retry-After"]) <= 1200
    assert answers[-1].headers["Connection"] == "close"
    assert site.journal() == [], "no middleware saw a handshake"
    assert site.ask("/common/plain/").status == 200
    log: list[tuple[str, str]] = []

    def is_logged() -> bool:
        for level in ("INFO", "WARNING"):
            log.extend((entry["logger"], entry["message"]) for entry in site.take_log(level))
        return len(log) >= 20

    wait_until(is_logged, 5, "each is told")
    assert [message for name, message in log if name == "tests.refusals"] == ["handshake_rate 429 None"] * 20


def test_the_log_says_so_once(site: Site) -> None:
    for _ in range(30):
        site.shake_hands("/common/echo/")
    log: list[str] = []

    def is_logged() -> bool:
        log.extend(entry["message"] for entry in site.take_log("WARNING"))
        return bool(log)

    wait_until(is_logged, 10)
    assert log == ["Refused a handshake of address 127.0.0.1, which begins too many (429)"]
