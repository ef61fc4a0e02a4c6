"""The thread that serves websockets in this process, for code that may run in another one.

On a green-thread server everything that greenlets share belongs to one operating system thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar

__all__ = ["Home", "at_home", "set_home"]

P = ParamSpec("P")
T = TypeVar("T")


class Home(Protocol):
    """A server's thread."""

    def in_own_thread(self) -> bool:
        """Whether the caller runs there."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """From another thread: see :meth:`.Channel.call`."""


_home: Home | None = None


def set_home(home: Home | None) -> None:
    """Called by a server when it starts, and with None when it has stopped."""
    global _home
    _home = home


def at_home(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` in the server's thread; directly where there is none.

    Raises ConnectionAbortedError if the server stops meanwhile.
    """
    home = _home
    if home is None or home.in_own_thread():
        return function(*args, **kwargs)
    result: T = home.call(lambda: function(*args, **kwargs))
    return result
