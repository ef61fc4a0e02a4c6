"""Keeps clients from a listener that is about to be closed, where others listen at the same port (``SO_REUSEPORT``).

With a listener that is closed, the kernel resets what is in its queue, and also what is on its way there: a client that
has begun to connect finds nobody, though the others would have had it. So there must be none. A socket filter
(socket(7), ``SO_ATTACH_FILTER``) drops the first packet of each connection: the client, which sends it again after a
second, finds another listener, and those whose first packet came before still get in.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from typing import TYPE_CHECKING

from ..green import eventlet

if TYPE_CHECKING:
    import socket
else:
    socket = eventlet.patcher.original("socket")

__all__ = ["shun"]

SO_ATTACH_FILTER = 26
"""On Linux, which the socket module doesn't name."""

# Of a TCP packet: RFC 9293, section 3.1. The program is in the notation of bpf(4).
_INSTRUCTIONS = (
    (0x30, 0, 0, 13),  # ldb [13]: the flags
    (0x54, 0, 0, 0x12),  # and #0x12: SYN and ACK
    (0x15, 0, 1, 0x02),  # jeq #0x02, 0, 1: SYN alone
    (0x06, 0, 0, 0),  # ret #0: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: keep
)


def shun(listener: socket.socket) -> bool:
    """Let nobody begin to connect to ``listener`` any more; False if no other one could have the client instead.

    It can't be taken back, and holds for all processes that have this listener.
    """
    if not sys.platform.startswith("linux") or listener.family == socket.AF_UNIX:
        return False
    try:
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            return False
        program = b"".join(struct.pack("HBBI", *instruction) for instruction in _INSTRUCTIONS)
        buffer = ctypes.create_string_buffer(program, len(program))
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(_INSTRUCTIONS), ctypes.addressof(buffer))
        )
    except OSError:  # a sandbox may forbid it
        return False
    return True
