"""Uses of private API of multiprocessing, concurrent.futures and threading, for processes that fork."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from functools import cache
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

__all__ = [
    "allow_forkserver",
    "disown_children",
    "end_children",
    "forget_other_threads",
    "has_children",
    "threading_after_fork",
    "use_in_os",
    "use_in_spawning",
    "use_selector",
    "use_semaphore",
]


def forget_other_threads() -> None:
    """In a forked child: make ``threading`` forget all threads but the calling green thread.

    ``threading._after_fork`` does this, but eventlet replaces it with a no-op because it assumes that green threads
    survive in the child. Here they don't, and joining one would wait forever.
    """
    names: dict[str, Any] = vars(threading)
    ident = threading.get_ident()
    active: dict[int, object] = names["_active"]
    if not isinstance(active.get(ident), threading.Thread):
        # The main thread in eventlet's copy of the module, which lacks attributes that other code expects.
        active.pop(ident, None)
    if "_get_main_thread_ident" in names:  # Python 3.13
        names["_get_main_thread_ident"] = lambda: ident
        for thread in {*threading.enumerate(), *names["_dangling"]}:
            if thread.ident != ident and thread.ident is not None:
                handle: Any = vars(thread)["_handle"]
                if hasattr(handle, "_greenthread"):
                    handle._greenthread = None
                handle._set_done()
    threading_after_fork()()


@cache
def threading_after_fork() -> Callable[[], None]:
    """``threading._after_fork`` as in the standard library, even if the module has been patched."""
    loader: Any = getattr(importlib.util.find_spec("threading"), "loader", None)
    code = next(
        constant
        for constant in loader.get_code("threading").co_consts
        if isinstance(constant, CodeType) and constant.co_name == "_after_fork"
    )
    return FunctionType(code, vars(threading))


def use_in_os(**functions: Callable[..., Any]) -> None:
    """Replace functions of ``os`` that exist on this system, and the references ``multiprocessing`` holds to them."""
    import os

    vars(os).update({name: function for name, function in functions.items() if hasattr(os, name)})
    from multiprocessing import connection

    cls: Any = connection.Connection
    # Default arguments, bound when the class was created.
    cls._send.__defaults__, cls._recv.__defaults__ = (os.write,), (os.read,)


def use_in_spawning(open_to_write: Callable[..., Any]) -> None:
    """Make ``multiprocessing`` use ``open_to_write(fd, "wb", closefd=...)`` to send a new process its arguments.

    Where processes are not forked, they come through a pipe, which ``open()`` and a blocking ``write()`` fill. Call
    :func:`allow_forkserver` first.
    """
    try:
        from multiprocessing import popen_forkserver, popen_spawn_posix
    except ImportError:  # no forkserver on this system
        return
    for module in (popen_forkserver, popen_spawn_posix):
        vars(module)["open"] = open_to_write


def use_selector(selector: type) -> None:
    """Make ``multiprocessing.connection.wait`` use ``selector``."""
    from multiprocessing import connection

    connection._WaitSelector = selector  # type: ignore[attr-defined]


def allow_forkserver() -> None:
    """Make ``multiprocessing`` detect that sockets can send descriptors.

    It looks for ``sendmsg`` in the socket class, but eventlet's class only provides it through ``__getattr__``.
    """
    import socket
    from multiprocessing import reduction

    vars(reduction)["HAVE_SEND_HANDLE"] = hasattr(socket, "CMSG_LEN") and hasattr(socket, "SCM_RIGHTS")


def use_semaphore(semaphore: Callable[[Any], Any]) -> None:
    """Make the locks and semaphores of ``multiprocessing`` wait with what ``semaphore`` returns for theirs."""
    try:
        from multiprocessing import synchronize
    except ImportError:  # no semaphores on this system
        return
    make_methods = synchronize.SemLock._make_methods  # type: ignore[attr-defined]

    def make_green_methods(self: Any) -> None:
        make_methods(self)
        green = semaphore(self._semlock)
        self.acquire, self.release = green.acquire, green.release

    def enter(self: Any) -> bool:
        return bool(self.acquire())

    def leave(self: Any, *_: object) -> None:
        self.release()

    cls: Any = synchronize.SemLock
    cls._make_methods, cls.__enter__, cls.__exit__ = make_green_methods, enter, leave


def has_children() -> bool:
    """Whether ``multiprocessing`` or an executor has anything to shut down before the process exits."""
    from multiprocessing import process, util

    futures = sys.modules.get("concurrent.futures.process")
    registry: Any = util._finalizer_registry  # type: ignore[attr-defined]
    return bool(process._children or registry or (futures and futures._threads_wakeups))  # type: ignore[attr-defined]


def end_children() -> None:
    """Shut down executors and ``multiprocessing`` as Python does at exit, which then has nothing left to do."""
    from multiprocessing import util

    futures = sys.modules.get("concurrent.futures.process")
    if futures:
        futures._python_exit()
    util._exit_function()  # type: ignore[attr-defined]


def disown_children() -> tuple[list[BaseProcess], list[BaseProcess]]:
    """Return the remaining children: workers and daemons, and all others. Python no longer waits for them at exit."""
    from multiprocessing import pool, process, util

    for thread in threading.enumerate():
        if getattr(thread, "_state", None) in (pool.RUN, pool.CLOSE):
            # A pool's thread, which would replace each worker that is killed.
            vars(thread)["_state"] = pool.TERMINATE
    children: set[BaseProcess] = process._children  # type: ignore[attr-defined]
    workers = {child for child in children if child.daemon}
    futures = sys.modules.get("concurrent.futures.process")
    if futures:
        for thread in list(futures._threads_wakeups):
            workers.update(thread.processes.values())
        futures._threads_wakeups.clear()
    left = [child for child in children if child not in workers and child.exitcode is None]
    children.clear()
    util._finalizer_registry.clear()  # type: ignore[attr-defined]
    return list(workers), left
