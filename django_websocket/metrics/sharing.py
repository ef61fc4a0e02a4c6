"""How the processes of one site share their figures.

In its multi-process mode prometheus-client keeps the metrics of each process in files of the directory
PROMETHEUS_MULTIPROC_DIR, and any process can add all of them up. Ours are up to date only when somebody asks. So
whoever does changes the time of a file; the others see that within a tick, write theirs, and say so by the time of a
file each.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

__all__ = ["Sharing", "sharing"]

PATIENCE = 1.0
"""Seconds to wait for the others. The figures of a process that is blocked for longer are those of the last time."""

POLL_SECONDS = 0.02

_QUESTION = "django_websocket.asked"
_ANSWER = "django_websocket_{}.answered"
_OF_PROCESS = re.compile(r"(?:gauge_live[a-z]*_|django_websocket_)(\d+)\.(?:db|answered)")


class Sharing:
    """The directory, as one process sees it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._question = directory / _QUESTION
        self._answer: Path | None = None
        self._answered: int | None = None

    # One that is asked

    def join(self) -> None:
        """From now on this process looks for questions."""
        self._answer = self._directory / _ANSWER.format(os.getpid())
        self._answered = None

    def question(self) -> int | None:
        """What is to be answered; None if that was done. The first time there is always a question."""
        try:
            asked = self._question.stat().st_mtime_ns
        except FileNotFoundError:
            asked = 0
        return None if asked == self._answered else asked

    def answer(self, question: int) -> None:
        """The figures are written. Does nothing in a process that has not joined."""
        if self._answer is not None:
            self._answered = question
            _set_time(self._answer, question)

    def leave(self) -> None:
        """This process answers no more; its last figures are written."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.unlink(missing_ok=True)

    # One that asks

    def ask(self) -> int:
        """Have all processes write their figures; return the question."""
        question = time.time_ns()
        _set_time(self._question, question)
        return question

    def wait(self, question: int) -> None:
        """Wait until all have answered, for :data:`PATIENCE` at most."""
        end = time.monotonic() + PATIENCE
        while self._is_unanswered(question) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)

    def _is_unanswered(self, question: int) -> bool:
        for answer in self._directory.glob(_ANSWER.format("*")):
            try:
                if answer.stat().st_mtime_ns < question:
                    return True
            except FileNotFoundError:
                pass  # it has left
        return False

    def files(self) -> list[str]:
        """Those that have figures."""
        found = []
        for path in self._directory.glob("*.db"):
            try:
                if path.stat().st_size:
                    found.append(str(path))
            except FileNotFoundError:
                pass  # its process has left
        return found

    def forget_dead(self) -> None:
        """Remove what processes have left that were killed: their gauges would count for ever."""
        for name in os.listdir(self._directory):
            found = _OF_PROCESS.fullmatch(name)
            if found is None or _is_alive(int(found[1])):
                continue
            try:
                mark_process_dead(int(found[1]), str(self._directory))  # type: ignore[no-untyped-call]  # no types
            except FileNotFoundError:
                pass  # another process does the same
            (self._directory / _ANSWER.format(found[1])).unlink(missing_ok=True)


def _set_time(path: Path, time_ns: int) -> None:
    path.touch()
    os.utime(path, ns=(time_ns, time_ns))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # that of another user
    return True


def _find() -> Sharing | None:
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return None
    os.makedirs(directory, exist_ok=True)
    return Sharing(Path(directory))


sharing = _find()
"""None in a process that shares nothing."""
