"""The garbage collector, in a process that holds tens of thousands of sockets for long.

Python's defaults look at new objects after every 700, and again at the survivors after ten such looks: while clients
connect, that takes a large part of the time. What Django imported stays for good, so it is set aside; what a socket
needs lives long, so it is looked at less often. Everything stops during a look, at 0.4 µs an object or so: the numbers
here keep all but the rarest looks below some 50 ms. A websocket itself leaves nothing for the collector to find.
"""

from __future__ import annotations

import gc

__all__ = ["tune_collector"]

NEW = 10_000
"""Allocations, less deallocations, before a look at new objects: those of about forty requests."""

YOUNG = 10
"""Looks at new objects before one at those that survived one, too: a hundred thousand objects at most."""

OLD = 20
"""Such looks before one at all objects, if a quarter of them is new. That takes some 30 ms for each 1000 websockets."""


def tune_collector() -> None:
    """Call once in a process that serves, after the application was loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW, YOUNG, OLD)
