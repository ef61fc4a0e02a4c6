"""What is shown of an open websocket, and by what it is sorted."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..sessions import session_watch
from ..websocket import WebSocket

__all__ = ["COLUMNS", "Column", "describe", "haystack", "user_id_of"]

MAX_TEXT = 200
"""Characters that are shown of a text."""

MAX_GROUPS = 5
"""Names of groups that are shown of one websocket."""


@dataclass(frozen=True)
class Column:
    """One column of the table; clicking its head sorts by it."""

    name: str
    label: str
    value: Callable[[WebSocket], Any]
    """What it is sorted by: always a text, or always a number."""
    is_text: bool = False
    is_time: bool = False
    """Whether that is the opposite of a time on the process's own clock, which no other process has."""


def path_of(websocket: WebSocket) -> str:
    """Without the query string: people put tokens there."""
    return websocket.path.partition("?")[0][:MAX_TEXT]


def user_id_of(websocket: WebSocket) -> str:
    """The primary key as a text; empty where nobody has logged in, or nobody has asked who."""
    user_id = websocket.visitor.user_id
    if user_id is None:
        user_id = session_watch.user_id(websocket)
    return "" if user_id is None else str(user_id)


def user_of(websocket: WebSocket) -> str:
    """The name, or at least the primary key."""
    if name := websocket.visitor.user_name:
        return name[:MAX_TEXT]
    user_id = user_id_of(websocket)
    return f"#{user_id}" if user_id else ""


def address_of(websocket: WebSocket) -> str:
    """The client's address, behind proxies that WEBSOCKET_TRUSTED_PROXIES names, too."""
    driver = websocket.driver
    return websocket.visitor.address or ("" if driver is None else driver.peer_host or driver.peer)


def _opened(websocket: WebSocket) -> float:
    """So that the youngest comes first, as its age is the smallest."""
    return 0.0 if websocket.driver is None else -websocket.driver.opened


def _bytes_received(websocket: WebSocket) -> int:
    return 0 if websocket.driver is None else websocket.driver.bytes_received


def _bytes_sent(websocket: WebSocket) -> int:
    return 0 if websocket.driver is None else websocket.driver.bytes_sent


def _latency(websocket: WebSocket) -> float:
    latency = websocket.latency
    return -1.0 if latency is None else latency


COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("path", "Path", lambda websocket: path_of(websocket).casefold(), is_text=True),
        Column("view", "View", lambda websocket: websocket.view_name[:MAX_TEXT].casefold(), is_text=True),
        Column("user", "User", lambda websocket: user_of(websocket).casefold(), is_text=True),
        Column("address", "Address", address_of, is_text=True),
        Column("age", "Open for", _opened, is_time=True),
        Column("received", "Messages in", lambda websocket: websocket.connection.messages_received),
        Column("sent", "Messages out", lambda websocket: websocket.connection.messages_sent),
        Column("bytes_received", "Bytes in", _bytes_received),
        Column("bytes_sent", "Bytes out", _bytes_sent),
        Column("latency", "Latency", _latency),
        Column("buffered", "Buffered", lambda websocket: websocket.buffered_amount),
        Column("groups", "Groups", lambda websocket: len(websocket.groups)),
    )
}


def haystack(websocket: WebSocket) -> str:
    """What a search looks through."""
    parts = (path_of(websocket), websocket.view_name, user_of(websocket), address_of(websocket), *websocket.groups)
    return "\n".join(parts).casefold()


def describe(websocket: WebSocket) -> dict[str, Any]:
    """One row, as JSON can hold it. Times in seconds, sizes in bytes."""
    driver = websocket.driver
    assert driver is not None, "it is open"
    return {
        "path": path_of(websocket),
        "view": websocket.view_name[:MAX_TEXT],
        "user": user_of(websocket),
        "user_id": user_id_of(websocket),
        "address": address_of(websocket),
        "age": round(driver.seconds_open, 3),
        "received": websocket.connection.messages_received,
        "sent": websocket.connection.messages_sent,
        "bytes_received": driver.bytes_received,
        "bytes_sent": driver.bytes_sent,
        "latency": driver.latency,
        "buffered": driver.buffered_amount,
        "groups": [name[:MAX_TEXT] for name in websocket.groups[:MAX_GROUPS]],
        "more_groups": max(len(websocket.groups) - MAX_GROUPS, 0),
        "closing": websocket.closed,
        "pid": os.getpid(),
    }
