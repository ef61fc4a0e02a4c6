"""A message of a group: what it says, how backends carry it, and what clients get.

Members of a group without history get the bare message. Where messages have positions, clients get an envelope, a JSON
text::

    {"group": "room.42", "position": "k3v9.17", "message": "hello"}

``message`` is the string that was sent, or the value that was sent by ``send_json``. Binary messages have their bytes
in base64 as ``bytes`` instead. A client that connects again passes the last position as ``since``.

Backends carry bytes: a line of ASCII with the kind, the position and the excluded member (each ``-`` if there is none),
then the body.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from ..protocol.shared import SharedMessage
from .position import Position, parse_position

__all__ = ["BINARY", "CLIENT_KINDS", "CLOSE", "JOINED", "JSON", "LEFT", "NOTICES", "TEXT", "GroupMessage"]

TEXT = "t"
JSON = "j"
BINARY = "b"
CLOSE = "c"
"""Close the members' websockets; the body is the code, a space, and the reason."""
JOINED = "+"
"""A member has joined; the body is its info, as JSON."""
LEFT = "-"

CLIENT_KINDS = frozenset((TEXT, JSON, BINARY))
"""What members get."""

NOTICES = frozenset((JOINED, LEFT))
"""What only who asks for it gets."""


class GroupMessage:
    """One message: what backends carry."""

    __slots__ = ("_shared", "body", "exclude", "group", "kind", "position")

    def __init__(
        self, group: str, kind: str, body: bytes, exclude: str | None = None, position: Position | None = None
    ) -> None:
        self.group = group
        """The group's name."""
        self.kind = kind
        """One letter: text, JSON, binary, close, joined or left."""
        self.body = body
        """Its content, encoded."""
        self.exclude = exclude
        """The address of the member that doesn't get it: its process and its number there."""
        self.position = position
        """Its place in the history; None in a group without."""
        self._shared: SharedMessage | None = None

    @classmethod
    def of(cls, group: str, message: object, exclude: str | None = None) -> GroupMessage:
        """``message`` as :meth:`.WebSocket.send` takes it. Raises UnicodeEncodeError for lone surrogates."""
        if isinstance(message, (bytes, bytearray, memoryview)):
            return cls(group, BINARY, bytes(message), exclude)
        return cls(group, TEXT, str(message).encode(), exclude)

    @property
    def is_for_clients(self) -> bool:
        """Whether members get it, rather than only who asked for notices."""
        return self.kind in CLIENT_KINDS

    @property
    def content(self) -> str | bytes:
        """What was sent: ``bytes`` if it is binary, else ``str``."""
        return self.body if self.kind == BINARY else self.body.decode()

    @property
    def info(self) -> Any:
        """The info of who has joined or left."""
        return json.loads(self.body)

    @property
    def envelope(self) -> str:
        """The JSON text that carries it together with its position."""
        head = f'{{"group": "{self.group}"'
        if self.position is not None:
            head += f', "position": "{self.position}"'
        if self.kind == BINARY:
            return f'{head}, "bytes": "{base64.b64encode(self.body).decode()}"}}'
        body = self.body.decode()
        return f'{head}, "message": {body if self.kind == JSON else json.dumps(body)}}}'

    @property
    def shared(self) -> SharedMessage:
        """The frame that members get."""
        shared = self._shared
        if shared is None:
            shared = self._shared = SharedMessage(self.content if self.position is None else self.envelope)
        return shared

    def encode(self) -> bytes:
        """What a backend carries."""
        return f"{self.kind} {self.position or '-'} {self.exclude or '-'}\n".encode() + self.body

    @classmethod
    def decode(cls, group: str, data: bytes) -> GroupMessage:
        """The reverse of :meth:`encode`. Raises ValueError."""
        head, separator, body = data.partition(b"\n")
        fields = head.decode("ascii").split(" ")
        if not separator or len(fields) != 3:
            raise ValueError(f"not a message of a group: {data[:50]!r}")
        kind, position, exclude = fields
        return cls(
            group,
            kind,
            body,
            None if exclude == "-" else exclude,
            None if position == "-" else parse_position(position),
        )
