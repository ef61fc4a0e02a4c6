"""Handles the operator's signals in a process that only serves.

* SIGINT, SIGTERM: stop. The first one lets requests and views finish, the second one doesn't wait. For a server that is
  blocked, see :mod:`.os_signals`.
* SIGHUP: the same if the process was started from a terminal, which has been closed. Otherwise reopen the log files, as
  log rotation expects of daemons, and read the certificate again.
* SIGUSR1: reopen the log files, as in nginx and gunicorn.
* SIGUSR2: a warning. In nginx and gunicorn it replaces the program, which is not supported here.

The last three are not handled if they were ignored from the start (``nohup``), or if the project handles them itself,
for example with ``faulthandler.register``.
"""

from __future__ import annotations

import logging
import os
import posix
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ...compat.eventlet import hub_survives_exits
from ..green import eventlet
from .log_files import reopen_log_files
from .os_signals import signals_to_hub

__all__ = ["operator_signals", "signals_to_take"]

logger = logging.getLogger("django.server")
"""The request log's: Django shows its INFO by default."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
OTHER_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

STOP_LINES = ("Received %s: stopping", "Received %s while stopping: not waiting any longer")
"""For the first signal and the second; further ones change nothing."""

CONTROLLING_TERMINAL = "/dev/tty"


@contextmanager
def operator_signals(
    stop: Callable[[int], None], *, until_exit: bool, reload: Callable[[], None] | None = None
) -> Iterator[None]:
    """While the context is open, only the operator's signals end the process; exceptions in views don't.

    Enter it in the main thread. ``stop(signum)`` is called in the hub for each stop signal, and ``reload()`` in a
    greenlet when the log files have been reopened. ``until_exit`` is passed to :func:`.signals_to_hub`.
    """
    count = 0

    def react(signum: int) -> None:
        nonlocal count
        name = signal.Signals(signum).name
        # In greenlets: a log handler may wait for a lock, which the hub must not.
        if signum in stopping_signals:
            if count < len(STOP_LINES):
                eventlet.spawn_n(_log, logging.INFO, STOP_LINES[count], name)
            count += 1
            stop(signum)
        elif signum == signal.SIGUSR2:
            eventlet.spawn_n(_log, logging.WARNING, "Received %s: ignored, this server can't replace its program", name)
        else:
            eventlet.spawn_n(_reopen, name, reload)

    stopping_signals, other_signals = signals_to_take()
    with (
        hub_survives_exits(eventlet.hubs.get_hub()),
        signals_to_hub(react, *stopping_signals, *other_signals, until_exit=until_exit),
    ):
        yield


def signals_to_take() -> tuple[list[signal.Signals], list[signal.Signals]]:
    """Return the signals that stop this process, and the others it must handle."""
    stopping, others = list(STOP_SIGNALS), list[signal.Signals]()
    for signum in OTHER_SIGNALS:
        if not _is_taken(signum):
            (stopping if signum == signal.SIGHUP and _has_terminal() else others).append(signum)
    return stopping, others


def _is_taken(signum: signal.Signals) -> bool:
    """Whether ``signum`` is ignored, or has a handler already."""
    if signal.getsignal(signum) is not signal.SIG_DFL:
        return True
    # Handlers installed in C, such as faulthandler's, are unknown to the signal module.
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            caught = next(line for line in status if line.startswith("SigCgt:"))
    except (OSError, StopIteration):
        return False
    return bool(int(caught.split()[1], 16) >> (signum - 1) & 1)


def _has_terminal() -> bool:
    try:
        posix.close(posix.open(CONTROLLING_TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _reopen(signal_name: str, reload: Callable[[], None] | None) -> None:
    count = reopen_log_files()
    _log(logging.INFO, "Received %s: reopened %d log file%s", signal_name, count, "" if count == 1 else "s")
    if reload is not None:
        reload()


def _log(level: int, line: str, *args: object) -> None:
    # The time as in the lines of the request log.
    logger.log(level, line, *args, extra={"server_time": time.strftime("%d/%b/%Y %H:%M:%S")})
