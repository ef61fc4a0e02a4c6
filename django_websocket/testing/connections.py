"""The database connections of a view under test: those of the test, inside its open transaction."""

from __future__ import annotations

from collections.abc import Mapping

import greenlet
from django.db import connections

from ..database import ConnectionLoan, refuse_nested_block, release_connections
from ..websocket import WebSocket

__all__ = ["SharedConnections", "atomic_depths"]


def atomic_depths() -> dict[str, int]:
    """How many atomic blocks the caller is in, for each database."""
    return {connection.alias: len(connection.atomic_blocks) for connection in connections.all()}


class SharedConnections(ConnectionLoan):
    """Lets the view use the test's connections for its whole life, whether or not the process is patched.

    On a server a view has connections of its own once it has accepted. A test's view must see what the test wrote in a
    transaction that is never committed, and is in one thread with it.
    """

    __slots__ = ("_depths", "_depths_in_test", "_shared", "greenlet")

    def __init__(self, depths_in_test: Mapping[str, int]) -> None:
        """``depths_in_test``: of atomic blocks, when the handshake began (see :func:`atomic_depths`)."""
        super().__init__()
        self._shared = connections.all()
        self._depths_in_test = depths_in_test
        self._depths = depths_in_test
        self.greenlet: greenlet.greenlet | None = None
        """The view's, once it runs."""

    def take(self) -> None:
        """In the view's greenlet: use the test's connections."""
        self.greenlet = greenlet.getcurrent()
        self._depths = atomic_depths()
        if self.is_separate:
            self._taken = True
            for connection in self._shared:
                connection.inc_thread_sharing()
                connections[connection.alias] = connection

    def give_back(self, *, accepting: bool = False) -> None:
        """Raises TransactionManagementError where :meth:`.ConnectionLoan.give_back` does; keeps them otherwise."""
        if not accepting:
            self._return()
            return
        for alias, depth in atomic_depths().items():
            if depth > self._depths[alias] > self._depths_in_test[alias]:
                refuse_nested_block(alias)

    def collect(self) -> None:
        """Do nothing: the view keeps its connections."""

    def accepted(self, websocket: WebSocket) -> None:
        """In the view's greenlet: release idle connections as the server does."""
        self._websocket = websocket
        websocket.release_database = self._release_idle

    def _release_idle(self) -> None:
        release_connections()
        if self._websocket is not None:
            self._websocket.release_database = self._release_idle

    def end(self) -> None:
        """In the view's greenlet: return the connections, still open, to the test."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.release_database = None
        self._return()

    def _return(self) -> None:
        if self._taken:
            self._taken = False
            for connection in self._shared:
                connection.dec_thread_sharing()
                del connections[connection.alias]
