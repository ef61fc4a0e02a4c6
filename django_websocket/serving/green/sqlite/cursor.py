"""Cursors whose statements wait for locks without blocking the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from .probes import met_a_lock
from .queues import queues
from .statements import Kind, busy_timeout, kind_of, statements_of

__all__ = ["GreenCursor", "green_cursor_class"]

_execute = sqlite3.Cursor.execute
_executemany = sqlite3.Cursor.executemany
_fetchall = sqlite3.Cursor.fetchall


class GreenCursor(sqlite3.Cursor):
    """A cursor whose statements wait for locks."""

    connection: Any
    """The GreenConnection that created it; typed Any, since importing that class would be circular."""
    _rows: Iterator[Any] | None = None
    """The remaining rows, if all were fetched in advance."""
    _changes: int | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> GreenCursor:
        if self._rows is not None or self._changes is not None:
            self._rows = self._changes = None
        if sql[:6] != "SELECT":
            return self._execute(sql, parameters)
        connection = self.connection
        try:
            _execute(self, sql, parameters)
        except sqlite3.OperationalError as error:
            if not met_a_lock(error):
                raise
            connection.wait(lambda: _execute(self, sql, parameters), error, may_deadlock=False)
        if connection.in_transaction:
            connection.may_hold_lock = True
        return self

    def _execute(self, sql: str, parameters: Any) -> GreenCursor:
        connection = self.connection
        kind = kind_of(sql)
        if kind is Kind.OTHER and (asked := busy_timeout(sql)) is not None:
            sql = f"SELECT {connection.change_timeout(*asked)} AS timeout"
        try:
            if kind is Kind.CHANGE:
                self._change(sql, parameters)
            elif kind is Kind.SCHEMA or kind is Kind.LOCK:
                connection.run_in_turn(lambda: _execute(self, sql, parameters))
            else:
                try:
                    _execute(self, sql, parameters)
                except sqlite3.OperationalError as error:
                    if not met_a_lock(error):
                        raise
                    may_deadlock = kind is not Kind.READ and kind is not Kind.COMMIT
                    connection.wait(lambda: _execute(self, sql, parameters), error, may_deadlock=may_deadlock)
        except sqlite3.Error as error:
            if not (isinstance(error, sqlite3.OperationalError) and met_a_lock(error)):
                connection.may_hold_lock = True
            raise
        finally:
            if not connection.in_transaction:
                connection.released()
        if kind is not Kind.MARK and connection.in_transaction:
            connection.may_hold_lock = True
        return self

    def _change(self, sql: str, parameters: Any) -> None:
        connection = self.connection
        if connection.in_transaction or not connection.commits_by_itself:
            connection.run_in_turn(lambda: _execute(self, sql, parameters))
            return
        if not (queues and connection.must_queue()):
            try:
                self._run_whole(sql, parameters)
            except sqlite3.OperationalError as error:
                if connection.timeout <= 0 or not met_a_lock(error):
                    raise
            else:
                return
        connection.run_in_transaction(lambda: self._run_whole(sql, parameters))

    def _run_whole(self, sql: str, parameters: Any) -> None:
        """Run a statement outside any transaction to completion."""
        _execute(self, sql, parameters)
        if self.description is not None:
            self._rows = iter(_fetchall(self))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> GreenCursor:
        self._rows = self._changes = None
        connection = self.connection
        try:
            if connection.in_transaction or not connection.commits_by_itself:
                # Only the first row can meet a lock.
                left = _Rewindable(parameters)
                connection.run_in_turn(lambda: _executemany(self, sql, left.again()))
            else:
                # Each row is a transaction of its own.
                changes = None
                for row in parameters:
                    self._change_many(sql, row)
                    changes = (changes or 0) + super().rowcount
                if changes is None:
                    _executemany(self, sql, ())  # raises if the statement is invalid
                self._changes = changes
        finally:
            if not connection.in_transaction:
                connection.released()
            else:
                connection.may_hold_lock = True
        return self

    def _change_many(self, sql: str, row: Any) -> None:
        connection = self.connection
        if not (queues and connection.must_queue()):
            try:
                _executemany(self, sql, (row,))
            except sqlite3.OperationalError as error:
                if connection.timeout <= 0 or not met_a_lock(error):
                    raise
            else:
                return
        connection.run_in_transaction(lambda: _executemany(self, sql, (row,)))

    def executescript(self, sql_script: Any, /) -> GreenCursor:
        if not isinstance(sql_script, str):
            super().executescript(sql_script)  # raises
        connection = self.connection
        level = connection.isolation_level
        if connection.has_legacy_control:
            if connection.in_transaction:
                connection.commit()
            connection.isolation_level = None  # statements of a script don't open transactions implicitly
        try:
            for statement in statements_of(sql_script):
                self._execute(statement, ())
                if self.description is not None:
                    self.fetchall()
                self._rows = self._changes = None
        finally:
            if connection.has_legacy_control and level is not None:
                connection.isolation_level = level
        return self

    def fetchone(self) -> Any:
        return super().fetchone() if self._rows is None else next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        size = self.arraysize if size is None else size
        return super().fetchmany(size) if self._rows is None else list(islice(self._rows, size))

    def fetchall(self) -> list[Any]:
        return super().fetchall() if self._rows is None else list(self._rows)

    def __next__(self) -> Any:
        return super().__next__() if self._rows is None else next(self._rows)

    def close(self) -> None:
        self._rows = self._changes = None
        super().close()

    @property
    def rowcount(self) -> int:
        return super().rowcount if self._changes is None else self._changes


class _Rewindable:
    """An iterable of rows that can be restarted at the row yielded last."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = iter(rows)
        self._given: list[Any] = []

    def again(self) -> Iterator[Any]:
        while True:
            if not self._given:
                self._given.extend(islice(self._rows, 1))
            if not self._given:
                return
            yield self._given[0]
            self._given.clear()


@lru_cache(maxsize=64)
def green_cursor_class(factory: Any) -> Any:
    """``factory`` combined with GreenCursor; its own methods take precedence.

    Anything but a cursor class is returned unchanged, for sqlite3 to check.
    """
    if factory is sqlite3.Cursor:
        return GreenCursor
    if not (isinstance(factory, type) and issubclass(factory, sqlite3.Cursor)) or issubclass(factory, GreenCursor):
        return factory
    return type(
        factory.__name__, (factory, GreenCursor), {"__module__": factory.__module__, "__doc__": factory.__doc__}
    )
