"""The acceptor, on the hub of this thread."""

from __future__ import annotations

import os
import socket
from typing import Any

from django_websocket.serving.patch import eventlet
from django_websocket.serving.process.acceptor import Acceptor
from tests.deadlines import deadline


def test_a_descriptor_that_was_closed_unseen_and_is_used_again_is_the_new_connections() -> None:
    """A library may close a socket that somebody waits for; the kernel gives its number to the next connection."""
    hub = eventlet.hubs.get_hub()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    taken: list[socket.socket] = []
    readable: list[int] = []
    listeners: list[Any] = []
    lost: list[str] = []
    gone = socket.socket()
    hub.add(hub.READ, gone.fileno(), readable.append, lambda error: lost.append(type(error).__name__), None)
    with socket.socket() as client:

        def take(sock: socket.socket, address: Any) -> None:
            taken.append(sock)
            listeners.append(hub.add(hub.READ, sock.fileno(), arrived, lambda *error: None, lambda: None))

        def arrived(fd: int) -> None:
            readable.append(fd)
            hub.remove(listeners.pop())

        acceptor = Acceptor(listener, take, batch=1)
        number = gone.fileno()
        os.close(number)
        gone.detach()
        acceptor.start()
        client.connect(listener.getsockname())
        try:
            with eventlet.Timeout(deadline(10)):
                while not taken:
                    eventlet.sleep(0)
                assert taken[0].fileno() == number, "the kernel takes the lowest free number"
                client.sendall(b"x")
                while not readable:
                    eventlet.sleep(0)
            assert taken[0].recv(10) == b"x"
            assert readable == [number]
            # epoll forgets a closed descriptor. The other hubs find it invalid, and drop its listener before.
            told = ["IOClosed"] if type(hub).__module__ == "eventlet.hubs.epolls" else []
            assert lost == told
        finally:
            acceptor.close(accept_pending=False)
            for sock in taken:
                sock.close()
