"""The hub of eventlet."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from django_websocket.compat.eventlet import hub_survives_exits
from django_websocket.serving.patch import eventlet
from tests.deadlines import deadline

EXITS = [SystemExit, KeyboardInterrupt]


@pytest.fixture(autouse=True)
def a_limit() -> Iterator[None]:
    with eventlet.Timeout(deadline(10)):
        yield


@pytest.mark.parametrize("kind", EXITS)
def test_the_hub_survives_a_timer_that_exits(kind: type[BaseException], capfd: pytest.CaptureFixture[str]) -> None:
    def end() -> None:
        raise kind("on purpose")

    hub = eventlet.hubs.get_hub()
    with hub_survives_exits(hub):
        hub.schedule_call_global(0, end)
        eventlet.sleep(0.01)
    assert f"{kind.__name__}: on purpose" in capfd.readouterr().err


@pytest.mark.parametrize("kind", EXITS)
def test_the_hub_survives_a_greenlet_that_exits_as_soon_as_a_descriptor_is_ready(
    kind: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()

    def wait_and_end() -> None:
        eventlet.hubs.trampoline(reader, read=True)
        raise kind("on purpose")

    with hub_survives_exits(eventlet.hubs.get_hub()):
        eventlet.spawn_n(wait_and_end)
        eventlet.sleep(0)
        os.write(writer, b"x")
        told = ""
        while f"{kind.__name__}: on purpose" not in told:
            eventlet.sleep(0.01)
            told += capfd.readouterr().err
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("kind", EXITS)
def test_afterwards_the_hub_ends_as_before(kind: type[BaseException]) -> None:
    hub = eventlet.hubs.get_hub()
    with hub_survives_exits(hub):
        pass

    def end() -> None:
        raise kind("on purpose")

    hub.schedule_call_global(0, end)
    with pytest.raises(kind):
        eventlet.sleep(0.01)
