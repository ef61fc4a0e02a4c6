"""Accepts connections on one listening socket."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...compat.python import accept_connection
from ..green import eventlet

if TYPE_CHECKING:
    import socket
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["Acceptor"]

logger = logging.getLogger("django_websocket.server")

PAUSE = 0.2
"""Seconds to stop accepting when the process or the system is out of descriptors or memory. Connections stay in the
kernel's queue meanwhile; polling on would be a busy loop."""

# Errors of accept(2) that concern the new connection, not the listener: "Linux accept() passes already-pending
# network errors on the new socket as an error code from accept()".
CONNECTION_ERRORS = frozenset(
    (
        errno.ECONNABORTED,
        errno.ECONNRESET,
        errno.EPROTO,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.ETIMEDOUT,
    )
)


class Acceptor:
    """Accepts connections on ``listener`` in a hub callback and passes each to ``take(socket, address)``.

    At most ``batch`` are accepted at a time. Unlike an accepting greenlet, a permanent hub listener needs no two
    epoll_ctl calls per wake-up and can't be killed. Neither a failing connection nor a lack of descriptors stops it.
    """

    def __init__(self, listener: socket.socket, take: Callable[[socket.socket, Any], None], batch: int) -> None:
        self._listener = listener
        self._take = take
        self._batch = batch
        self._hub: Any = None
        self._registration: Any = None
        self._timer: Any = None
        self._failing = False
        self._closed = False

    def fileno(self) -> int:
        """The listener's descriptor, -1 once it is closed."""
        return self._listener.fileno()

    def start(self) -> None:
        """Start accepting on the calling thread's hub."""
        self._hub = eventlet.hubs.get_hub()
        self._timer = None
        if not self._closed:
            self._registration = self._hub.add(
                self._hub.READ, self._listener.fileno(), self._on_readable, _ignore, _ignore
            )

    def close(self, *, accept_pending: bool) -> None:
        """Stop listening. With ``accept_pending``, first accept up to a batch of connections already queued."""
        if self._closed:
            return
        self._pause()
        if accept_pending:
            for _ in range(self._batch):
                if not self._accept():
                    break
        self._closed = True
        self._listener.close()

    def _on_readable(self, _fd: int) -> None:
        if self._closed:
            return  # in the same turn of the hub
        self._failing, was_failing = False, self._failing
        for _ in range(self._batch):
            if not self._accept(quiet=was_failing):
                break

    def _accept(self, *, quiet: bool = False) -> bool:
        """Accept one connection; False if none can be accepted now."""
        try:
            fd, address = accept_connection(self._listener)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno in CONNECTION_ERRORS:
                return True
            self._back_off(error, quiet)
            return False
        sock: socket.socket | None = None
        try:
            sock = socket.socket(self._listener.family, self._listener.type, self._listener.proto, fileno=fd)
            eventlet.hubs.notify_opened(fd)
            sock.setblocking(False)
            self._take(sock, address)
        except Exception as error:
            if sock is None:
                os.close(fd)
            else:
                sock.close()
            # An OSError means that the client reset the connection before it was accepted.
            if not isinstance(error, OSError):
                self._back_off(error, quiet)
                return False
        return True

    def _back_off(self, error: Exception, quiet: bool) -> None:
        """Pause accepting; log it unless ``quiet``."""
        self._failing = True
        if not quiet:
            # In a greenlet: a log handler may wait for a lock, which the hub must not.
            eventlet.spawn_n(logger.error, "cannot accept connections: %s; retrying every %s s", error, PAUSE)
        if self._hub is not None and not self._closed:
            self._pause()
            self._timer = self._hub.schedule_call_global(PAUSE, self.start)

    def _pause(self) -> None:
        if self._registration is not None:
            self._hub.remove(self._registration)
            self._registration = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _ignore(*_: object) -> None:
    """The hub reports that the descriptor was closed elsewhere; nothing to clean up."""
