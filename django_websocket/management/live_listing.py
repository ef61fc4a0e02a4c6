"""``manage.py websockets --live``: what it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from ..groups.memory import MemoryBackend
from ..groups.receivers import receivers
from ..live_page.census import Answer
from ..live_page.inquiry import Page
from ..live_page.listing import list_pages
from ..visitor import one_line

__all__ = ["as_json", "as_text"]


def _pages() -> Iterator[Page]:
    if not apps.is_installed("django_websocket.live_page"):
        raise CommandError("The serving processes answer only with django_websocket.live_page in INSTALLED_APPS.")
    if isinstance(receivers.backend, MemoryBackend):
        raise CommandError("Processes ask each other over Redis, and WEBSOCKET_GROUPS keeps groups in memory.")
    is_first = True
    for page in list_pages():
        if page.unavailable:
            raise CommandError(f"No process can be asked: {page.unavailable}")
        if is_first and not page.processes:
            raise CommandError("No process answers.")
        is_first = False
        yield page


def as_json() -> Iterator[str]:
    """One object for each line: processes, websockets, and last the processes that did not answer."""
    for kind, one in _entries():
        match kind:
            case "process":
                yield json.dumps({"process": one.pid, "host": one.host, "websockets": one.sockets})
            case "websocket":
                yield json.dumps(one)
            case _:
                yield json.dumps({"process": one.pid, "host": one.host, "websockets": None})


def as_text() -> Iterator[str]:
    """The same for people."""
    for kind, one in _entries():
        match kind:
            case "process":
                yield f"{one.pid} on {one.host}: {one.sockets} websockets"
            case "websocket":
                yield _line(one)
            case _:
                yield f"{one.pid} on {one.host} did not answer; its websockets are missing."


def _entries() -> Iterator[tuple[str, Any]]:
    late: dict[str, Answer] = {}
    for number, page in enumerate(_pages()):
        if not number:
            yield from (("process", process) for process in page.processes)
        yield from (("websocket", row) for _, row in page.rows)
        late.update((answer.process, answer) for answer, _ in page.late)
    yield from (("late", answer) for answer in late.values())


def _line(row: dict[str, Any]) -> str:
    who = one_line(row["user"]) or "nobody"
    traffic = f"{row['received']} in, {row['sent']} out"
    return f"{row['path']}  {who} from {row['address']}, {row['age']:.0f} s, {traffic}, process {row['pid']}"
