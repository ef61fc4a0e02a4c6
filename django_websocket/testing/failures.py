"""What a test of a websocket view raises, and what it says about the views."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from django.http import HttpResponse
from django.urls import Resolver404, resolve

from ..handover import State
from ..websocket import WebSocket

__all__ = ["NothingReceived", "ViewStuck", "WebSocketRejected", "describe_views", "user_line"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class WebSocketRejected(Exception):
    """The handshake got another response than 101."""

    def __init__(self, path: str, response: Any, text: str | None = None) -> None:
        self.path = path
        """Where the websocket was to be opened."""
        self.response: Any = response
        """The response, with what Django's test client adds to it."""
        self._text = text or _describe_rejection(path, response)
        super().__init__(self._text)

    def __reduce__(self) -> Any:
        # Django's parallel test runner pickles exceptions, and the test client's additions can't be pickled.
        sent = self.response
        content = b"" if sent.streaming else sent.content
        response = HttpResponse(content, status=sent.status_code, reason=sent.reason_phrase, headers=sent.headers)
        return type(self), (self.path, response, self._text)

    @property
    def status_code(self) -> int:
        """The status of the response."""
        status: int = self.response.status_code
        return status


def _describe_rejection(path: str, response: Any) -> str:
    text = f"the websocket {path} was rejected with {response.status_code} {response.reason_phrase}"
    if (hint := _hint(path, response)) is not None:
        return f"{text}: {hint}"
    if not response.streaming and (content := _first_line(response)):
        text += f": {content}"
    return text


def _first_line(response: Any) -> str:
    lines = response.content[:500].decode(errors="replace").strip().splitlines()
    return lines[0] if lines and not lines[0].startswith("<") else ""


def _hint(path: str, response: Any) -> str | None:
    location = response.headers.get("Location", "")
    if location.split("?")[0].rstrip("/").endswith(path.split("?")[0].rstrip("/")):
        return f"the path redirects to {location}; a websocket is not redirected, so use that path"
    if location:
        return f"it redirects to {location}; if the view needs a user, call client.force_login(user) first"
    if response.status_code == 403 and (content := _first_line(response)).startswith("login is required"):
        return f"{content}; call client.force_login(user) first"
    if response.status_code == 404 and not _is_routed(response):
        return "no URL pattern matches this path"
    if response.status_code == 200:
        return (
            "the view returned a response; it accepts with its first use of request.websocket, and needs "
            "@accept_websocket or @require_websocket"
        )
    return None


def _is_routed(response: Any) -> bool:
    request = response.wsgi_request
    try:
        resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return False
    return True


class NothingReceived(AssertionError):
    """No message came, and none can come: every view waits, or has ended."""


class ViewStuck(AssertionError):
    """A view blocked the test."""


def user_line(frame: FrameType | None) -> str | None:
    """Return the innermost line of ``frame`` and its callers outside this package, as text; None if there is none."""
    inner: FrameType | None = None
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((_PACKAGE, "<")):
            inner = inner or frame
            if not _is_library(name):
                inner = frame
                break
        frame = frame.f_back
    if inner is None:
        return None
    line = linecache.getline(inner.f_code.co_filename, inner.f_lineno).strip()
    place = f"{inner.f_code.co_filename}, line {inner.f_lineno}, in {inner.f_code.co_name}"
    return f"{place}: {line}" if line else place


_LIBRARIES = tuple({os.path.dirname(os.path.abspath(module)) + os.sep for module in (os.__file__, linecache.__file__)})


def _is_library(name: str) -> bool:
    """Whether a file belongs to the standard library or an installed package."""
    return name.startswith(_LIBRARIES) or f"{os.sep}site-packages{os.sep}" in name


def describe_views(websockets: Iterable[WebSocket]) -> Iterator[str]:
    """Yield one line for each websocket: where its view waits."""
    for websocket in websockets:
        handover = websocket.handover
        if handover is None or handover.state is State.ENDED:
            yield f"  {websocket.path}: the view has ended"
        else:
            yield f"  {websocket.path}: the view waits at {user_line(handover.frame) or 'an unknown place'}"
