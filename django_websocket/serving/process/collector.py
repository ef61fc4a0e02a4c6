"""Tunes the garbage collector for a process that holds tens of thousands of long-lived sockets.

By default Python collects new objects every 700 allocations, and the survivors every ten such passes: while clients
connect, that takes a large share of the time. What Django imported is permanent, so it is frozen; what a socket needs
is long-lived, so it is collected less often. A pass stops the process for about 0.4 µs per object: the thresholds here
keep all but the rarest passes below some 50 ms. A websocket itself leaves nothing for the collector.
"""

from __future__ import annotations

import gc

__all__ = ["tune_collector"]

NEW = 10_000
"""Net allocations between passes over new objects: those of about forty requests."""

YOUNG = 10
"""Passes over new objects between passes that include their survivors: at most a hundred thousand objects."""

OLD = 20
"""Such passes between full ones, which need a quarter of objects to be new. A full pass takes some 30 ms per 1000
websockets."""


def tune_collector() -> None:
    """Freeze what is loaded and raise the thresholds. Call once per serving process, after loading the application."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW, YOUNG, OLD)
