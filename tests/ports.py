"""Ports for programs that can't be told to take just any.

They are below those that the kernel gives out, so that nobody else is given one before the program listens there.
"""

import os
import secrets
import socket
from collections.abc import Iterator

__all__ = ["free_port"]

RANGE = range(10_100, 20_000)
"""Behind 10080, the last one that browsers refuse. A Redis Cluster's nodes also use the port 10000 above."""

WORKERS = 8


def _candidates() -> Iterator[int]:
    """Those of this worker of pytest-xdist, again and again."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    share = RANGE[int(worker) % WORKERS :: WORKERS]
    number = secrets.randbelow(len(share))  # another run may go on beside this one
    while True:
        yield share[number % len(share)]
        number += 1


_own = _candidates()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has; not soon the same again."""
    for port in _own:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("they never end")
