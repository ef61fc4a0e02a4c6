"""A little of what ``python -m tests.fuzz.proxies`` does for long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.deadlines import deadline

from .fronts import FRONTS, echo_server
from .heads import mutated
from .proxies import compare_behind_proxies, compare_with_h11, tally
from .readings import disagreement

SEED = 20


@pytest.mark.timeout(300)
def test_proxies_and_we_see_the_same_requests(program: Callable[..., str], tmp_path: Path) -> None:
    program("nginx")
    program("haproxy")
    findings = compare_behind_proxies(150, SEED, tmp_path)
    assert not findings.problems, findings.report()
    for name in FRONTS:
        # Each kind occurs: what the proxy refuses, what a view saw, and websockets.
        assert findings.counts[f"{name}: 400 {name.partition('-')[0]}"], findings.report()
        assert findings.counts[f"{name}: 200 view"], findings.report()
        assert findings.counts[f"{name}: 101 websocket"], findings.report()


def test_h11_reads_what_we_read() -> None:
    findings = compare_with_h11(3000, SEED)
    assert not findings.problems, findings.report()
    assert findings.counts["h11: we read, h11 read"] > 500


def test_a_request_that_no_proxy_made_is_told(tmp_path: Path) -> None:
    with echo_server("secret", tmp_path / "log") as port:
        opener = build_opener(ProxyHandler({}))
        opener.open(f"http://127.0.0.1:{port}/smuggled/", timeout=deadline(30)).close()
        (odd,) = tally(port, "secret")["odd"]
    assert odd["problems"] == ["no proxy made this request"]
    assert odd["request"]["PATH_INFO"] == "/smuggled/"


def test_a_mutant_can_be_made_again() -> None:
    assert [mutated(number, SEED).wire() for number in range(50)] == [
        mutated(number, SEED).wire() for number in range(50)
    ]
    assert mutated(1, SEED).wire() != mutated(1, SEED + 1).wire()


def test_a_disagreement_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    assert disagreement(wire) == ("we read, h11 read", None)
    monkeypatch.setattr("tests.fuzz.readings.read_by_h11", lambda wire: "refused")
    assert disagreement(wire)[1] is not None
