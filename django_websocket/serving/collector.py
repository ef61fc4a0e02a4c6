"""The garbage collector, in a process that holds tens of thousands of sockets for long.

Python's defaults look at new objects after every 700, and again at the survivors after ten such looks: while clients
connect, that takes a large part of the time. What Django imported stays for good, so it is set aside; what a socket
needs lives long, so it is looked at less often. Garbage in cycles then waits a little longer: some megabytes at most.
"""

from __future__ import annotations

import gc

__all__ = ["tune_collector"]

#: Allocations, less deallocations, before a look at new objects: those of about a hundred requests.
NEW = 10_000

#: Looks at new objects before one at those that survived one.
YOUNG = 20


def tune_collector() -> None:
    """Call once in a process that serves, after the application was loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW, YOUNG, gc.get_threshold()[2])
