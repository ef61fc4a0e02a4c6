"""Classifies SQL statements by the SQLite locks they take, based on their first words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from enum import Enum

__all__ = ["Kind", "busy_timeout", "kind_of", "statements_of"]


class Kind(Enum):
    """What a statement does to the database file."""

    READ = "read"
    CHANGE = "change"
    """Writes rows. In autocommit mode it is a transaction of its own."""
    SCHEMA = "schema"
    """Writes something else. Some of these can't run in a transaction."""
    LOCK = "lock"
    """Begins a transaction and takes the write lock."""
    MARK = "mark"
    """Begins a transaction or savepoint without taking a lock, or rolls one back."""
    COMMIT = "commit"
    OTHER = "other"


_KINDS = {
    **dict.fromkeys(("select", "values", "explain"), Kind.READ),
    **dict.fromkeys(("insert", "update", "delete", "replace"), Kind.CHANGE),
    **dict.fromkeys(("create", "alter", "drop", "reindex", "analyze", "vacuum"), Kind.SCHEMA),
    **dict.fromkeys(("begin", "savepoint", "rollback"), Kind.MARK),
    **dict.fromkeys(("commit", "end", "release"), Kind.COMMIT),
}

_WORDS = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*+(\w+)(?:\s+(\w+))?", re.DOTALL)
_CHANGE_IN_WITH = re.compile(
    r"\b(?:(?:insert|replace)\s+(?:or\s+\w+\s+)?into|delete\s+from|update\s.*\sset)\b", re.DOTALL | re.IGNORECASE
)
_BUSY_TIMEOUT = re.compile(
    r"\s*pragma\s+(?:\w+\s*\.\s*)?busy_timeout\s*(?:(?:=|\()\s*([+-]?\d+)[\s)]*)?;?\s*$", re.IGNORECASE
)


def kind_of(sql: str) -> Kind:
    """The kind of ``sql``, a single statement."""
    words = _WORDS.match(sql)
    if words is None:
        return Kind.OTHER
    first = words[1].lower()
    if first == "begin" and (words[2] or "").lower() in ("immediate", "exclusive"):
        return Kind.LOCK
    if first == "with":
        return Kind.CHANGE if _CHANGE_IN_WITH.search(sql) else Kind.READ
    return _KINDS.get(first, Kind.OTHER)


def busy_timeout(sql: str) -> tuple[int | None] | None:
    """The milliseconds that a ``PRAGMA busy_timeout`` sets, in a tuple, ``(None,)`` if it only queries them; None for
    any other statement.
    """
    found = _BUSY_TIMEOUT.match(sql)
    return None if found is None else (int(found[1]) if found[1] else None,)


def statements_of(script: str) -> Iterator[str]:
    """Yield the statements of ``script``, each with its semicolon, which the last one may lack."""
    start = end = 0
    while (end := script.find(";", end) + 1) > 0:
        if sqlite3.complete_statement(script[start:end]):
            yield script[start:end]
            start = end
    if script[start:].strip():
        yield script[start:]
