"""Handshakes past their rate are refused as soon as their head is read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_websocket.addresses import parse_networks
from django_websocket.quiet_log import quiet_log
from django_websocket.rates import Amount
from django_websocket.serving.http.handshake_gate import HandshakeGate
from django_websocket.serving.http.head import Head, approve_head
from tests.deadlines import deadline, wait_until
from tests.site.running import Site, serve_site


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    quiet_log.flush(final=True)  # what another test has said
    yield
    quiet_log.flush(final=True)


def head(*headers: str, upgrade: str = "Upgrade: websocket") -> Head:
    lines = ["GET / HTTP/1.1", "Host: a", "Connection: Upgrade", upgrade, *headers, "", ""]
    approved = approve_head("\r\n".join(lines).encode())
    assert isinstance(approved, Head)
    return approved


def make_gate(*trusted: str) -> HandshakeGate:
    return HandshakeGate(Amount(2, 10.0), parse_networks(trusted), lambda: 1000.0)


def statuses(gate: HandshakeGate, peer: str, *heads: Head) -> list[int]:
    refusals = [gate.refuse(head, peer) for head in heads]
    return [101 if refusal is None else refusal.status for refusal in refusals]


def test_an_address_begins_so_many() -> None:
    gate = make_gate()
    assert statuses(gate, "203.0.113.7", *[head()] * 4) == [101, 101, 429, 429]
    assert statuses(gate, "203.0.113.8", head()) == [101]
    refusal = gate.refuse(head(), "203.0.113.7")
    assert refusal is not None
    assert refusal.retry_after == 5


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_that_goes_on_is_shut_out_for_a_second() -> None:
    clock = Clock()
    gate = HandshakeGate(Amount(2, 10.0), parse_networks(["10.0.0.1"]), clock)
    assert statuses(gate, "203.0.113.7", *[head()] * 12) == [101, 101] + [429] * 10
    assert not gate.shuts_out("203.0.113.7"), "so many get an answer"
    assert statuses(gate, "203.0.113.7", head()) == [429]
    assert gate.shuts_out("203.0.113.7")
    assert not gate.shuts_out("203.0.113.8")
    clock.now += 0.99
    assert gate.shuts_out("203.0.113.7")
    clock.now += 0.01
    assert not gate.shuts_out("203.0.113.7")


def test_the_whole_network_is_shut_out() -> None:
    gate = make_gate()
    statuses(gate, "2001:db8::1", *[head()] * 13)
    assert gate.shuts_out("2001:db8::2")
    assert not gate.shuts_out("2001:db8:0:1::1")


@pytest.mark.parametrize("peer", ["10.0.0.1", ""])
def test_a_proxy_is_never_shut_out(peer: str) -> None:
    gate = make_gate("10.0.0.1")
    assert statuses(gate, peer, *[head("X-Forwarded-For: 203.0.113.7")] * 50)[2:] == [429] * 48
    assert not gate.shuts_out(peer)
    statuses(gate, peer, *[head()] * 50)
    assert not gate.shuts_out(peer), "though it begins handshakes of its own"


def test_a_proxy_is_not_shut_out_for_its_neighbours() -> None:
    gate = make_gate("fd00::1")
    statuses(gate, "fd00::2", *[head()] * 13)
    assert gate.shuts_out("fd00::2")
    assert not gate.shuts_out("fd00::1")


def test_who_was_shut_out_is_forgotten() -> None:
    clock = Clock()
    gate = HandshakeGate(Amount(1, 1.0), (), clock)
    for number in range(3):
        statuses(gate, f"203.0.113.{number}", *[head()] * 12)
    assert len(gate._shut_out) == 3
    clock.now += 5
    statuses(gate, "203.0.113.9", *[head()] * 12)
    assert list(gate._shut_out) == ["203.0.113.9"]


def test_a_network_of_64_bits_counts_as_one() -> None:
    gate = make_gate()
    assert statuses(gate, "2001:db8::1", head()) == [101]
    assert statuses(gate, "2001:db8::2", head()) == [101]
    assert statuses(gate, "2001:db8::3", head()) == [429]
    assert statuses(gate, "2001:db8:0:1::3", head()) == [101]


def test_other_requests_are_not_counted() -> None:
    page = head(upgrade="Accept: text/html")
    assert statuses(make_gate(), "203.0.113.7", *[page] * 5, head(), head(), page, head()) == [101] * 8 + [429]


def test_a_handshake_without_upgrade_counts() -> None:
    stripped = head("Sec-WebSocket-Key: x", upgrade="Accept: text/html")
    assert statuses(make_gate(), "203.0.113.7", stripped, stripped, stripped) == [101, 101, 429]


def test_what_the_client_says_of_itself_is_no_matter() -> None:
    forged = [head(f"X-Forwarded-For: 198.51.100.{number}") for number in range(4)]
    assert statuses(make_gate("10.0.0.1"), "203.0.113.7", *forged) == [101, 101, 429, 429]
    forged = [head(f"X-Forwarded-For: 198.51.100.{number}", "X-Forwarded-For: 203.0.113.7") for number in range(4)]
    assert statuses(make_gate("10.0.0.1"), "10.0.0.1", *forged) == [101, 101, 429, 429]
    assert statuses(make_gate(), "", *forged) == [101, 101, 429, 429]


def test_behind_a_proxy_clients_are_told_apart() -> None:
    clients = [head(f"X-Forwarded-For: 203.0.113.{number}") for number in range(4)]
    assert statuses(make_gate("10.0.0.1"), "10.0.0.1", *clients) == [101] * 4


def test_who_can_not_be_told_from_others_is_let_in_and_noted(caplog: pytest.LogCaptureFixture) -> None:
    assert statuses(make_gate(), "", *[head()] * 4) == [101] * 4
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
    answers = [site.shake_hands("/common/echo/") for _ in range(10)]
    assert {answer.status for answer in answers} == {429}
    assert 1100 < int(answers[-1].headers["Retry-After"]) <= 1200
    assert answers[-1].headers["Connection"] == "close"
    assert site.journal() == [], "no middleware saw a handshake"
    assert site.ask("/common/plain/").status == 200
    told: list[str] = []

    def are_told() -> bool:
        told.extend(entry["message"] for entry in site.take_records() if entry["logger"] == "tests.refusals")
        return len(told) >= 10

    wait_until(are_told, 5, "each is told")
    assert told == ["handshake_rate 429 None"] * 10


def test_the_log_says_so_once(site: Site) -> None:
    for _ in range(12):
        site.shake_hands("/common/echo/")
    log: list[str] = []

    def is_logged() -> bool:
        log.extend(entry["message"] for entry in site.take_log("WARNING"))
        return bool(log)

    wait_until(is_logged, 10)
    assert log == ["Refused a handshake of address 127.0.0.1, which begins too many (429)"]


def test_a_flood_is_closed_unread(site: Site) -> None:
    request = b"GET /common/echo/ HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n"
    answers: list[bytes] = []

    def is_shut_out() -> bool:
        with socket.create_connection(("127.0.0.1", site.port), deadline(10), ("127.0.0.9", 0)) as sock:
            try:
                sock.sendall(request)
                answers.append(sock.recv(100)[9:12])
            except (BrokenPipeError, ConnectionResetError):
                answers.append(b"")
        return answers[-1] == b""

    wait_until(is_shut_out, 10, "it goes on")
    assert answers.count(b"429") >= 10
    assert site.ask("/common/plain/").status == 200, "others are served"
    messages: list[str] = []

    def is_logged() -> bool:
        messages.extend(entry["message"] for entry in site.take_log("WARNING"))
        return "Closed a connection of address 127.0.0.9 unread: it goes on beginning handshakes" in messages

    wait_until(is_logged, 10)
