"""Websockets for Django, in plain blocking Python.

The public names are imported when they are first used: a server patches the standard library before Django is imported,
and it is this package that it imports for that. See the README for how to use them; this is how the package works.

The way of a handshake::

    serving/process/acceptor     accept(2), in the hub
    serving/http/connection      reads the head, calls the WSGI application in a greenlet
        Django's middleware
    decorators or middleware     request.attach_websocket: is it one, and a sound one?
    opening.serve_websocket      origin, options; then
    handover.Handover            the view runs in a greenlet of its own
        the view                 first use of request.websocket: websocket.WebSocket.accept
    opening.Opening.accept       makes the 101 and parks the view
        Django's middleware      the 101 is a response like any other
    serving/http/connection      sends it, ends the request
    serving/process/server       makes a channel of the socket (serving/sockets/channel)
    opening.Opening.open         attaches the driver, tells the registry, resumes the view
        the view                 goes on; when it ends: opening.Opening._end, which closes

The way of a message, in and out::

    hub -> driver.Driver._on_readable -> protocol.connection.Connection.receive_data -> the queue
        -> the view's greenlet, in websocket.WebSocket.wait
    the view -> websocket.WebSocket.send -> Connection.encode_text -> driver.Driver.write -> channel.send
        -> outbox.Outbox, for what the kernel does not take at once

Where things are decided:

* ``protocol/``: RFC 6455 and RFC 7692 without I/O. ``close_codes``, ``exceptions``: what can go wrong.
* ``channel``: what a server has to offer. ``driver``, ``waiter``, ``outbox``: everything between the protocol and a
  channel: answers, pings, the closing handshake, bounds in bytes and time.
* ``registry``: the open sockets, and who is told when they close: ``sessions`` (log-out closes), pings, the server.
* ``database``: connections of views that wait. ``request``: what a view keeps of its request.
* ``serving/``, which alone knows eventlet: ``green/`` (the process), ``wire`` (a socket, plain or under TLS), ``http/``
  (requests and responses), ``sockets/`` (open websockets, and when a ping is due), ``process/`` (the server around
  both, its end), ``runserver/`` (the command in development).
* ``testing/``: a channel in memory. ``compat``: whatever is private in Django, asgiref or Python.

Imports point down this list only; a test enforces it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .close_codes import CloseCode
    from .decorators import accept_websocket, require_websocket
    from .exceptions import ConcurrencyError, ConnectionClosed, HandshakeAborted, WebSocketException
    from .request import WebSocketRequest
    from .websocket import WebSocket

__all__ = [
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "HandshakeAborted",
    "WebSocket",
    "WebSocketException",
    "WebSocketRequest",
    "accept_websocket",
    "require_websocket",
]

__version__ = "1.0.0.dev0"

_MODULES = {
    "CloseCode": ".close_codes",
    "ConcurrencyError": ".exceptions",
    "ConnectionClosed": ".exceptions",
    "HandshakeAborted": ".exceptions",
    "WebSocket": ".websocket",
    "WebSocketException": ".exceptions",
    "WebSocketRequest": ".request",
    "accept_websocket": ".decorators",
    "require_websocket": ".decorators",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
