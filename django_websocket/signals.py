"""Signals, sent in the view's greenlet; a receiver may block and use the database, and its errors are logged.

:data:`websocket_opened`: the ``101`` has been sent. Arguments: ``sender`` (:class:`~django_websocket.WebSocket`),
``websocket``, ``request``.

:data:`websocket_closed`: the view has ended. Arguments: ``sender``, ``websocket``, ``request``, ``code`` and ``reason``
(as ``websocket.close_code`` and ``close_reason``), ``duration`` (seconds), ``messages_received``, ``messages_sent``,
``bytes_received``, ``bytes_sent`` (on the wire, excluding the handshake).
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["websocket_closed", "websocket_opened"]

websocket_opened = Signal()
websocket_closed = Signal()
