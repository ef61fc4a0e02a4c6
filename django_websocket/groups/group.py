"""A group of websockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.http import HttpRequest, StreamingHttpResponse
from django.template.loader import render_to_string

from ..close_codes import CloseCode
from ..exceptions import GroupsUnavailable
from ..home import at_home
from ..protocol.frames import close_payload
from ..websocket import WebSocket
from .config import DEFAULT_TTL, History
from .event_stream import HEARTBEAT, event_stream
from .message import CLOSE, JSON, GroupMessage
from .names import check_name
from .position import parse_position
from .receivers import Joined, receivers
from .subscription import Subscription

__all__ = ["MAX_INFO_SIZE", "Group", "leave_groups"]

MAX_INFO_SIZE = 1024
"""Bytes of JSON that a member's info may have."""

P = ParamSpec("P")
T = TypeVar("T")


def _homely(method: Callable[Concatenate[Group, P], T]) -> Callable[Concatenate[Group, P], T]:
    """Have a method run in the server's thread, wherever it is called."""

    def call(self: Group, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return at_home(method, self, *args, **kwargs)
        except ConnectionAbortedError as error:
            raise GroupsUnavailable("the server has stopped") from error

    return update_wrapper(call, method)


class Group:
    """All websockets that have joined the group ``name``, in whatever process; any code may send to them.

    A group needs no creation: two objects with the same name stand for the same group. A name consists of up to 200
    ASCII letters, digits and ``-_.:@/=+,~``. Raises ValueError for another.

    ``history`` keeps the last so many messages, until none has come for ``history_ttl`` seconds (a day); HISTORY in
    ``WEBSOCKET_GROUPS`` does that for all code that uses the group, which has to agree.
    """

    __slots__ = ("_history", "name")

    def __init__(self, name: str, *, history: int | None = None, history_ttl: float = DEFAULT_TTL) -> None:
        self.name = check_name(name)
        """Its name."""
        self._history = None if history is None else History(history, history_ttl)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Group) and self.name == other.name

    def __hash__(self) -> int:
        return hash((Group, self.name))

    @property
    def history(self) -> History | None:
        """What is kept, by this object or by ``WEBSOCKET_GROUPS``; None if nothing is."""
        return self._history or receivers.config.history_of(self.name)

    # Sending

    def send(self, message: object, *, exclude: WebSocket | None = None, on_commit: bool = False) -> None:
        """Send a message to every member, except to ``exclude``.

        ``str`` is sent as text, bytes-like objects as binary, anything else as the text ``str(message)``. The messages
        of one sender arrive in order. With ``on_commit`` it is sent once the open transaction of the default database
        is committed, and not at all if that is rolled back; an error is then only logged, because the commit stands.

        The views of members are not woken, and a member that doesn't read holds up nobody: it is closed with 1013 once
        more than ``WEBSOCKET_MAX_OUTBOX`` bytes wait for it. Blocks while a large part of what was sent before still
        waits for the processor, and for the answer of Redis, where that carries the messages.

        Raises :exc:`.GroupsUnavailable` if there is none.
        """
        self._send(GroupMessage.of(self.name, message, _address(exclude)), on_commit)

    def send_json(self, obj: Any, *, exclude: WebSocket | None = None, on_commit: bool = False) -> None:
        """Send ``obj`` as JSON text, with Django's encoder, as :meth:`send` does. Raises TypeError if it can't be."""
        body = json.dumps(obj, cls=DjangoJSONEncoder).encode()
        self._send(GroupMessage(self.name, JSON, body, _address(exclude)), on_commit)

    def send_template(
        self,
        template_name: str | Sequence[str],
        context: Mapping[str, Any] | None = None,
        *,
        exclude: WebSocket | None = None,
        on_commit: bool = False,
    ) -> None:
        """Render a template once, and send it to every member as :meth:`send` does: a fragment of HTML for htmx, say.

        It is rendered at once, with ``on_commit``, too, and without a request, whose user is not that of other members.
        Raises what :func:`~django.template.loader.render_to_string` and :meth:`send` raise.
        """
        text = render_to_string(template_name, None if context is None else dict(context))
        self.send(text, exclude=exclude, on_commit=on_commit)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close every member's websocket. Raises ValueError as :meth:`.WebSocket.close` does, and as :meth:`send`."""
        close_payload(code, reason)
        self._publish(GroupMessage(self.name, CLOSE, f"{int(code)} {reason}".encode()), None)

    def _send(self, message: GroupMessage, on_commit: bool) -> None:
        if on_commit:
            transaction.on_commit(partial(self._publish, message, self.history), robust=True)
        else:
            self._publish(message, self.history)

    @_homely
    def _publish(self, message: GroupMessage, history: History | None) -> None:
        receivers.publish(message, history)

    # Receiving

    @_homely
    def subscribe(self, *, since: str | None = None, presence: bool = False, messages: bool = True) -> Subscription:
        """Return a :class:`.Subscription` to the messages from now on, or behind the position ``since``.

        With ``presence`` it gets a :class:`.Notice` of each member with an info that joins, leaves, or gets another
        info; with ``messages=False`` nothing else. Works in any process, without a server, too. Raises
        :exc:`.GroupsUnavailable`.
        """
        return Subscription(self, self.history, since, presence=presence, messages=messages)

    def event_stream(
        self, request: HttpRequest, *, since: str | None = None, heartbeat: float = HEARTBEAT
    ) -> StreamingHttpResponse:
        """Return a response that sends the messages as server-sent events, for the browser's ``EventSource``.

        It begins behind the position in the header ``Last-Event-ID``, or else behind ``since``. It sends a comment
        after ``heartbeat`` seconds without a message, holds no database connection while it waits, and ends with the
        session. On a server without green threads it occupies one of its threads. Raises :exc:`.GroupsUnavailable`.
        """
        return event_stream(request, self, since, heartbeat)

    # Members

    @_homely
    def count(self) -> int:
        """The number of members. Raises :exc:`.GroupsUnavailable`."""
        return receivers.backend.count(self.name)

    @_homely
    def members(self) -> list[Any]:
        """The ``info`` of each member, None where it gave none; those of one process in the order of their joining.

        Raises :exc:`.GroupsUnavailable`.
        """
        return receivers.backend.members(self.name)

    def add(self, websocket: WebSocket, info: Any = None, since: str | None = None) -> Joined:
        """Make an open websocket a member: what :meth:`.WebSocket.join` does."""
        position = None if since is None else parse_position(since)
        return receivers.join(self.name, websocket, _checked(info), position, self.history)

    def discard(self, websocket: WebSocket) -> None:
        """What :meth:`.WebSocket.leave` does."""
        receivers.leave(self.name, websocket)


def leave_groups(websocket: WebSocket) -> None:
    """End all memberships of ``websocket``, whose view has ended."""
    receivers.leave_all(websocket)


def _address(websocket: WebSocket | None) -> str | None:
    return None if websocket is None else receivers.address(websocket)


def _checked(info: Any) -> Any:
    """A copy of ``info`` that nobody changes. Raises TypeError unless it is JSON, ValueError if it is too large."""
    if info is None:
        return None
    text = json.dumps(info, cls=DjangoJSONEncoder)
    if len(text) > MAX_INFO_SIZE:
        raise ValueError(f"the info of a member may take {MAX_INFO_SIZE} bytes as JSON, not {len(text)}")
    return json.loads(text)


WebSocket.group_class = Group
