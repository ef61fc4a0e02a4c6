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
from typing import NoReturn

from ..green.forks import at_fork, give_up
from ..green.hub_thread import monotonic
from ..green.mailbox import Mailbox
from ..green.outputs import tell

__all__ = ["ignore", "signals_to_hub"]


IMPATIENT_SECONDS = 1.0
"""A further SIGINT ends the process at once if the hub has not reacted to the first for this long."""


@contextmanager
def signals_to_hub(
    callback: Callable[[int], None], *signals: signal.Signals, until_exit: bool = False
) -> Iterator[None]:
    """While the context is open, call ``callback(signal_number)`` in the hub for each of ``signals``.

    Enter it in the main thread. The callback must not block. Signals of one kind that arrive before the hub reacts to
    the first count as one. If the hub is blocked for longer, SIGINT ends the process the second time: a person at a
    terminal needs a way out. SIGTERM never does, because supervisors repeat it and send SIGKILL in the end.

    The previous handlers are restored at the end. With ``until_exit``, the signals are ignored instead: the process is
    about to exit, and a repeated signal must not change its exit status.
    """
    mailbox = Mailbox()
    undelivered: dict[int, float] = {}

    def handle(signum: int, frame: object) -> None:
        now = monotonic()
        since = undelivered.setdefault(signum, now)
        if since == now:
            mailbox.post(deliver, signum)
        elif signum == signal.SIGINT and now - since >= IMPATIENT_SECONDS:
            _end_at_once(now - since)

    def deliver(signum: int) -> None:
        del undelivered[signum]
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
        if until_exit:
            ignore(*signals)
            signal.set_wakeup_fd(previous_fd)
        else:
            restore(previous_fd)
        mailbox.close()


def ignore(*signals: signal.Signals) -> None:
    """Ignore ``signals`` from now on. Call it in the main thread."""
    # Blocked meanwhile: Python would complain of a signal whose handler is gone by the time it gets to it.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    for signum in signals:
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end_at_once(seconds: float) -> NoReturn:
    """End the process as SIGINT does by default, so that a shell sees why."""
    tell(f"django_websocket: interrupted twice, and the server has not reacted for {seconds:.1f} s: ended at once")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
    os._exit(128 + signal.SIGINT)  # the first process of a container isn't killed by signals of its own
