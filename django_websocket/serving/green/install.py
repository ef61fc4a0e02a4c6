"""Installs what this package adds to eventlet's monkey patch."""

from __future__ import annotations

from ...compat import processes
from . import (
    children,
    descriptors,
    event_loops,
    forks,  # noqa: F401  registers itself
    local,
    rlock,
)
from .semaphores import GreenSemaphore

__all__ = ["install"]

_installed = False


def install() -> None:
    """Call after the monkey patch, before the program runs; calling it again does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    local.install()
    rlock.install()
    event_loops.install()
    _install_sqlite()
    processes.use_in_os(
        read=descriptors.read,
        write=descriptors.write,
        system=children.system,
        wait=children.wait,
        waitpid=children.waitpid,
        wait3=children.wait3,
        wait4=children.wait4,
        waitid=children.waitid,
    )
    processes.use_selector(descriptors.Selector)
    processes.allow_forkserver()
    processes.use_in_spawning(descriptors.open_to_write)
    processes.use_semaphore(GreenSemaphore)


def _install_sqlite() -> None:
    try:
        from .sqlite.connection import install
    except ModuleNotFoundError:
        return  # this Python was built without SQLite
    install()
