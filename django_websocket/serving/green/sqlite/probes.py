"""Queries state of a connection that Python's ``sqlite3`` doesn't expose, with statements that change nothing.

``sqlite3_txn_state()`` and ``sqlite3_next_stmt()`` would return it directly. The probes of locks and open statements
run only after a lock was met.
"""

from __future__ import annotations

import os
import sqlite3

__all__ = ["has_open_statements", "holds_every_database", "main_file", "met_a_lock"]

_LOCKS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)


def met_a_lock(error: sqlite3.OperationalError) -> bool:
    """Whether ``error`` was caused by a lock that may be released.

    "cannot commit transaction - SQL statements in progress" has the same code. SQLITE_BUSY_SNAPSHOT is permanent: the
    transaction has read data that has changed since.
    """
    return getattr(error, "sqlite_errorcode", None) in _LOCKS and str(error) == "database is locked"


def holds_every_database(connection: sqlite3.Connection) -> bool:
    """Whether the connection has an open transaction that has read or written on each of its files."""
    cursor = sqlite3.Cursor(connection)
    for _, name, _ in cursor.execute("PRAGMA database_list").fetchall():
        if _text(name) == "temp":
            continue
        try:
            # Inside a transaction, fails with SQLITE_LOCKED before anything else. Outside, it does nothing without a
            # WAL; with one, it runs the checkpoint that SQLite itself runs every thousand pages.
            cursor.execute(f'PRAGMA "{_text(name).replace(chr(34), chr(34) * 2)}".wal_checkpoint(PASSIVE)')
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_LOCKED:
                raise
        else:
            return False
    return True


def has_open_statements(connection: sqlite3.Connection) -> bool:
    """Whether a statement of the connection, outside a transaction, still has rows to return."""
    try:
        # VACUUM checks for open statements second, before it rejects 1 as a file name.
        sqlite3.Cursor(connection).execute("VACUUM INTO 1")
    except sqlite3.OperationalError as error:
        return "in progress" in str(error)
    raise AssertionError("there is no file whose name is not text")


def main_file(connection: sqlite3.Connection) -> str:
    """The path of the main database; empty if it is in memory."""
    for _, name, path in sqlite3.Cursor(connection).execute("PRAGMA database_list").fetchall():
        if _text(name) == "main":
            return _text(path)
    raise AssertionError("every connection has a main database")


def _text(value: str | bytes) -> str:
    """``value`` as text, since the connection's ``text_factory`` may return bytes."""
    return os.fsdecode(value)
