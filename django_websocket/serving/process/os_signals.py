"""Delivers operating system signals in the hub.

Python runs a signal handler between two bytecodes of whichever greenlet is running. An exception raised there ends
that greenlet, be it a view or the hub itself, and a hub in ``epoll_wait`` resumes waiting (:pep:`475`). So the handlers
here only post to the hub's mailbox. The interpreter itself also writes to the mailbox's pipe, in case a signal arrives
just before the hub starts to wait.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..green.forks import at_fork, give_up
from ..green.mailbox import Mailbox

__all__ = ["signals_to_hub"]


@contextmanager
def signals_to_hub(callback: Callable[[int], None], *signals: signal.Signals) -> Iterator[None]:
    """While the context is open, call ``callback(signal_number)`` in the hub for each of ``signals``.

    Enter it in the main thread. The callback must not block. A signal that arrives while an earlier one is still
    undelivered kills the process at once: the hub is blocked and would not see that one either.
    """
    mailbox = Mailbox()
    undelivered = 0

    def handle(signum: int, frame: object) -> None:
        nonlocal undelivered
        undelivered += 1
        if undelivered > 1:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        else:
            mailbox.post(deliver, signum)

    def deliver(signum: int) -> None:
        nonlocal undelivered
        undelivered = 0
        callback(signum)

    def restore(wakeup_fd: int) -> None:
        for signum, handler in previous.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(wakeup_fd)

    def forget() -> None:
        """In a forked child, whose signals are not the server's."""
        restore(-1)
        give_up(mailbox.descriptors)

    previous_fd = signal.set_wakeup_fd(mailbox.wakeup_fd, warn_on_full_buffer=False)
    previous = {signum: signal.signal(signum, handle) for signum in signals}
    try:
        with at_fork(child=forget):
            yield
    finally:
        restore(previous_fd)
        mailbox.close()
