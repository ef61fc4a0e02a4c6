"""A process that is to exit, in one of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from django_websocket.serving.green.exiting import EXIT_SECONDS
from tests.conftest import ROOT
from tests.deadlines import deadline, wait_until

PROGRAM = """
from django_websocket.serving.patch import patch
patch()
import sys
from django_websocket.serving.green.exiting import guard_exit, native_sleep
guard_exit(3)
print("exiting", flush=True)
for _ in range(int(sys.argv[1])):
    native_sleep(0.01)
sys.exit(4)
"""


def exiting(steps: int) -> subprocess.Popen[str]:
    """A process that is guarded, and has so many hundredths of a second to do."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(steps)]
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize(("steps", "status"), [(1, 4), (100_000, 3)])
def test_the_exit_is_forced_if_it_does_not_come(steps: int, status: int) -> None:
    with exiting(steps) as process:
        _, errors = process.communicate(timeout=deadline(20))
    assert process.returncode == status
    assert ("the process did not exit within 2 s" in errors) is (status == 3)


def test_time_in_which_the_process_is_stopped_is_none_that_it_had() -> None:
    with exiting(20) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "exiting\n"
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state(process.pid) == "T", what="a stopped process")
        end = time.monotonic() + EXIT_SECONDS + 0.5
        wait_until(lambda: time.monotonic() > end)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=deadline(20))
    assert (process.returncode, errors) == (4, "")


def state(pid: int) -> str:
    """As proc(5) says."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
