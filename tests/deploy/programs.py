"""Servers that a test starts: on ports of their own, and gone at its end."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.deadlines import deadline
from tests.ports import free_port

__all__ = ["free_ports", "running"]


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


@contextmanager
def running(
    command: Sequence[str], log: Path, ports: Sequence[int], env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, once it listens on all of ``ports``."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=env) as process:
        try:
            end = time.monotonic() + deadline(20)
            for port in ports:
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", port), timeout=1).close()
                        break
                    except OSError:
                        if process.poll() is not None or time.monotonic() > end:
                            raise RuntimeError(f"{command[0]} did not start: {log.read_text()}") from None
                        time.sleep(0.01)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(deadline(10))
            except subprocess.TimeoutExpired:
                process.kill()
