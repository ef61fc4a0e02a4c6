"""A TLS client for code that reads and writes in two threads, which no SSLSocket stands: both touch OpenSSL's state."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from tests.deadlines import deadline

__all__ = ["connect_over_tls", "over_tls"]


def connect_over_tls(url: str, context: ssl.SSLContext, **options: Any) -> ClientConnection:
    """A websocket of the ``websockets`` library to a ``wss://`` URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    sock = socket.create_connection((parts.hostname, parts.port or 443), deadline(20))
    client: ClientConnection = connect(
        url.replace("wss://", "ws://", 1),
        sock=over_tls(sock, context, parts.hostname),
        proxy=None,
        open_timeout=deadline(20),
        **options,
    )
    return client


def over_tls(sock: socket.socket, context: ssl.SSLContext, name: str) -> socket.socket:
    """A plain socket, whose bytes go over ``sock`` with TLS. Closing it closes both."""
    inner, outer = socket.socketpair()
    threading.Thread(target=asyncio.run, args=(_relay(inner, sock, context, name),)).start()
    return outer


async def _relay(inner: socket.socket, sock: socket.socket, context: ssl.SSLContext, name: str) -> None:
    near = await asyncio.open_connection(sock=inner)
    far = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name)
    await asyncio.gather(_pass_on(near[0], far[1]), _pass_on(far[0], near[1]))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass
