"""Listening sockets: TCP, unix and inherited."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

from ..green import eventlet

if TYPE_CHECKING:
    import socket
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["SocketFile", "bind_sockets", "describe"]

BACKLOG = 2048
"""Connections that the kernel queues until they are accepted; it caps this at net.core.somaxconn."""


def bind_sockets(
    *addresses: str, backlog: int = BACKLOG, reuse_port: bool = False, socket_mode: int | None = None
) -> list[socket.socket]:
    """Return non-blocking listening sockets for ``addresses``.

    An address is ``host:port``, ``[IPv6 address]:port``, ``unix:path`` (or a path that begins with a slash),
    or ``fd://number`` for a listening socket that the process inherited. With ``reuse_port`` several processes may
    listen on one port, and the kernel distributes connections among them. ``socket_mode`` are the permissions of unix
    sockets' files; who may write to one may connect. None leaves them to the umask. Raises ValueError if an address is
    invalid and OSError if it can't be bound; in both cases no socket is left open.
    """
    bound: list[socket.socket] = []
    try:
        for address in addresses:
            bound.append(_bind(address, backlog, reuse_port, socket_mode))
    except BaseException:
        for listener in bound:
            listener.close()
        raise
    return bound


def describe(listener: socket.socket) -> str:
    """Return the address of ``listener`` in the format of :func:`bind_sockets`, with the actual port."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class SocketFile:
    """The file of a unix socket that this process has bound."""

    def __init__(self, listener: socket.socket) -> None:
        self._path = os.path.abspath(os.fsdecode(listener.getsockname()))
        self._identity = _identity(self._path)
        self._process = os.getpid()

    def remove(self) -> None:
        """Remove the file, unless another server has replaced it. In a forked child, do nothing."""
        if os.getpid() != self._process:
            return
        try:
            if _identity(self._path) == self._identity:
                os.unlink(self._path)
        except OSError:
            pass  # removed already, or no longer ours to remove


def _identity(path: str) -> tuple[int, int, int]:
    status = os.stat(path, follow_symlinks=False)
    # A file that replaces a removed one may get its inode number. The time of a socket's file is that of the bind.
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _bind(address: str, backlog: int, reuse_port: bool, socket_mode: int | None) -> socket.socket:
    if address.startswith("fd://"):
        number = address.removeprefix("fd://")
        if not number.isdigit():
            raise ValueError(f"not a file descriptor: {address!r}")
        return _adopt(int(number))
    if address.startswith(("unix:", "/")):
        return _bind_unix(address.removeprefix("unix:"), backlog, socket_mode)
    return _bind_tcp(address, backlog, reuse_port)


def _adopt(fd: int) -> socket.socket:
    listener = socket.socket(fileno=fd)
    try:
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.EINVAL, f"file descriptor {fd} is not a listening socket")
        listener.setblocking(False)
        os.set_inheritable(fd, False)
    except OSError:
        listener.detach()
        raise
    return listener


def _bind_tcp(address: str, backlog: int, reuse_port: bool) -> socket.socket:
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isdigit() or int(port) > 65535 or (":" in host and not bracketed):
        raise ValueError(f"not an address: {address!r}")
    found = socket.getaddrinfo(
        host[1:-1] if bracketed else host or "0.0.0.0",
        int(port),
        socket.AF_INET6 if bracketed else socket.AF_UNSPEC,
        socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE,
    )
    # "localhost" is first of all ::1 on many systems. IPv4 is what it means to Django's and gunicorn's servers.
    family, kind, protocol, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # "[::]" is IPv6 only, whatever the system's default: 0.0.0.0 can be bound as well, and no client
            # shows up as ::ffff:192.0.2.1.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _listen(listener, where, backlog)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind_unix(path: str, backlog: int, mode: int | None) -> socket.socket:
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Not chmod(2), before which others could connect, or put a file of theirs in the place of this one.
    umask = None if mode is None else os.umask(0o777 & ~mode)
    try:
        _listen(listener, path, backlog)
    except BaseException:
        listener.close()
        raise
    finally:
        if umask is not None:
            os.umask(umask)
    return listener


def _listen(listener: socket.socket, where: Any, backlog: int) -> None:
    listener.bind(where)
    listener.listen(backlog)
    listener.setblocking(False)


def _remove_stale(path: str) -> None:
    """Remove the socket file of a dead server; keep one that is in use, and any other file."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:  # in use, for example with a full queue: bind() will report it
            pass
