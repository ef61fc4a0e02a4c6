"""What SQLite knows of a connection and Python's ``sqlite3`` doesn't tell, asked by statements that change nothing.

``sqlite3_txn_state()`` and ``sqlite3_next_stmt()`` would say it outright. These are asked only when a lock was met.
"""

from __future__ import annotations

import os
import sqlite3

__all__ = ["has_open_statements", "holds_every_database", "main_file", "met_a_lock"]

_LOCKS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)


def met_a_lock(error: sqlite3.OperationalError) -> bool:
    """Whether ``error`` is that of a lock which may go.

    "cannot commit transaction - SQL statements in progress" has the same code. SQLITE_BUSY_SNAPSHOT doesn't go: the
    transaction has read what has changed since.
    """
    return getattr(error, "sqlite_errorcode", None) in _LOCKS and str(error) == "database is locked"


def holds_every_database(connection: sqlite3.Connection) -> bool:
    """Whether a transaction on each of the connection's files is under way, one that has read or written."""
    cursor = sqlite3.Cursor(connection)
    for _, name, _ in cursor.execute("PRAGMA database_list").fetchall():
        if _text(name) == "temp":
            continue
        try:
            # Refused with SQLITE_LOCKED inside a transaction, before anything else. Outside it does nothing without a
            # WAL, and with one what every thousandth page written does.
            cursor.execute(f'PRAGMA "{_text(name).replace(chr(34), chr(34) * 2)}".wal_checkpoint(PASSIVE)')
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_LOCKED:
                raise
        else:
            return False
    return True


def has_open_statements(connection: sqlite3.Connection) -> bool:
    """Whether a statement of the connection, outside of a transaction, still has rows to give."""
    try:
        # The second thing that VACUUM looks at, before it says that 1 is no name of a file.
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
    """What the connection's ``text_factory`` may have made bytes of."""
    return os.fsdecode(value)
