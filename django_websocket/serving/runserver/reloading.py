"""Starting again: through the patching entry, and on a changed file.

Two processes, as with Django's own autoreloader: the *supervisor* starts the *reloading* process (known by
RUN_MAIN=true) over and over, as long as it exits with status 3. Only the second one serves, and so only that
one is started through :mod:`django_websocket.serving.__main__`, which patches first.
"""

from __future__ import annotations

import os
import posix  # its waitpid blocks even where eventlet has replaced that of os by one that polls
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from types import FrameType
from typing import Any, NoReturn

import greenlet
from django.utils import autoreload

from ..green import eventlet
from ..process.os_signals import signals_to_hub

__all__ = [
    "STOP_SIGNALS",
    "is_reloading",
    "patched_command_line",
    "run_reloading",
    "run_until_it_loads",
    "start_again",
    "supervise",
]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# The terminal sends Ctrl-C to the whole process group, so the serving process gets this many seconds to
# end by itself before it is asked to, and that many more before it is killed.
INTERRUPTED_GRACE = 1.5
TERMINATED_GRACE = 5.0


def is_reloading() -> bool:
    """Is this the process that the supervisor starts?"""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def patched_command_line() -> list[str]:
    """The command line of this very program, led through the entry that patches first.

    Interpreter flags (-W, -X) are kept as Django's autoreloader keeps them. Raises RuntimeError for a program
    that cannot be started again, such as ``python -c``.
    """
    executable, *rest = map(str, autoreload.get_child_arguments())
    flags = list(takewhile(lambda argument: argument.startswith(("-W", "-X")), rest))
    return [executable, *flags, "-m", "django_websocket.serving", *rest[len(flags) :]]


def start_again(command_line: list[str]) -> NoReturn:
    """Become ``command_line``: same process id, same environment."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command_line[0], command_line)


def supervise(command_line: list[str]) -> int:
    """Run ``command_line`` until it exits with anything but 3 (a file changed); return its exit status.

    SIGINT and SIGTERM end it, and give 0.
    """
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    for signum in STOP_SIGNALS:
        signal.signal(signum, _stop)
    status = 3
    while status == 3:
        pid = os.posix_spawn(command_line[0], command_line, environment)
        try:
            status = os.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1])
        except _Stopped as stopped:
            _end(pid, INTERRUPTED_GRACE if stopped.args[0] == signal.SIGINT else 0)
            return 0
    return status if status >= 0 else 128 - status


class _Stopped(BaseException):
    """A signal asks the supervisor to stop; its argument is the signal's number."""


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise _Stopped(signum)


def _end(pid: int, grace: float) -> None:
    """End the process ``pid``: wait ``grace`` seconds, then ask it, then kill it."""
    if _ended(pid, grace):
        return
    os.kill(pid, signal.SIGTERM)
    if not _ended(pid, TERMINATED_GRACE):
        os.kill(pid, signal.SIGKILL)
        posix.waitpid(pid, 0)


def _ended(pid: int, seconds: float) -> bool:
    """Does ``pid`` end within ``seconds``?"""
    until = time.monotonic() + seconds
    while posix.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def run_reloading(main: Callable[..., object], stop: Callable[[], None], **options: Any) -> NoReturn:
    """Run ``main(**options)`` in a green thread while this one watches the files.

    Exits with 3 when one changed, with 0 on SIGINT and SIGTERM; in both cases once ``stop()`` has returned.
    """

    def main_behind_the_watcher(**options: Any) -> None:
        # The watcher takes its first look before this thread is busy: what is saved meanwhile counts as a change.
        eventlet.sleep(0)
        main(**options)

    reloader = autoreload.get_reloader()
    autoreload.logger.info("Watching for file changes with %s", type(reloader).__name__)
    _watch(partial(autoreload.start_django, reloader, main_behind_the_watcher, **options), stop)


def run_until_it_loads(run: Callable[[], None]) -> None:
    """``run()``; if the project does not even load, show why and exit with 3 once a file has changed.

    Django's own ManagementUtility has that patience, as far as settings do load, for ``runserver`` only.
    """
    try:
        autoreload.check_errors(run)()
    except Exception:
        traceback.print_exc()
        # Not start_django(): there are no settings for the receivers of its signal.
        _watch(autoreload.get_reloader().run_loop, lambda: None)


def _watch(watch: Callable[[], object], stop: Callable[[], None]) -> NoReturn:
    """``watch()`` until it or a signal exits, then ``stop()``."""
    watcher = greenlet.getcurrent()

    def exit_watcher(signum: int) -> None:
        watcher.throw(SystemExit(0))

    with signals_to_hub(exit_watcher, *STOP_SIGNALS):
        try:
            watch()
        finally:
            stop()
    raise AssertionError("Django's reloader only ends by an exception")
