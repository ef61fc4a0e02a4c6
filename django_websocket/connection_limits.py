"""How many websockets an address, and a user, may have open at a time.

A websocket counts from before its view runs until its socket is closed, or its handshake ends without one. This process
counts its own; where groups have a backend that several processes share, those of the others count, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from django.http import HttpRequest

from .addresses import client_block, parse_networks
from .conf import get_setting
from .exceptions import HandshakeError, RefusalReason
from .groups.backend import Backend, SharedCounts
from .groups.receivers import receivers
from .quiet_log import quiet_log
from .registry import SocketObserver, registry
from .visitor import one_line
from .websocket import WebSocket

__all__ = ["ConnectionLimits", "connection_limits"]


class _Limit(NamedTuple):
    key: str
    maximum: int
    reason: RefusalReason


class ConnectionLimits(SocketObserver):
    """Counts the websockets of this process. Belongs to the scheduler's thread."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        """By key; never 0."""
        self._keys: dict[WebSocket, list[str]] = {}
        """What each websocket that a limit concerns is counted under."""
        self._backend: Backend | None = None
        self._shared: SharedCounts | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Websockets by ``ip:`` and an address, and by ``user:`` and a primary key."""
        return self._counts

    def take(self, websocket: WebSocket, request: HttpRequest) -> None:
        """Count a websocket from now on, until :meth:`give_back`, or until it is closed; the second time do nothing.

        Raises :exc:`HandshakeError` (429), and counts nothing, if its address or its user has enough of them.
        """
        limits = list(_limits(request))
        if not limits or websocket in self._keys:
            return
        for limit in limits:
            if self._counts.get(limit.key, 0) >= limit.maximum:
                raise _refusal(limit)
        keys = self._keys[websocket] = [limit.key for limit in limits]
        for key in keys:
            self._counts[key] = self._counts.get(key, 0) + 1
        try:
            for limit, others in zip(limits, self._count_others(keys), strict=False):
                if self._counts[limit.key] + others > limit.maximum:
                    raise _refusal(limit)
        except BaseException:  # the request may be killed while it waits
            self.give_back(websocket)
            raise

    def give_back(self, websocket: WebSocket) -> None:
        """Count it no more; does nothing if it doesn't count."""
        keys = self._keys.pop(websocket, None)
        if keys is None:
            return
        for key in keys:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
        if self._shared is not None:
            self._shared.record(keys)

    def socket_closed(self, websocket: WebSocket) -> None:
        self.give_back(websocket)

    def _count_others(self, keys: list[str]) -> list[int]:
        """What other processes have; nothing if that can't be known."""
        try:
            backend = receivers.backend
            if backend is not self._backend:
                self._shared = backend.share_counts(self._counts)
                self._backend = backend
            return (self._shared is not None and self._shared.count(keys)) or []
        except Exception as error:
            # No limit is worth a site that can't be reached.
            quiet_log.warn(f"Could not count the websockets of other processes: {error}")
            return []

    def forget(self) -> None:
        """In a forked child: they are the parent's."""
        self._counts.clear()
        self._keys.clear()
        self._backend = self._shared = None


def _limits(request: HttpRequest) -> Iterator[_Limit]:
    per_ip: int | None = get_setting("WEBSOCKET_MAX_CONNECTIONS_PER_IP")
    if per_ip is not None:
        meta = request.META
        trusted = parse_networks(get_setting("WEBSOCKET_TRUSTED_PROXIES"))
        block = client_block(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), trusted)
        if block:
            yield _Limit(f"ip:{block}", per_ip, RefusalReason.IP_LIMIT)
        else:
            quiet_log.warn_of_nobody()
    per_user: int | None = get_setting("WEBSOCKET_MAX_CONNECTIONS_PER_USER")
    if per_user is not None:
        user = getattr(request, "user", None)
        if user is not None and user.is_authenticated:
            yield _Limit(f"user:{user.pk}", per_user, RefusalReason.USER_LIMIT)


def _refusal(limit: _Limit) -> HandshakeError:
    kind, _, name = limit.key.partition(":")
    who = "address" if kind == "ip" else kind
    quiet_log.warn(f"Refused a websocket of {who} {one_line(name)}, which has {limit.maximum} (429)")
    return HandshakeError(429, f"too many websockets of one {who}", kind=limit.reason)


connection_limits = ConnectionLimits()
"""Those of this process."""
registry.subscribe(connection_limits)
os.register_at_fork(after_in_child=connection_limits.forget)
