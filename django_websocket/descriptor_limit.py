"""The limit on file descriptors, and how many connections it leaves room for."""

from __future__ import annotations

import resource
import sys

__all__ = ["SPARE_DESCRIPTORS", "cap_to_descriptors", "count_spare_descriptors", "hard_limit", "raise_to_hard_limit"]

SPARE_DESCRIPTORS = 128
"""File descriptors reserved for databases, files and the like."""


def hard_limit() -> int:
    """The number of descriptors that this process may have at most; ``sys.maxsize`` if there is no limit."""
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def raise_to_hard_limit() -> int:
    """Raise this process's limit to its hard limit, if that is allowed; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass
    return _number(soft)


def cap_to_descriptors(wanted: int, limit: int) -> int:
    """Return ``wanted``, or fewer connections if ``limit`` descriptors have no room for them."""
    return max(1, min(wanted, limit - SPARE_DESCRIPTORS if limit > 2 * SPARE_DESCRIPTORS else limit // 2))


def count_spare_descriptors(connections: int) -> int:
    """Return how many file descriptors the process's limit leaves beside those of ``connections``."""
    soft = _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return sys.maxsize if soft == sys.maxsize else max(0, soft - connections)


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
