"""Database connections of websocket views.

``django.db.connections`` is thread-local, hence greenlet-local on a patched server, and a view has a greenlet of its
own. Until it accepts it is still part of its request, so it borrows the request's connections: a query before the
accept is in the transaction of ATOMIC_REQUESTS and commits or rolls back with it. After the accept the view opens its
own, which are released when a wait lasts ``WEBSOCKET_RELEASE_DB_AFTER`` seconds and when the view ends.
"""

from __future__ import annotations

import _thread
from typing import Any, NoReturn
from weakref import WeakSet

import greenlet
from django.db import InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError

from .websocket import WebSocket

__all__ = ["ConnectionLoan", "close_opened", "refuse_nested_block", "release_connections"]

_loans: dict[int, ConnectionLoan] = {}
"""The loans of the greenlets that run views, by thread ident, which Django uses to tell threads apart."""

_openers: WeakSet[greenlet.greenlet] = WeakSet()
"""The greenlets that have opened database connections. Reading Django's thread-locals instead would create an entry
for every greenlet, which takes longer than most of a handshake."""


def _depth(connection: BaseDatabaseWrapper) -> int:
    return len(connection.atomic_blocks)


class ConnectionLoan:
    """The connections of a request, lent to its view's greenlet; those that the view opens become the request's.

    Created and collected in the request's greenlet; the other methods are called in the view's. Where Django sees both
    as one thread (no monkey patching, as in tests) there is nothing to lend.
    """

    __slots__ = ("_has_opened", "_kept", "_lent", "_opened", "_owner", "_taken", "_websocket")

    def __init__(self) -> None:
        self._owner = _thread.get_ident()
        self._lent: dict[str, tuple[BaseDatabaseWrapper, int]] = {
            connection.alias: (connection, _depth(connection)) for connection in connections.all(initialized_only=True)
        }
        if self._lent:
            _openers.add(greenlet.getcurrent())  # it closes lent connections that the view connects
        self._taken = False
        self._has_opened = False
        self._opened: tuple[BaseDatabaseWrapper, ...] = ()
        self._kept: tuple[str, ...] = ()
        self._websocket: WebSocket | None = None

    @property
    def is_separate(self) -> bool:
        """Whether the calling greenlet has its own database connections."""
        return _thread.get_ident() != self._owner

    def take(self) -> None:
        """In the view's greenlet: use the request's connections."""
        if not self.is_separate:
            return
        for alias, (connection, _) in self._lent.items():
            connection.inc_thread_sharing()
            connections[alias] = connection
        self._taken = True
        _loans[_thread.get_ident()] = self

    def give_back(self, *, accepting: bool = False) -> None:
        """In the view's greenlet: return the request's connections to the request.

        A connection on which the view itself has opened an atomic block stays with the view when it accepts. If that
        block is nested in one of the request (ATOMIC_REQUESTS), raises TransactionManagementError: they can't be
        separated.
        """
        if not self._taken:
            return
        if accepting:
            for alias, (connection, depth) in self._lent.items():
                if depth and _depth(connection) > depth:
                    refuse_nested_block(alias)
        self._taken = False
        if not accepting:
            del _loans[_thread.get_ident()]
        if self._lent or self._has_opened:
            self._give_back(accepting)

    def _give_back(self, accepting: bool) -> None:
        here = connections.all(initialized_only=True)
        self._has_opened = False
        for connection in here:
            if connection.alias in self._lent:
                continue
            if accepting and connection.in_atomic_block:
                self._has_opened = True
                continue
            connection.inc_thread_sharing()
            del connections[connection.alias]
            self._opened += (connection,)
        for alias, (connection, depth) in self._lent.items():
            if (accepting and _depth(connection) > depth) or connection not in here:
                # The latter was kept by a view that ran within this one, in its own greenlet.
                self._kept += (alias,)
                self._has_opened = True
                continue
            connection.dec_thread_sharing()
            del connections[alias]
        self._lent.clear()

    def collect(self) -> None:
        """In the request's greenlet: take over what the view has opened, and drop what it has kept."""
        for alias in self._kept:
            del connections[alias]
        outer = _loans.get(_thread.get_ident())  # set if the request's greenlet is itself a view's
        for connection in self._opened:
            connections[connection.alias] = connection
            _openers.add(greenlet.getcurrent())
            if outer is not None:
                outer.opened(connection)
        self._kept = self._opened = ()

    def accepted(self, websocket: WebSocket) -> None:
        """In the view's greenlet: its connections now belong to ``websocket``, including any that it kept."""
        if not self.is_separate:
            return
        self._websocket = websocket
        _loans[_thread.get_ident()] = self
        if self._has_opened:
            for connection in connections.all(initialized_only=True):
                self.opened(connection)

    def opened(self, connection: BaseDatabaseWrapper) -> None:
        """In the view's greenlet: it has opened ``connection``, which is released during a long wait."""
        self._has_opened = True
        if self._websocket is not None:
            self._websocket.release_database = self._release_idle
            if _close_if_unusable not in connection.execute_wrappers:
                connection.execute_wrappers.append(_close_if_unusable)

    def _release_idle(self) -> None:
        """Release the view's connections during a long wait."""
        release_connections()
        if self._websocket is not None and any(map(_in_transaction, connections.all(initialized_only=True))):
            self._websocket.release_database = self._release_idle  # try again during the next wait

    def end(self) -> None:
        """In the view's greenlet: end the loan, and close the view's connections."""
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            websocket.release_database = None  # it refers to this loan
        if _loans.pop(_thread.get_ident(), None) is not None and self._has_opened:
            release_connections(final=True)


def refuse_nested_block(alias: str) -> NoReturn:
    """Raise TransactionManagementError for a view that accepts inside a nested atomic block."""
    raise TransactionManagementError(
        f"can't accept the websocket inside an atomic block on {alias!r} nested in that of its request "
        "(ATOMIC_REQUESTS): leave the inner block first, or call accept() before it"
    )


def release_connections(*, final: bool = False) -> None:
    """Close this greenlet's connections, or return them to their pool.

    Those inside a transaction stay open, except in the ``final`` call at the end of a view.
    """
    for connection in connections.all(initialized_only=True):
        if final or not _in_transaction(connection):
            connection.close()


def close_opened() -> None:
    """Close the connections that this greenlet has opened; called at its end."""
    if greenlet.getcurrent() in _openers:
        connections.close_all()


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether the view has a transaction open on the connection, by atomic() or with autocommit off."""
    return connection.in_atomic_block or (connection.connection is not None and not connection.autocommit)


def _connection_opened(connection: Any, **kwargs: Any) -> None:
    _openers.add(greenlet.getcurrent())
    loan = _loans.get(_thread.get_ident())
    if loan is not None:
        loan.opened(connection)


def _close_if_unusable(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Close the connection if a query finds it unusable, so that the next query reconnects.

    Django does this at the end of a request, but a websocket view may run for days.
    """
    try:
        return execute(sql, params, many, context)
    except (InterfaceError, OperationalError):
        connection = context["connection"]
        if connection.autocommit and not connection.is_usable():
            connection.close()
        raise


connection_created.connect(_connection_opened, dispatch_uid="django_websocket.database")
