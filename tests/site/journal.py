"""What happened in the served process, in order; and its log, one JSON object a line."""

from __future__ import annotations

import json
import logging
from typing import Any

from django.core.signals import got_request_exception, request_finished

journal: list[str] = []


def _finished(**kwargs: Any) -> None:
    journal.append("request finished")


def _exception(**kwargs: Any) -> None:
    journal.append("exception")


request_finished.connect(_finished)
got_request_exception.connect(_exception)


def describe(record: logging.LogRecord) -> dict[str, str | None]:
    """What tests look at."""
    error = record.exc_info[1] if record.exc_info else None
    return {
        "logger": record.name,
        "level": record.levelname,
        "message": record.getMessage(),
        "error": None if error is None else type(error).__name__,
    }


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(describe(record))
