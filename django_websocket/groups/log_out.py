"""Tells the other processes that a session has been logged out, so that they close its websockets at once.

The watch of :mod:`..sessions` would find out some seconds later; it stays the safety net.
"""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.http import HttpRequest

from ..conf import get_setting
from ..exceptions import GroupsUnavailable
from ..sessions import session_digest, session_watch
from .message import BINARY, GroupMessage
from .receivers import receivers

__all__ = ["LOG_OUTS", "listen_for_log_outs"]

logger = logging.getLogger("django_websocket")

LOG_OUTS = "!log-outs"
"""No name that a group can have."""


def listen_for_log_outs() -> None:
    """Close what other processes log out, from now on; does nothing where sessions are not checked."""
    if get_setting("WEBSOCKET_SESSION_CHECK_INTERVAL"):
        receivers.listen(LOG_OUTS, _Closer())


class _Closer:
    def put(self, message: GroupMessage) -> None:
        session_watch.close_digest(message.body)


def _tell(request: HttpRequest | None, **kwargs: Any) -> None:
    session = getattr(request, "session", None)
    if session is None or not session.session_key or not get_setting("WEBSOCKET_SESSION_CHECK_INTERVAL"):
        return
    try:
        receivers.backend.publish(GroupMessage(LOG_OUTS, BINARY, session_digest(session.session_key)), None)
    except GroupsUnavailable as error:
        logger.warning("Other processes will notice a log-out only at their next check of sessions: %s", error)


user_logged_out.connect(_tell, dispatch_uid="django_websocket.groups.log_out")
