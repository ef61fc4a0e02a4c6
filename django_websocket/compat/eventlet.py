"""Uses of private API of eventlet, which is only imported by calling them."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "blocking_select",
    "current_hub",
    "end_loop",
    "forget_native_threads",
    "hub_survives_exits",
    "silence_fork_warning",
]


def blocking_select() -> Any:
    """``select.select``, which blocks the thread even if the process is patched: eventlet's waits for no file."""
    patcher: Any = sys.modules.get("eventlet.patcher")
    return (select if patcher is None else patcher.original("select")).select


def current_hub() -> Any:
    """eventlet's hub of the calling thread; None if there is none yet."""
    from eventlet import hubs

    return getattr(hubs._threadlocal, "hub", None)


@contextmanager
def hub_survives_exits(hub: Any) -> Iterator[None]:
    """While the context is open, ``hub`` prints a KeyboardInterrupt or SystemExit that leaves a greenlet or a callback
    like any other exception, and doesn't end.
    """
    hub.SYSTEM_EXCEPTIONS = (_LoopEnd,)
    try:
        yield
    finally:
        vars(hub).pop("SYSTEM_EXCEPTIONS", None)


class _LoopEnd(SystemExit):
    """Ends a hub's loop, also one that survives SystemExit."""


def end_loop(hub: Any) -> None:
    """In a forked child: end the greenlet of ``hub`` without any output."""
    try:
        hub.greenlet.throw(_LoopEnd)
    except _LoopEnd:
        pass
    vars(hub).pop("SYSTEM_EXCEPTIONS", None)


def forget_native_threads() -> None:
    """In a forked child: make ``eventlet.tpool`` start new threads when it is next used."""
    tpool: Any = sys.modules.get("eventlet.tpool")
    if tpool is not None and tpool._setup_already:
        tpool._rsock.close()
        tpool._wsock.close()
        tpool._setup_already = False
        tpool._threads = []
        tpool._coro = tpool._reqq = tpool._rspq = tpool._rsock = tpool._wsock = None


def silence_fork_warning() -> None:
    """Disable eventlet's warning about forks: the problems it warns of are handled."""
    import eventlet

    def nothing() -> None:
        pass

    eventlet._warn_on_fork.__code__ = nothing.__code__
