"""Uses of private API of asgiref."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context

__all__ = ["move_context"]

_restore_context: Callable[[Context], None] | None
try:
    from asgiref.sync import _restore_context as _restore_context
except ImportError:  # a version that renamed it
    _restore_context = None


def move_context(context: Context) -> None:
    """Copy the values of ``context`` into the caller's context.

    asgiref ties the data of its Locals (the active language, the time zone, the URLconf) to a thread, and a greenlet
    counts as one. Its private ``_restore_context`` moves it, as it does for its own threads; without it the data is
    lost.
    """
    if _restore_context is not None:
        _restore_context(context)
        return
    for variable in context:
        variable.set(context[variable])
