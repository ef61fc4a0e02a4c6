"""What is private in the standard library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

__all__ = ["accept_connection"]


def accept_connection(listener: socket.socket) -> tuple[int, Any]:
    """Descriptor and address of the next connection; raises what ``accept()`` raises.

    ``socket.accept()`` is this private ``_accept()`` and a socket around it, which would be a green one in a patched
    process. Without it, that one is made and taken apart.
    """
    accept = getattr(listener, "_accept", None)
    if accept is not None:
        fd, address = accept()
        return fd, address
    sock, address = listener.accept()
    return sock.detach(), address
