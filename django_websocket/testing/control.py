"""What a test and its live server say to each other: pickled objects over a socket."""

from __future__ import annotations

import pickle
import socket
from typing import Any

__all__ = ["Control"]


class Control:
    """One end of the connection. It ends with the process that holds the other end, whatever ends that."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, obj: Any) -> None:
        """Send ``obj``. Raises OSError if the other process has ended, and what pickling raises."""
        data = pickle.dumps(obj)
        self._sock.sendall(len(data).to_bytes(8, "big") + data)

    def receive(self, timeout: float | None = None) -> Any:
        """Return the next object. Raises EOFError if the other process has ended, TimeoutError, and OSError."""
        self._sock.settimeout(timeout)
        size = int.from_bytes(self._receive_exactly(8), "big")
        return pickle.loads(self._receive_exactly(size))

    def close(self) -> None:
        """Close this end."""
        self._sock.close()

    def _receive_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            received = self._sock.recv(min(size - len(data), 1 << 16))
            if not received:
                raise EOFError("the other process has ended")
            data += received
        return data
