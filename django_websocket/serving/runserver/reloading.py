"""Restarts the process: through the patching entry point, and when a file changes.

There are two processes, as with Django's autoreloader: the *supervisor* restarts the *reloading* process (identified by
RUN_MAIN=true) as long as that exits with status 3. Only the reloading process serves, so only that one is started
through :mod:`django_websocket.serving.__main__`, which patches first.
"""

from __future__ import annotations

import os
import posix  # its waitpid() blocks; eventlet replaces os.waitpid() with one that polls
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import takewhile
from typing import Any, NoReturn

import greenlet
from django.utils import autoreload

from ..green import eventlet
from ..green.exiting import guard_exit
from ..green.watchdog import excuse
from ..process.operator_signals import operator_signals, signals_to_take
from ..process.os_signals import ignore

__all__ = [
    "is_reloading",
    "patched_command_line",
    "run_or_wait_for_change",
    "run_reloading",
    "start_again",
    "supervise",
]

# Seconds. Ctrl-C goes to the whole process group, so the serving process first gets time to exit by itself, and
# more after a SIGTERM before it is killed.
INTERRUPTED_GRACE = 1.5
TERMINATED_GRACE = 5.0


def is_reloading() -> bool:
    """Whether this is the reloading process."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def patched_command_line() -> list[str]:
    """Return this program's command line, routed through the entry point that patches first.

    Keeps interpreter flags (-W, -X), like Django's autoreloader. Raises RuntimeError for a program that can't be
    restarted, such as ``python -c``.
    """
    executable, *rest = map(str, autoreload.get_child_arguments())
    flags = list(takewhile(lambda argument: argument.startswith(("-W", "-X")), rest))
    return [executable, *flags, "-m", "django_websocket.serving", *rest[len(flags) :]]


def start_again(command_line: list[str]) -> NoReturn:
    """Replace this process with ``command_line``, keeping process id and environment."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None: the descriptor is closed
            with suppress(OSError):
                stream.flush()
    os.execv(command_line[0], command_line)


def supervise(command_line: list[str]) -> int:
    """Run ``command_line``, restarting it while it exits with 3 (a file changed); return its exit status.

    A signal to stop ends it; the status is 0 then. Other signals of the operator are passed on to it. Afterwards, all
    are ignored: this process is about to exit.
    """
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    stopping, others = signals_to_take()
    stopping_signals = frozenset(map(int, stopping))
    with _written_signals(*stopping, *others) as reader:
        status = 3
        while status == 3:
            pid = os.posix_spawn(command_line[0], command_line, environment)
            ended: int | None = None
            while ended is None:
                arrived = posix.read(reader, 64)
                ended = _exit_status(pid)
                for signum in arrived if ended is None else ():
                    if signum in others:
                        os.kill(pid, signum)
                    elif signum in stopping:
                        _terminate(pid, 0 if signum == signal.SIGTERM else INTERRUPTED_GRACE)
                        return 0
            # One that came in the same moment as the end must not be lost: nobody would send it again.
            status = 0 if ended == 3 and not stopping_signals.isdisjoint(arrived) else ended
    return status if status >= 0 else 128 - status


@contextmanager
def _written_signals(*signals: signal.Signals) -> Iterator[int]:
    """While the context is open, yield a descriptor from which the numbers of arriving ``signals``, and SIGCHLD, can be
    read.

    An exception raised by a handler could leave a child behind, between its start and the wait for it.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for signum in (*signals, signal.SIGCHLD):
        signal.signal(signum, lambda *_: None)
    try:
        yield reader
    finally:
        ignore(*signals)
        signal.set_wakeup_fd(previous)
        posix.close(reader)
        posix.close(writer)


def _terminate(pid: int, grace: float) -> None:
    """Wait ``grace`` seconds for process ``pid`` to exit, then send SIGTERM, then SIGKILL."""
    if _exits(pid, grace):
        return
    os.kill(pid, signal.SIGTERM)
    if not _exits(pid, TERMINATED_GRACE):
        os.kill(pid, signal.SIGKILL)
        posix.waitpid(pid, 0)


def _exits(pid: int, seconds: float) -> bool:
    """Whether process ``pid`` exits within ``seconds``."""
    until = time.monotonic() + seconds
    while _exit_status(pid) is None:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _exit_status(pid: int) -> int | None:
    """The exit status of the child ``pid``, negative for a signal; None while it runs."""
    ended, status = posix.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def run_reloading(
    main: Callable[..., object], stop: Callable[[], None], leave: Callable[[], None], **options: Any
) -> NoReturn:
    """Run ``main(**options)`` in a green thread while the calling one watches for file changes.

    Exits with 3 when a file changes and with 0 on a signal to stop, in both cases after calling ``stop()``, and in the
    second also ``leave()``: no other process will follow.
    """

    def main_after_first_scan(**options: Any) -> None:
        # Let the watcher scan first: files saved while this thread is busy then count as changes.
        eventlet.sleep(0)
        main(**options)

    # Looking at all files takes long on a busy machine. A newcomer would take the warning for a fault of their own.
    excuse(autoreload.StatReloader.tick.__code__)
    reloader = autoreload.get_reloader()
    autoreload.logger.info("Watching for file changes with %s", type(reloader).__name__)
    _watch(partial(autoreload.start_django, reloader, main_after_first_scan, **options), stop, leave)


def run_or_wait_for_change(run: Callable[[], None]) -> None:
    """Call ``run()``; if the project fails to load, print the traceback and exit with 3 once a file changes.

    Django's ManagementUtility does so for ``runserver`` only, and only if the settings load.
    """
    try:
        autoreload.check_errors(run)()
    except Exception:
        traceback.print_exc()
        # Not start_django(): the receivers of its signal need settings.
        _watch(autoreload.get_reloader().run_loop, lambda: None, lambda: None)


def _watch(watch: Callable[[], object], stop: Callable[[], None], leave: Callable[[], None]) -> NoReturn:
    """Call ``watch()`` until it or a signal raises SystemExit, then ``stop()``, and ``leave()`` after a signal."""
    watcher = greenlet.getcurrent()
    watching = True
    signalled = False

    def exit_watcher(_: int) -> None:
        nonlocal signalled
        first, signalled = not signalled, True
        if first and watching:
            watcher.throw(SystemExit(0))

    with operator_signals(exit_watcher, until_exit=True):
        try:
            watch()
        except BaseException as error:
            watching = False
            stop()
            if signalled:
                leave()
                guard_exit(0)
                sys.exit(0)  # also if a file has changed at the same time
            guard_exit(error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)
            raise
    raise AssertionError("Django's reloader only ends with an exception")
