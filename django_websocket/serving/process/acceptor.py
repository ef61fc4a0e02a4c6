"""Accepts connections from one listening socket, for as long as the server runs."""

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
"""Seconds without accepting when the process or the system is out of descriptors or memory. The connections
wait in the kernel's queue meanwhile, and epoll would report them in a busy loop."""

# What accept(2) reports of the connection rather than of the listener: "Linux accept() passes already-pending
# network errors on the new socket as an error code from accept()".
OF_THE_CONNECTION = frozenset(
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
    """Takes connections off ``listener`` in a callback on the hub and gives each to ``take(socket,
    address)``.

    A listener that stays on the hub saves two epoll_ctl calls for each wake-up of a greenlet that would do
    the same, and can't be killed. Nothing that goes wrong with a connection, nor a lack of descriptors, ends
    it.
    """

    def __init__(self, listener: socket.socket, take: Callable[[socket.socket, Any], None], batch: int) -> None:
        self._listener = listener
        self._take = take
        self._batch = batch
        self._hub: Any = None
        self._registration: Any = None
        self._timer: Any = None
        self._troubled = False
        self._closed = False

    def start(self) -> None:
        """Begin to accept, on the hub of the calling thread."""
        self._hub = eventlet.hubs.get_hub()
        self._timer = None
        if not self._closed:
            self._registration = self._hub.add(
                self._hub.READ, self._listener.fileno(), self._on_readable, _ignore, _ignore
            )

    def close(self, *, last_round: bool) -> None:
        """Stop listening at once; with ``last_round`` the connections that the kernel completed are still
        taken.
        """
        if self._closed:
            return
        self._pause()
        if last_round:
            for _ in range(self._batch):
                if not self._accept():
                    break
        self._closed = True
        self._listener.close()

    def _on_readable(self, _fd: int) -> None:
        self._troubled, troubled = False, self._troubled
        for _ in range(self._batch):
            if not self._accept(quiet=troubled):
                break

    def _accept(self, *, quiet: bool = False) -> bool:
        """Take one connection; False if there is none to be had now."""
        try:
            fd, address = accept_connection(self._listener)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno in OF_THE_CONNECTION:
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
            # An OSError is a client that was reset before we came to it.
            if not isinstance(error, OSError):
                self._back_off(error, quiet)
                return False
        return True

    def _back_off(self, error: Exception, quiet: bool) -> None:
        """Accept nothing for a while, and say so once."""
        self._troubled = True
        if not quiet:
            # From a greenlet: a log handler may wait for a lock, and the hub can't.
            eventlet.spawn_n(logger.error, "cannot accept connections: %s; trying again every %s s", error, PAUSE)
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
    """The hub's word that the listener's descriptor was closed elsewhere: there is nothing to clean up."""
