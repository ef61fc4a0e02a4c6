"""Processes that the bench starts: pinned to a core, each the leader of its own session, stopped by pid."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .environment import ROOT
from .procfs import listens, session_pids


class Failure(Exception):
    """The reason that the report gives for a missing figure."""


def cores() -> tuple[int, int]:
    """The server's core and the load generator's; the same one on a single-core machine."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def end_with_us() -> None:
    """Make SIGTERM end this process like Ctrl-C, so that the processes it started end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("benchmarks: terminated"))


def free_port() -> int:
    """A loopback port that is currently free."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str],
    port: int,
    core: int,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    patience: float = 30.0,
) -> Iterator[int]:
    """Start ``command``, which listens on ``port``; gives its pid, which is its session's id too, and ends it after.

    Raises Failure with the end of its output if it ends, or does not listen within ``patience`` seconds.
    """

    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,
        )
        try:
            if not _listens(process, port, patience):
                raise Failure(f"did not start: {_last_line(output.fileno())}")
            yield process.pid
            if process.poll() is not None:
                raise Failure(f"ended by itself ({process.returncode}): {_last_line(output.fileno())}")
        finally:
            end(process)


def _listens(process: subprocess.Popen[bytes], port: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and process.poll() is None:
        if listens(process.pid, port):
            return True
        time.sleep(0.02)
    return False


def _last_line(fd: int) -> str:
    size = os.fstat(fd).st_size
    text = os.pread(fd, 4096, max(0, size - 4096)).decode(errors="replace").strip()
    return text.splitlines()[-1] if text else "no output"


def end(process: subprocess.Popen[bytes], *, patience: float = 3.0) -> None:
    """Stop the process, then kill it and whatever is left of its session."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid in session_pids(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
