"""Signals, sent in the view's greenlet; a receiver may block and use the database, and its errors are logged.

:data:`websocket_opened`: the ``101`` has been sent. Arguments: ``sender`` (:class:`~django_websocket.WebSocket`),
``websocket``, ``request``.

:data:`websocket_closed`: the view has ended. Arguments: ``sender``, ``websocket``, ``request``, ``code`` and ``reason``
(as ``websocket.close_code`` and ``close_reason``), ``duration`` (seconds), ``messages_received``, ``messages_sent``,
``bytes_received``, ``bytes_sent`` (on the wire, excluding the handshake).

:data:`messages_lost`: messages of groups may have been sent that members or subscriptions of this process did not get,
and that no history could replace. Sent wherever that was noticed, so receivers must be quick. Arguments: ``sender``
(:class:`~django_websocket.Group`), ``groups`` (their names), ``reason`` (for people).

:data:`websocket_refused`: a handshake that our server has received got no websocket. Sent wherever that was noticed, so
receivers must be quick. Arguments: ``sender`` (:class:`~django_websocket.WebSocket`), ``reason`` (a
:class:`~django_websocket.exceptions.RefusalReason`), ``status`` (of the HTTP response; 0 if there was none),
``environ`` (of the request; empty where none was read, and for ``handshake_rate``).
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["messages_lost", "websocket_closed", "websocket_opened", "websocket_refused"]

websocket_opened = Signal()
websocket_closed = Signal()
websocket_refused = Signal()
messages_lost = Signal()
