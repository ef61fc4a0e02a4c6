"""Reopens log files after log rotation has renamed them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from logging.handlers import WatchedFileHandler

__all__ = ["reopen_log_files"]

logger = logging.getLogger("django_websocket.server")


def reopen_log_files() -> int:
    """Make each :class:`logging.FileHandler` reopen its file by name; return how many did.

    If a file can't be opened, the error is logged and the old file remains in use. A WatchedFileHandler is skipped: it
    checks for a new file before each line.
    """
    count = 0
    for handler in list(_file_handlers()):
        # Not the handler's own mode, which may be "w" and truncate what is there.
        try:
            stream = open(handler.baseFilename, "a", encoding=handler.encoding, errors=handler.errors)  # noqa: SIM115
        except OSError as error:
            logger.error("could not reopen a log file: %s", error)
            continue
        previous = handler.setStream(stream)
        if previous is not None:
            previous.close()
        count += 1
    return count


def _file_handlers() -> Iterator[logging.FileHandler]:
    pending: list[logging.Handler] = []
    for each in (logging.getLogger(), *logging.getLogger().manager.loggerDict.values()):
        pending += getattr(each, "handlers", ())  # a placeholder has none
    seen: set[int] = set()
    while pending:
        handler = pending.pop()
        if id(handler) in seen:
            continue
        seen.add(id(handler))
        # Of a MemoryHandler, for one, and of the listener that dictConfig makes for a QueueHandler.
        target = getattr(handler, "target", None)
        pending += [target] if isinstance(target, logging.Handler) else []
        pending += getattr(getattr(handler, "listener", None), "handlers", ())
        if isinstance(handler, logging.FileHandler) and not isinstance(handler, WatchedFileHandler) and handler.stream:
            yield handler  # without a stream, the file is opened with the first line
