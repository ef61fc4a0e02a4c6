"""The echo project, served in a process of its own."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.conftest import ROOT
from tests.deadlines import deadline

__all__ = ["echo_server"]

START_SECONDS = 20


@contextmanager
def echo_server(*options: str) -> Iterator[int]:
    """The port of the echo; ``options`` are those of :mod:`tests.compliance.echo`."""
    command = [sys.executable, "-m", "tests.compliance.echo", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            readable, _, _ = select.select([process.stdout], [], [], deadline(START_SECONDS))
            line = process.stdout.readline() if readable else ""
            if not line:
                raise RuntimeError("the echo server did not start")
            yield int(line)
            if process.poll() is not None:
                raise RuntimeError(f"the echo server ended before it was told to, with {process.returncode}")
        finally:
            process.terminate()
            try:
                process.wait(deadline(10))
            except subprocess.TimeoutExpired:
                process.kill()
