"""Waits for a client and for groups at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from ..websocket import WebSocket
from .events import new_event
from .subscription import Subscription

__all__ = ["wait_any"]


def wait_any(*sources: WebSocket | Subscription, timeout: float | None = None) -> tuple[Any, Any]:
    """Wait until one of ``sources`` has a message; return the source and the message.

    ``sources`` are subscriptions, and one websocket at most::

        with Group("room.42").subscribe() as room:
            while True:
                source, message = wait_any(request.websocket, room)
                if message is None:
                    break
                ...

    The message is None if the source is closed. If several have some, one of them is taken at random, so that none
    starves. Raises TimeoutError if nothing comes within ``timeout`` seconds, and what :meth:`.WebSocket.wait` and
    :meth:`.Subscription.wait` raise.
    """
    websockets = [source for source in sources if isinstance(source, WebSocket)]
    subscriptions = [source for source in sources if isinstance(source, Subscription)]
    if not sources or len(websockets) > 1 or len(websockets) + len(subscriptions) != len(sources):
        raise TypeError("wait_any takes subscriptions, and one websocket at most")
    if websockets:
        return _wait_with_client(websockets[0], subscriptions, timeout)
    return _wait(subscriptions, timeout)


def _ready(subscriptions: list[Subscription]) -> Subscription | None:
    """One that has a message, or is closed."""
    for subscription in random.sample(subscriptions, len(subscriptions)):
        if subscription.has_messages() or subscription.closed:
            return subscription
    return None


def _wait_with_client(
    websocket: WebSocket, subscriptions: list[Subscription], timeout: float | None
) -> tuple[Any, Any]:
    if websocket.driver is None:
        websocket.accept()
    driver = websocket.driver
    assert driver is not None, "it was accepted"
    channel = driver.channel
    if not channel.in_own_thread():
        result: tuple[Any, Any] = channel.call(_wait_with_client, websocket, subscriptions, timeout)
        return result
    if websocket.connection.messages and random.random() < 1 / (len(subscriptions) + 1):
        return websocket, websocket.wait()
    end = None if timeout is None else channel.clock() + timeout

    def is_ready() -> bool:
        return any(subscription.is_ready for subscription in subscriptions)

    for subscription in subscriptions:
        subscription.add_waker(driver.wake)
    try:
        while True:
            if (ready := _ready(subscriptions)) is not None:
                driver.took_message()
                return ready, ready.read()
            if websocket.connection.messages or websocket.closed:
                return websocket, websocket.wait()
            if not websocket.wait_until(is_ready, None if end is None else end - channel.clock()):
                raise TimeoutError(f"no message within {timeout} seconds")
    finally:
        for subscription in subscriptions:
            subscription.remove_waker(driver.wake)


def _wait(subscriptions: list[Subscription], timeout: float | None) -> tuple[Any, Any]:
    end = None if timeout is None else time.monotonic() + timeout
    timed_out = False
    while (ready := _ready(subscriptions)) is None:
        left = None if end is None else max(end - time.monotonic(), 0)
        if timed_out or left == 0:
            raise TimeoutError(f"no message within {timeout} seconds")
        event = new_event()
        wakers: list[Callable[[], None]] = [event.set] * len(subscriptions)
        for subscription, waker in zip(subscriptions, wakers, strict=True):
            subscription.add_waker(waker)
        try:
            if not any(subscription.is_ready for subscription in subscriptions):
                timed_out = not event.wait(left)
        finally:
            for subscription, waker in zip(subscriptions, wakers, strict=True):
                subscription.remove_waker(waker)
    return ready, ready.read()
