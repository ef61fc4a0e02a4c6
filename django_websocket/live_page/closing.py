"""Closes websockets of this process on somebody's order, and logs who ordered it and why."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..close_codes import CloseCode
from ..groups.process import process_id
from ..protocol.frames import close_payload
from ..registry import registry
from ..visitor import one_line
from ..websocket import WebSocket
from .columns import MAX_TEXT, address_of, path_of, user_id_of, user_of

__all__ = ["CLOSE_CODE", "Order", "carry_out"]

logger = logging.getLogger("django_websocket")

CLOSE_CODE = CloseCode.POLICY_VIOLATION
"""RFC 6455, section 7.4.1: "a generic status code that can be returned when there is no other more suitable"."""

SLICE = 100
"""Websockets that are closed in one go; then others may run."""


@dataclass(frozen=True)
class Order:
    """To close one websocket or all of a user."""

    reason: str
    """For the clients and for the log."""
    by: str
    """Who ordered it."""
    websocket: tuple[str, int] | None = None
    """Its process and its number there."""
    user: str | None = None
    """The user's primary key, as a text."""

    @classmethod
    def parse(cls, data: object, by: str | None = None) -> Order:
        """The order that JSON ``data`` stands for, given by ``by`` or as it says. Raises ValueError."""
        if not isinstance(data, Mapping):
            raise ValueError("not an order")
        reason, websocket, user = data.get("reason"), data.get("websocket"), data.get("user")
        by = data.get("by") if by is None else by
        if not isinstance(reason, str) or not reason.strip() or not isinstance(by, str):
            raise ValueError("an order needs a reason")
        reason = " ".join(reason.split())  # one line in the log
        close_payload(CLOSE_CODE, reason)
        if websocket is not None and user is None:
            match websocket:
                case [str(process), int(number)]:
                    return cls(reason, by, (process, number))
        elif isinstance(user, str) and user and websocket is None:
            return cls(reason, by, user=user[:MAX_TEXT])
        raise ValueError("an order names a websocket or a user")

    def to_json(self) -> dict[str, Any]:
        """What :meth:`parse` takes."""
        return asdict(self)

    def concerns(self, websocket: WebSocket) -> bool:
        """Whether it is to be closed."""
        if self.websocket is not None:
            return self.websocket == (process_id(), websocket.number)
        return user_id_of(websocket) == self.user


def carry_out(order: Order) -> int:
    """Close what ``order`` names in this process; return how many that were. Lets others run if there are many."""
    chosen = [one for one in registry if not one.closed and order.concerns(one)]
    for start in range(0, len(chosen), SLICE):
        if start:
            time.sleep(0)
        for websocket in chosen[start : start + SLICE]:
            websocket.close(CLOSE_CODE, order.reason)
    if chosen:
        one = chosen[0]
        what = f"websocket {path_of(one)}" if len(chosen) == 1 else f"{len(chosen)} websockets"
        whose = one_line(user_of(one) or address_of(one))
        logger.warning("%s closed %s of %s: %s", one_line(order.by), what, whose, order.reason)
    return len(chosen)
