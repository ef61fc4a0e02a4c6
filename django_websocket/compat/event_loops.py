"""Uses of private API of asyncio, for event loops that share one thread."""

from __future__ import annotations

import asyncio
import sys
from asyncio import events, selector_events, tasks
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

__all__ = [
    "RunningLoop",
    "blocking_loop_policy",
    "enter_running_loop",
    "leave_running_loop",
    "localize_current_loop",
    "outside_loop",
    "refuse_signal_handlers",
    "use_selector",
]

T = TypeVar("T")


class RunningLoop(NamedTuple):
    """What the interpreter stores per thread about the running event loop."""

    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[Any] | None
    asyncgen_hooks: Any
    origin_depth: int


def leave_running_loop(loop: asyncio.AbstractEventLoop) -> RunningLoop:
    """Make ``loop``, which runs in this thread, appear not to be running; return what restores it.

    Before Python 3.14 the current task is stored per loop, since then per thread, so it is removed, too.
    """
    task = asyncio.current_task(loop)
    if task is not None:
        tasks._leave_task(loop, task)
    events._set_running_loop(None)
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    depth = 0
    if loop.get_debug():
        depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(0)
    return RunningLoop(loop, task, hooks, depth)


def enter_running_loop(running: RunningLoop) -> None:
    """Undo :func:`leave_running_loop`."""
    loop, task, hooks, depth = running
    events._set_running_loop(loop)
    sys.set_asyncgen_hooks(*hooks)
    if depth:
        sys.set_coroutine_origin_tracking_depth(depth)
    if task is not None:
        tasks._enter_task(loop, task)


def outside_loop(function: Callable[..., T], *args: Any) -> T:
    """Return ``function(*args)``, called as if no event loop ran in this thread: for switching to another greenlet."""
    loop = asyncio._get_running_loop()
    if loop is None:
        return function(*args)
    running = leave_running_loop(loop)
    try:
        return function(*args)
    finally:
        enter_running_loop(running)


def blocking_loop_policy() -> str | None:
    """The name of the event loop policy if its loops wait in C, as uvloop's do, rather than in a selector."""
    # Not get_event_loop_policy(), which is deprecated since Python 3.14; None until it is used.
    policy = events._event_loop_policy  # type: ignore[attr-defined]  # private
    kind = type(policy)
    if policy is None or kind.__module__.partition(".")[0] == "asyncio":
        return None
    loop = policy.new_event_loop()
    try:
        waits_in_selector = isinstance(loop, selector_events.BaseSelectorEventLoop)
    finally:
        loop.close()
    return None if waits_in_selector else f"{kind.__module__}.{kind.__name__}"


def use_selector(make: Callable[[], Any]) -> None:
    """Make event loops that are created without a selector use one returned by ``make()``."""
    base: Any = selector_events.BaseSelectorEventLoop
    init = base.__init__

    def __init__(self: Any, selector: Any = None) -> None:  # noqa: N807
        init(self, make() if selector is None else selector)

    base.__init__ = __init__


def refuse_signal_handlers(is_main: Callable[[], bool]) -> None:
    """Make ``add_signal_handler`` raise RuntimeError unless ``is_main()``, as it does outside the main thread.

    It would replace the signal wakeup descriptor that is already set.
    """
    loop_class: Any = asyncio.SelectorEventLoop
    add = loop_class.add_signal_handler

    def add_signal_handler(self: Any, sig: int, callback: Callable[..., Any], *args: Any) -> None:
        if not is_main():
            raise RuntimeError("set_wakeup_fd only works in main thread of the main interpreter")
        add(self, sig, callback, *args)

    loop_class.add_signal_handler = add_signal_handler


def localize_current_loop(local: type[Any]) -> None:
    """Store what ``asyncio.set_event_loop()`` sets in a ``local``; asyncio bound the original class at import."""
    module: Any = events
    # Renamed with an underscore in Python 3.14.
    base = getattr(module, "BaseDefaultEventLoopPolicy", None) or module._BaseDefaultEventLoopPolicy

    class Local(local):  # type: ignore[misc]  # the base class is only known at run time
        _loop = None
        _set_called = False

    base._Local = Local
    policy = module._event_loop_policy
    if isinstance(policy, base):
        policy._local = Local()
