"""A group of websockets."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from ..close_codes import CloseCode
from ..protocol.frames import close_payload
from ..protocol.shared import SharedMessage
from ..websocket import WebSocket
from .members import members
from .names import check_name

__all__ = ["MAX_INFO_SIZE", "Group", "leave_groups"]

MAX_INFO_SIZE = 1024
"""Bytes of JSON that a member's info may have."""


class Group:
    """All websockets that have joined the group ``name``; any code of the process may send to them.

    A group needs no creation: two objects with the same name stand for the same group. A name consists of up to 200
    ASCII letters, digits and ``-_.:@/=+,~``. Raises ValueError for another.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = check_name(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and self.name == other.name

    def __hash__(self) -> int:
        return hash((Group, self.name))

    def send(self, message: object, *, exclude: WebSocket | None = None, on_commit: bool = False) -> None:
        """Send a message to every member, except to ``exclude``.

        ``str`` is sent as text, bytes-like objects as binary, anything else as the text ``str(message)``. The messages
        of one sender arrive in order. With ``on_commit`` it is sent once the open transaction of the default database
        is committed, and not at all if that is rolled back.

        The views of members are not woken, and a member that doesn't read holds up nobody: it is closed with 1013 once
        more than ``WEBSOCKET_MAX_OUTBOX`` bytes wait for it. Blocks only while a large part of what was sent before
        still waits for the processor.
        """
        shared = SharedMessage(message)
        if on_commit:
            transaction.on_commit(partial(members.send, self.name, shared, exclude))
        else:
            members.send(self.name, shared, exclude)

    def send_json(self, obj: Any, *, exclude: WebSocket | None = None, on_commit: bool = False) -> None:
        """Send ``obj`` as JSON text, with Django's encoder, as :meth:`send` does. Raises TypeError if it can't be."""
        self.send(json.dumps(obj, cls=DjangoJSONEncoder), exclude=exclude, on_commit=on_commit)

    def count(self) -> int:
        """The number of members."""
        return members.count(self.name)

    def members(self) -> list[Any]:
        """The ``info`` of each member, None where it gave none, in the order in which they joined."""
        return members.infos(self.name)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close every member's websocket. Raises ValueError as :meth:`.WebSocket.close` does."""
        close_payload(code, reason)
        members.close(self.name, code, reason)

    def add(self, websocket: WebSocket, info: Any = None) -> None:
        """Make an open websocket a member: what :meth:`.WebSocket.join` does."""
        members.join(self.name, websocket, _checked(info))

    def discard(self, websocket: WebSocket) -> None:
        """What :meth:`.WebSocket.leave` does."""
        members.leave(self.name, websocket)


def leave_groups(websocket: WebSocket) -> None:
    """End all memberships of ``websocket``, whose view has ended."""
    members.leave_all(websocket)


def _checked(info: Any) -> Any:
    """A copy of ``info`` that nobody changes. Raises TypeError unless it is JSON, ValueError if it is too large."""
    if info is None:
        return None
    text = json.dumps(info, cls=DjangoJSONEncoder)
    if len(text) > MAX_INFO_SIZE:
        raise ValueError(f"the info of a member may take {MAX_INFO_SIZE} bytes as JSON, not {len(text)}")
    return json.loads(text)


WebSocket.group_class = Group
