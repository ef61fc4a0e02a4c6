"""What a statement of SQL does to SQLite's locks, told from its first words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from enum import Enum

__all__ = ["Kind", "busy_timeout", "kind_of", "statements_of"]


class Kind(Enum):
    """What a statement asks of the database file."""

    READ = "read"
    CHANGE = "change"
    """Rows are written. In autocommit mode it is a transaction by itself."""
    SCHEMA = "schema"
    """Something else is written; some of these can't be in a transaction."""
    LOCK = "lock"
    """A transaction begins, with the lock to write."""
    MARK = "mark"
    """A transaction or a savepoint begins, without any lock, or is rolled back."""
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
    """What ``sql``, one statement, does."""
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
    """The milliseconds that a ``PRAGMA busy_timeout`` sets, None in a tuple if it only asks; None for any other."""
    found = _BUSY_TIMEOUT.match(sql)
    return None if found is None else (int(found[1]) if found[1] else None,)


def statements_of(script: str) -> Iterator[str]:
    """The statements of ``script``, each with its semicolon; the last one may lack it."""
    start = end = 0
    while (end := script.find(";", end) + 1) > 0:
        if sqlite3.complete_statement(script[start:end]):
            yield script[start:end]
            start = end
    if script[start:].strip():
        yield script[start:]
