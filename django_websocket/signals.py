"""Signals, sent in the view's greenlet; a receiver may block and use the database, and its errors are logged.

:data:`websocket_opened`: the ``101`` is on the wire. Arguments: ``sender`` (:class:`~django_websocket.WebSocket`),
``websocket``, ``request``.

:data:`websocket_closed`: the view has ended. Arguments: ``sender``, ``websocket``, ``request``, ``code`` and ``reason``
(as ``websocket.close_code`` and ``close_reason``), ``duration`` (seconds), ``messages_received``, ``messages_sent``,
``bytes_received``, ``bytes_sent`` (on the wire, without the handshake).
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["websocket_closed", "websocket_opened"]

websocket_opened = Signal()
websocket_closed = Signal()
