"""What a limit on descriptors leaves for connections; that a server heeds it is tested with the server."""

from __future__ import annotations

import resource
import sys

import pytest

from django_websocket.descriptor_limit import (
    SPARE_DESCRIPTORS,
    cap_to_descriptors,
    count_spare_descriptors,
    hard_limit,
    raise_to_hard_limit,
)


@pytest.mark.parametrize(
    ("wanted", "limit", "connections"),
    [
        (20_000, sys.maxsize, 20_000),
        (20_000, 20_000 + SPARE_DESCRIPTORS, 20_000),
        (20_000, 20_000, 20_000 - SPARE_DESCRIPTORS),
        (20_000, 2 * SPARE_DESCRIPTORS, SPARE_DESCRIPTORS),
        (20_000, 10, 5),
        (20_000, 1, 1),
    ],
)
def test_connections_leave_descriptors_to_the_rest(wanted: int, limit: int, connections: int) -> None:
    assert cap_to_descriptors(wanted, limit) == connections


def test_no_limit_is_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda which: unlimited)
    assert hard_limit() == raise_to_hard_limit() == count_spare_descriptors(100) == sys.maxsize


def test_a_limit_that_may_not_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (1000, 2000))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_to_hard_limit() == 1000
    assert count_spare_descriptors(900) == 100
    assert count_spare_descriptors(1100) == 0
