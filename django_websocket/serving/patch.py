"""Monkey-patches the standard library for green threads.

Imports no Django: call :func:`patch` first, then import the project.
"""

from __future__ import annotations

import os

from ..hub_choice import asks_for_asyncio_hub
from .green import eventlet
from .green.outputs import open_closed_streams

__all__ = ["eventlet", "is_patched", "patch"]

PSYCOPG_WAIT_FUNC = "wait_select"
"""psycopg 3 waits in C (``wait_c``), which blocks the hub. Of its pure-Python wait functions, only this one
looks up ``select.select`` at each call and so gets eventlet's, whatever the import order. ``wait_selector`` binds
a selector class at import; ``wait_poll`` and ``wait_epoll`` need what eventlet removes. psycopg's note that
descriptors above 1023 don't work applies to the C ``select``; eventlet's waits on the hub's epoll."""

_patched = False


def patch() -> None:
    """Monkey-patch the process for green threads; a second call does nothing.

    Raises RuntimeError under ``EVENTLET_HUB=asyncio``: with an event loop running in the thread, Django's ORM raises
    SynchronousOnlyOperation.
    """
    global _patched
    if _patched:
        return
    if asks_for_asyncio_hub():
        raise RuntimeError(
            "EVENTLET_HUB=asyncio is not supported: Django's ORM refuses to run under an asyncio event loop. "
            "Unset EVENTLET_HUB."
        )
    open_closed_streams()
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", PSYCOPG_WAIT_FUNC)
    eventlet.monkey_patch()
    _patched = True
    from .green.install import install  # now, because what it imports has to be green

    install()


def is_patched() -> bool:
    """Whether the process is monkey-patched, by :func:`patch` or by anything else."""
    return _patched or all(eventlet.patcher.is_monkey_patched(m) for m in ("os", "select", "socket", "thread", "time"))
