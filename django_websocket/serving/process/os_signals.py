"""Operating system signals as events of the hub.

Python runs a signal's handler between two bytecodes of whichever greenlet runs at that moment. An exception
raised there ends that greenlet, be it a view or the hub itself; and a hub that waits in ``epoll_wait`` goes
back to waiting (:pep:`475`). So the handlers here only take note: the interpreter writes the signal's number
to a pipe, and the hub reads it there, like any other input.
"""

from __future__ import annotations

import os
import posix  # its read() is not replaced by eventlet's, which waits
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..patch import eventlet

__all__ = ["signals_to_hub"]


@contextmanager
def signals_to_hub(callback: Callable[[int], None], *signals: signal.Signals) -> Iterator[None]:
    """While the context is open, call ``callback(signal_number)`` in the hub for each of ``signals``.

    To be entered in the main thread. The callback must not block. A signal that comes while an earlier one is
    still unread ends the process on the spot: then the hub is held up, and would not see that one either.
    """
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    unread = 0

    def noted(signum: int, frame: object) -> None:
        nonlocal unread
        unread += 1
        if unread > 1:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    def read(fd: int) -> None:
        nonlocal unread
        unread = 0
        for signum in posix.read(fd, 64):
            if signum in signals:
                callback(signum)

    hub = eventlet.hubs.get_hub()
    listener = hub.add(hub.READ, reader, read, lambda exception: None, lambda: None)
    previous_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    previous = {signum: signal.signal(signum, noted) for signum in signals}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(previous_fd)
        hub.remove(listener)
        os.close(reader)
        os.close(writer)
