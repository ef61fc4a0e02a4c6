"""How many handshakes a client may begin: decided as soon as a request's head is read, before anything costs more."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from ...addresses import Network, client_block, is_within
from ...exceptions import RefusalReason
from ...quiet_log import quiet_log
from ...rates import MAX_KEYS, Amount, KeyedRate
from ...refusals import is_handshake, report_refusal
from .head import Head, Refusal

__all__ = ["HandshakeGate"]

ANSWERED = Amount(10, 1.0)
"""Refusals that one address gets an answer to. An answer takes three times as long as closing the connection unread,
and everybody else waits for it."""

SHUT_OUT_SECONDS = 1.0
"""For how long an address that went on nevertheless is shut out."""

_VARIABLES = {
    b"upgrade": "HTTP_UPGRADE",
    b"sec-websocket-key": "HTTP_SEC_WEBSOCKET_KEY",
    b"x-forwarded-for": "HTTP_X_FORWARDED_FOR",
}


class HandshakeGate:
    """Lets ``amount`` handshakes pass of each address; see :func:`.client_block` for ``trusted`` proxies."""

    def __init__(self, amount: Amount, trusted: Iterable[Network], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = KeyedRate(amount, clock)
        self._answers = KeyedRate(ANSWERED, clock)
        self._trusted = tuple(trusted)
        self._shut_out: OrderedDict[str, float] = OrderedDict()
        """Until when; those that were shut out last are at the end."""

    def shuts_out(self, peer: str) -> bool:
        """Whether a connection that was just accepted from ``peer`` is to be closed unread."""
        if not self._shut_out:
            return False
        block = client_block(peer, "", ())
        if self._clock() >= self._shut_out.get(block, 0.0) or is_within(peer, self._trusted):
            return False
        quiet_log.warn(f"Closed a connection of address {block} unread: it goes on beginning handshakes")
        report_refusal(RefusalReason.HANDSHAKE_RATE, 0)
        return True

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
        if self._answers.take(block):
            self._shut_out_peer(peer)
        quiet_log.warn(f"Refused a handshake of address {block}, which begins too many (429)")
        return Refusal(429, "Too many handshakes.", retry_after=math.ceil(seconds))

    def _shut_out_peer(self, peer: str) -> None:
        if not peer or is_within(peer, self._trusted):
            return  # a proxy, which has other clients
        now = self._clock()
        block = client_block(peer, "", ())
        self._shut_out[block] = now + SHUT_OUT_SECONDS
        self._shut_out.move_to_end(block)
        while (oldest := next(iter(self._shut_out))) != block:
            if self._shut_out[oldest] > now and len(self._shut_out) <= MAX_KEYS:
                break
            del self._shut_out[oldest]
