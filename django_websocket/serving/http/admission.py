"""How many handshakes a client may begin: decided as soon as a request's head is read, before anything costs more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from ...addresses import Network, client_block
from ...quiet_log import quiet_log
from ...rates import Amount, KeyedRate
from ...refusals import is_handshake
from .head import Head, Refusal

__all__ = ["Admission"]

_VARIABLES = {
    b"upgrade": "HTTP_UPGRADE",
    b"sec-websocket-key": "HTTP_SEC_WEBSOCKET_KEY",
    b"x-forwarded-for": "HTTP_X_FORWARDED_FOR",
}


class Admission:
    """Lets ``amount`` handshakes pass of each address; see :func:`.client_block` for ``trusted`` proxies."""

    def __init__(self, amount: Amount, trusted: Iterable[Network], clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = KeyedRate(amount, clock)
        self._trusted = tuple(trusted)

    def refuse(self, head: Head, peer: str) -> Refusal | None:
        """Refuse a handshake from ``peer`` that is one too many; None for all others, and for other requests."""
        sent: dict[str, str] = {}
        for name, value in head.headers:
            if (variable := _VARIABLES.get(name)) is not None:
                text = value.decode("latin-1")
                sent[variable] = f"{sent[variable]},{text}" if variable in sent else text
        if not is_handshake(sent):
            return None
        block = client_block(peer, sent.get("HTTP_X_FORWARDED_FOR", ""), self._trusted)
        if not block:
            quiet_log.warn_of_nobody()
            return None
        seconds = self._rate.take(block)
        if not seconds:
            return None
        quiet_log.warn(f"Refused a handshake of address {block}, which begins too many (429)")
        return Refusal(429, "Too many handshakes.", retry_after=math.ceil(seconds))
