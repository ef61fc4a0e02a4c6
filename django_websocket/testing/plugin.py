"""The pytest plugin: the fixture ``ws_client``, and no websocket outlives its test.

It is imported by every pytest run in an environment where this package is installed, so it imports nothing early.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client import WebSocketClient

__all__ = ["ws_client"]


@pytest.fixture
def ws_client() -> Iterator[WebSocketClient]:
    """A :class:`~django_websocket.testing.WebSocketClient`: Django's test client, which can also open websockets."""
    from .client import WebSocketClient
    from .groups import groups_in_memory

    with groups_in_memory():
        yield WebSocketClient()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Close what the test left open, before its fixtures end; fail if there was any."""
    try:
        result = yield
    except BaseException:
        try:
            _close_forgotten()
        except AssertionError:
            pass  # the test has failed before
        raise
    _close_forgotten()
    return result


def _close_forgotten() -> None:
    world = sys.modules.get("django_websocket.testing.world")
    if world is not None:
        world.close_forgotten()
