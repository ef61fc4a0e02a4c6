"""A TLS client for code that reads and writes in two threads, which no SSLSocket stands: both touch OpenSSL's state."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

__all__ = ["over_tls"]


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
