"""Signals about websockets and groups. Receivers take ``**kwargs``, as with all of Django's; their errors are logged.

Those about a websocket have the class :class:`~django_websocket.WebSocket` as ``sender``.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["messages_lost", "websocket_closed", "websocket_opened", "websocket_refused"]

websocket_opened = Signal()
"""A websocket is open: its ``101`` has been sent.

Sent in the view's greenlet, so a receiver may block and use the database. Arguments: ``websocket``, ``request``.
"""

websocket_closed = Signal()
"""The view of a websocket has ended.

Sent in the view's greenlet, so a receiver may block and use the database. Arguments: ``websocket``, ``request``,
``code`` and ``reason`` (:attr:`.WebSocket.close_code` and :attr:`.WebSocket.close_reason`), ``duration`` (seconds),
``messages_received``, ``messages_sent``, ``bytes_received``, ``bytes_sent`` (on the wire, excluding the handshake).
"""

websocket_refused = Signal()
"""A handshake that this server received got no websocket.

Sent wherever that was noticed, so receivers must be quick. Arguments: ``reason`` (a
:class:`~django_websocket.exceptions.RefusalReason`), ``status`` (of the HTTP response; 0 if there was none),
``environ`` (of the request; empty where none was read, and for ``handshake_rate``).
"""

messages_lost = Signal()
"""Messages of groups may have been sent that members or subscriptions of this process did not get, and that no history
could replace.

Sent wherever that was noticed, so receivers must be quick. Its ``sender`` is the class
:class:`~django_websocket.Group`. Arguments: ``groups`` (their names), ``reason`` (for people).
"""
