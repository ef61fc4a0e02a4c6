"""``threading.local`` for green and native threads alike: each greenlet has its own attributes.

Eventlet's version swaps the calling greenlet's attributes into the one shared object before each access. With native
threads, another thread may run in between, and the access returns that thread's value: for ``django.db.connections``, a
connection in the middle of another transaction.
"""

from __future__ import annotations

import _thread
import threading
from typing import Any
from weakref import WeakKeyDictionary

from greenlet import getcurrent, greenlet

__all__ = ["install", "local"]


class local:  # noqa: N801  as in threading
    """Like :class:`threading.local`; a greenlet's attributes are released with it."""

    def __new__(cls, *args: Any, **kwargs: Any) -> local:
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = object.__new__(cls)
        # The creator's attributes are there already, as __init__ is about to be called.
        of_greenlets: WeakKeyDictionary[greenlet, dict[str, Any]] = WeakKeyDictionary({getcurrent(): {}})
        object.__setattr__(self, "_local", (of_greenlets, args, kwargs))
        return self

    def __getattribute__(self, name: str) -> Any:
        values = _values(self)
        if name == "__dict__":
            return values
        # As in object: data descriptors of the class take precedence over instance attributes.
        if name in values and not hasattr(getattr(type(self), name, None), "__set__"):
            return values[name]
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(getattr(type(self), name, None), "__set__"):
            object.__setattr__(self, name, value)
        elif name == "__dict__":
            raise AttributeError("'local' object attribute '__dict__' is read-only")
        else:
            _values(self)[name] = value

    def __delattr__(self, name: str) -> None:
        values = _values(self)
        if hasattr(getattr(type(self), name, None), "__delete__"):
            object.__delattr__(self, name)
        elif name in values:
            del values[name]
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _values(self: local) -> dict[str, Any]:
    """The attributes of the current greenlet."""
    of_greenlets, args, kwargs = object.__getattribute__(self, "_local")
    current = getcurrent()
    values: dict[str, Any] | None = of_greenlets.get(current)
    if values is None:
        values = of_greenlets[current] = {}
        if type(self).__init__ is not object.__init__:
            type(self).__init__(self, *args, **kwargs)
    return values


def install() -> None:
    """Replace ``threading.local`` with this class."""
    threading.local = _thread._local = local  # type: ignore[assignment, misc]
