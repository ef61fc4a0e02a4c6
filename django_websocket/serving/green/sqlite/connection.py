"""``sqlite3`` connections that wait for locks without blocking the process.

Python's ``sqlite3`` leaves the wait to SQLite (``timeout``, ``PRAGMA busy_timeout``), which blocks the operating system
thread. So SQLite's own timeout is set to 0, and whatever meets a lock is retried here. This must be done exactly where
SQLite itself would wait:

* A statement that finds the file locked has done nothing, so it may be retried if it is the first of its transaction.
  If the transaction has already read and now wants to write, it fails at once: the writer it meets waits for it to end.
* A ``COMMIT`` that meets readers leaves the transaction open. A single statement in autocommit mode is rolled back
  instead, so after meeting a lock it is rerun in a transaction of its own, whose commit can be retried.
* ``INSERT ... RETURNING`` outside a transaction commits when its last row is fetched. So its rows are fetched at once:
  the lock is not held until the caller gets around to it, and fetching can't fail later.

Other errors with the same code (``cannot commit transaction - SQL statements in progress``) are recognized by their
text.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal, TypeVar

from .. import hub_thread
from . import probes, queues
from .cursor import GreenCursor, green_cursor_class
from .probes import met_a_lock

__all__ = ["GreenConnection", "install"]

T = TypeVar("T")

LEGACY = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", -1)
FACTORY = 5
"""Index of ``factory`` among the positional parameters of ``connect``."""

_connect = sqlite3.connect
_blobopen = sqlite3.Connection.blobopen
_commit = sqlite3.Connection.commit
_execute = sqlite3.Cursor.execute
_isolation_level: Any = sqlite3.Connection.isolation_level
_autocommit: Any = getattr(sqlite3.Connection, "autocommit", None)
_waited_for = queues.queues


class GreenConnection(sqlite3.Connection):
    """A connection that waits up to ``timeout`` seconds for locks, as any does, but lets others run meanwhile."""

    timeout: float
    may_hold_lock = False
    """Whether the transaction may have taken a lock; if False, it certainly has not."""
    _file: object = None

    def __init__(self, database: Any, *args: Any, **options: Any) -> None:
        if args:
            self.timeout = float(args[0])
            args = (0.0, *args[1:])
        else:
            self.timeout = float(options.get("timeout", 5.0))
            options["timeout"] = 0.0
        super().__init__(database, *args, **options)

    # Statements

    def cursor(self, factory: Any = GreenCursor) -> Any:
        return super().cursor(factory if factory is GreenCursor else green_cursor_class(factory))

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        return self.cursor().executescript(sql_script)

    def blobopen(self, table: str, column: str, row: int, /, **options: Any) -> sqlite3.Blob:
        blob = self.run_in_turn(lambda: _blobopen(self, table, column, row, **options))
        self.may_hold_lock = True
        return blob

    # Ends of transactions

    def commit(self) -> None:
        try:
            _commit(self)
        except sqlite3.OperationalError as error:
            if not met_a_lock(error):
                raise
            self.wait(lambda: _commit(self), error, may_deadlock=False)
        self.released()

    def rollback(self) -> None:
        super().rollback()
        self.released()

    def close(self) -> None:
        file = self.file if _waited_for else None
        super().close()
        if file is not None:
            queues.tell(file, was_held=self.may_hold_lock)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None, /
    ) -> Literal[False]:
        # The inherited one commits without calling our commit().
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return False

    @property
    def isolation_level(self) -> Any:
        return super().isolation_level

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        if level is None and self.in_transaction and self.has_legacy_control:
            self.commit()  # the inherited setter would, too
        _isolation_level.__set__(self, level)

    if _autocommit is not None:  # from Python 3.12 on

        @property
        def autocommit(self) -> Any:
            return _autocommit.__get__(self)

        @autocommit.setter
        def autocommit(self, value: Any) -> None:
            if value is True and self.in_transaction:
                self.commit()  # the inherited setter would, too
            _autocommit.__set__(self, value)

    @property
    def has_legacy_control(self) -> bool:
        """Whether ``isolation_level`` rather than ``autocommit`` controls when transactions begin."""
        return bool(getattr(self, "autocommit", LEGACY) == LEGACY)

    @property
    def commits_by_itself(self) -> bool:
        """Whether a statement outside a transaction commits by itself rather than opening one."""
        return self.isolation_level is None if self.has_legacy_control else bool(self.autocommit)

    def released(self) -> None:
        """Wake waiters: a transaction, or a statement in autocommit mode, has ended."""
        if _waited_for:
            queues.tell(self.file, was_held=self.may_hold_lock)
        self.may_hold_lock = False

    # Waiting

    def must_queue(self) -> bool:
        """Whether others are queued, and this connection holds no lock that they may wait for."""
        queue = _waited_for.get(self.file)
        return queue is not None and bool(queue.in_turn) and not (self.in_transaction and self.may_hold_lock)

    def run_in_turn(self, attempt: Callable[[], T]) -> T:
        """Run ``attempt``, which writes, after those that queued earlier."""
        if _waited_for and self.must_queue():
            return self.wait(attempt, None, in_turn=True)
        try:
            return attempt()
        except sqlite3.OperationalError as error:
            if not met_a_lock(error):
                raise
            return self.wait(attempt, error, in_turn=True)

    def run_in_transaction(self, statement: Callable[[], object]) -> None:
        """Run a statement in a transaction of its own, so that its commit can be retried."""
        until = hub_thread.monotonic() + self.timeout
        control = sqlite3.Cursor(self)
        self.wait(lambda: _execute(control, "BEGIN IMMEDIATE"), None, in_turn=True, until=until)
        self.may_hold_lock = True
        try:
            statement()
            try:
                _execute(control, "COMMIT")
            except sqlite3.OperationalError as error:
                if not met_a_lock(error):
                    raise
                self.wait(lambda: _execute(control, "COMMIT"), error, may_deadlock=False, until=until)
        except BaseException:
            if self.in_transaction:
                _execute(control, "ROLLBACK")
            raise
        finally:
            self.released()

    def wait(
        self,
        attempt: Callable[[], T],
        error: sqlite3.OperationalError | None,
        *,
        in_turn: bool = False,
        may_deadlock: bool = True,
        until: float | None = None,
    ) -> T:
        """Retry ``attempt``, which failed with ``error``, until it meets no lock; return its result.

        Raises the last error after ``timeout`` seconds, or when the monotonic clock passes ``until``. ``error`` is None
        if it has not been tried yet. ``in_turn``: only after those that queued earlier. ``may_deadlock``: it may write,
        so the error is final if this connection holds what the other one waits for.
        """
        if error is not None and (self.timeout <= 0 or (may_deadlock and self._is_deadlock())):
            raise error
        if until is None:
            until = hub_thread.monotonic() + self.timeout
        with queues.Place(self.file, until, in_turn=in_turn, has_tried=error is not None) as place:
            while True:
                place.wait()
                try:
                    return attempt()
                except sqlite3.OperationalError as met:
                    if place.is_over or not met_a_lock(met) or (may_deadlock and self._is_deadlock()):
                        raise

    def _is_deadlock(self) -> bool:
        """Whether SQLite would not wait for the lock, because this connection has already read."""
        if self.in_transaction:
            return self.may_hold_lock and probes.holds_every_database(self)
        return probes.has_open_statements(self)

    def change_timeout(self, milliseconds: int | None) -> int:
        """Do what ``PRAGMA busy_timeout`` does: set the timeout unless None, and return it, in milliseconds."""
        if milliseconds is not None:
            self.timeout = max(0, milliseconds) / 1000
        return round(self.timeout * 1000)

    @property
    def file(self) -> object:
        """Identity of the main database file, whatever path it was opened with."""
        if self._file is None:
            self._file = _identity(probes.main_file(self)) or id(self)
        return self._file

    def backup(
        self,
        target: sqlite3.Connection,
        *,
        pages: int = -1,
        progress: Callable[[int, int, int], object] | None = None,
        name: str = "main",
        sleep: float = 0.25,
    ) -> None:
        def report(status: int, remaining: int, total: int) -> None:
            if progress is not None:
                progress(status, remaining, total)
            queues.pause(sleep if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else 0)

        super().backup(target, pages=pages, progress=report, name=name, sleep=0)


def _identity(path: str) -> object:
    if not path:
        return None
    try:
        status = os.stat(path)
    except OSError:
        return path
    return status.st_dev, status.st_ino


@lru_cache(maxsize=64)
def _green_connection_class(factory: Any) -> Any:
    """``factory`` combined with GreenConnection; its own methods take precedence.

    A factory that is not a connection class is returned unchanged.
    """
    if factory is sqlite3.Connection:
        return GreenConnection
    if not (isinstance(factory, type) and issubclass(factory, sqlite3.Connection)):
        return factory
    if issubclass(factory, GreenConnection):
        return factory
    names = {"__module__": factory.__module__, "__doc__": factory.__doc__}
    return type(factory.__name__, (factory, GreenConnection), names)


def connect(*args: Any, **options: Any) -> Any:
    """``sqlite3.connect``; returns green connections if called in the hub's thread.

    If ``factory`` is a function, its connections are not green and wait as SQLite does.
    """
    if hub_thread.is_current():
        if len(args) > FACTORY:
            args = (*args[:FACTORY], _green_connection_class(args[FACTORY]), *args[FACTORY + 1 :])
        else:
            options["factory"] = _green_connection_class(options.get("factory", sqlite3.Connection))
    return _connect(*args, **options)


def install() -> None:
    """Make ``sqlite3.connect`` return green connections in the hub's thread, and plain ones in other threads."""
    sqlite3.connect = sqlite3.dbapi2.connect = connect
