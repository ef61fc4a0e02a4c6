"""Gives another process a test's database in memory: by a file, for as long as it takes."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.db import connections

__all__ = ["move_out_of_memory"]


@contextmanager
def move_out_of_memory(alias: str) -> Iterator[None]:
    """Replace the connection to a SQLite database in memory by one to a file with the same contents; then undo that.

    Changes are not copied back: a TransactionTestCase leaves none. Does nothing for other databases.
    """
    in_memory: Any = connections[alias]
    if in_memory.vendor != "sqlite" or not in_memory.is_in_memory_db():
        yield
        return
    in_memory.ensure_connection()
    with tempfile.TemporaryDirectory(prefix="django-websocket-") as directory:
        path = Path(directory, "test.sqlite3")
        with closing(sqlite3.connect(path)) as file:
            in_memory.connection.backup(file)
            file.execute("PRAGMA journal_mode = wal")  # so that the server and the test can read while one writes
        in_file: Any = in_memory.copy()
        in_file.settings_dict["NAME"] = str(path)
        if hasattr(in_memory, "_test_serialized_contents"):
            in_file._test_serialized_contents = in_memory._test_serialized_contents
        connections[alias] = in_file
        try:
            yield
        finally:
            in_file.close()
            connections[alias] = in_memory
