"""How server processes end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from tests.deadlines import deadline

__all__ = ["send_until_ended"]

PAUSE = 0.0005
"""Seconds between two signals: shorter than any step of a process that ends."""


def send_until_ended(
    process: subprocess.Popen[str] | subprocess.Popen[bytes],
    send: Callable[[signal.Signals], None] | None = None,
    seconds: float = 15,
) -> int:
    """Send SIGTERM and SIGINT again and again until ``process`` has ended; return its exit status."""
    send = send or partial(os.kill, process.pid)
    until = time.monotonic() + deadline(seconds)
    while process.poll() is None:
        assert time.monotonic() < until, "the process did not end"
        with suppress(ProcessLookupError):
            send(signal.SIGTERM)
            send(signal.SIGINT)
        time.sleep(PAUSE)
    return process.returncode
