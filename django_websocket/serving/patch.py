"""Makes the standard library green, once and before anything else.

Nothing here imports Django: call :func:`patch` first, then import the project.
"""

from __future__ import annotations

import os

from ..hub_choice import asks_for_asyncio_hub
from .green import eventlet

__all__ = ["after_fork", "eventlet", "is_patched", "patch"]

PSYCOPG_WAIT_FUNC = "wait_select"
"""psycopg 3 waits in C (``wait_c``), which blocks the hub. Of its waiting functions in Python this is the one
that looks ``select.select`` up at each call, so it finds eventlet's whatever was imported first;
``wait_selector`` binds a selector class at import, and ``wait_poll`` and ``wait_epoll`` need what eventlet
removes. Its note that descriptors past 1023 don't work is about the C function: eventlet's waits on the hub's
epoll."""

_patched = False


def patch() -> None:
    """Monkey-patch the process for green threads; a second call does nothing.

    Raises RuntimeError under ``EVENTLET_HUB=asyncio``: an event loop that runs in every greenlet's thread
    makes Django's ORM raise SynchronousOnlyOperation.
    """
    global _patched
    if _patched:
        return
    if asks_for_asyncio_hub():
        raise RuntimeError(
            "EVENTLET_HUB=asyncio is not supported: Django's ORM refuses to run below an asyncio event loop. "
            "Unset EVENTLET_HUB."
        )
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", PSYCOPG_WAIT_FUNC)
    eventlet.monkey_patch()
    _patched = True


def is_patched() -> bool:
    """True once the process is green, whether :func:`patch` or somebody else did it."""
    return _patched or all(eventlet.patcher.is_monkey_patched(m) for m in ("os", "select", "socket", "thread", "time"))


def after_fork() -> None:
    """Give a forked child its own hub; the first thing to call there.

    The parent's hub holds an epoll descriptor that both processes would share, and the parent's timers.
    """
    eventlet.hubs.use_hub()
