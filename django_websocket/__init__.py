"""Websockets for Django, in plain blocking Python.

Public names are imported lazily: a server imports this package to patch the standard library, which must happen before
Django is imported. The documentation explains how to use the package; this explains how it works.

Path of a handshake::

    serving/process/acceptor     accept(2), in the hub
    serving/http/connection      reads the head, calls the WSGI application in a greenlet
        Django's middleware
    decorators or middleware     request.attach_websocket: is it a valid websocket handshake?
    opening.serve_websocket      origin, options; then
    handover.Handover            the view runs in its own greenlet
        the view                 first use of request.websocket: websocket.WebSocket.accept
    opening.Opening.accept       builds the 101 and parks the view
        Django's middleware      the 101 is a response like any other
    serving/http/connection      sends it, ends the request
    serving/process/server       wraps the socket in a channel (serving/sockets/channel)
    opening.Opening.open         attaches the driver, notifies the registry, resumes the view
        the view                 continues; when it ends, Handover._main calls Opening._end, which starts closing

Path of a message, in and out::

    hub -> driver.Driver._on_readable -> protocol.connection.Connection.receive_data -> the queue
        -> the view's greenlet, in websocket.WebSocket.wait
    the view -> websocket.WebSocket.send -> Connection.encode_text -> driver.Driver.write -> channel.send
        -> outbox.Outbox, for what the kernel does not accept immediately

Where things are:

* ``protocol/``: RFC 6455 and RFC 7692 without I/O. ``close_codes``, ``exceptions``: what can go wrong.
* ``channel``: the interface a server implements. ``driver``, ``waiter``, ``outbox``, ``pacing``: everything between the
  protocol and a channel. ``driver`` sends replies and pings, runs the closing handshake and enforces all limits in
  bytes; ``pacing`` limits how fast compressed messages are inflated, in slices that ``serving/green/turns`` spreads
  over the hub's turns.
* ``registry``: the open sockets, and the observers that learn of their end: ``sessions``, ``keepalive`` (pings), the
  server.
* ``metrics/``: figures for Prometheus, read when it asks. ``background``: jobs that run while a server serves.
  ``hub_lag``: such a job, which measures how late everything else is. ``refusals``: tells of handshakes that got no
  websocket. ``tracing/``: spans for OpenTelemetry and Sentry.
* ``live_page/``: an application of its own, which shows the open websockets of all processes in the admin.
* ``endless_loops``: stops views that go on using a closed websocket.
* ``sessions``: closes sockets after a log-out, which ``serving/process/site`` looks for every few seconds.
* ``database``: database connections of views. ``request``: what a request keeps while its socket is open.
  ``visitor``: who opened it.
* ``serving/``, the only code that knows eventlet: ``green/`` (eventlet, and what it leaves undone), ``wire`` (a socket,
  plain or TLS), ``http/`` (requests and responses), ``sockets/`` (open websockets), ``process/`` (the server around
  both, its shutdown, ``site``, which adds what Django needs, and ``worker``, which runs it for ``gunicorn``),
  ``runserver/`` (the development command). ``green/stalls`` measures deadlines, ``green/thread_calls`` takes the calls
  of native threads, ``green/outputs`` keeps standard output from blocking, ``http/spool`` receives chunked bodies
  before the application.
* ``groups/``: ``group`` is what projects use; ``backend`` the interface of what carries messages between processes, and
  ``memory`` and ``redis/`` two of that; ``receivers`` writes a message to the members in this process, through
  ``driver.Driver.write_shared``; ``subscription``, ``waiting`` and ``event_stream`` are other ways to receive. ``home``
  is the server's thread, for senders in others.
* ``memo``: bounded caches of what clients send. ``redirects``: handshakes that a login page would get. ``compat``:
  every use of private parts of Django, asgiref or Python.
* ``testing/``: the test client. ``memory`` is a channel without sockets, ``world`` the clock of a test and the views in
  it. The client's side of RFC 6455 is ``protocol/client``.
* ``endpoints``: which URLs take websockets. ``terminal/``: the client of ``manage.py websocket``.

A lower layer never imports a higher one: ``tests/test_layers.py`` holds the order and enforces it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .close_codes import CloseCode
    from .decorators import accept_websocket, require_websocket
    from .exceptions import (
        ConcurrencyError,
        ConnectionClosed,
        GroupsUnavailable,
        HandshakeAborted,
        WebSocketException,
    )
    from .groups.group import Group
    from .groups.subscription import Notice
    from .groups.waiting import wait_any
    from .request import WebSocketRequest
    from .websocket import WebSocket

__all__ = [
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "Group",
    "GroupsUnavailable",
    "HandshakeAborted",
    "Notice",
    "WebSocket",
    "WebSocketException",
    "WebSocketRequest",
    "accept_websocket",
    "require_websocket",
    "wait_any",
]

__version__ = "1.0.0.dev0"

_MODULES = {
    "CloseCode": ".close_codes",
    "ConcurrencyError": ".exceptions",
    "ConnectionClosed": ".exceptions",
    "Group": ".groups.group",
    "GroupsUnavailable": ".exceptions",
    "HandshakeAborted": ".exceptions",
    "Notice": ".groups.subscription",
    "WebSocket": ".websocket",
    "WebSocketException": ".exceptions",
    "WebSocketRequest": ".request",
    "accept_websocket": ".decorators",
    "require_websocket": ".decorators",
    "wait_any": ".groups.waiting",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
