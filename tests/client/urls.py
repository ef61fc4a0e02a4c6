"""A page with the client and what it connects to; and those of the documentation."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from itertools import count
from textwrap import dedent
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.staticfiles.views import serve
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template import engines
from django.urls import path

from django_websocket import Group, require_websocket, tickets
from tests.conftest import ROOT, code_blocks
from tests.site.urls import patterns
from tests.site.views.common import SocketRequest

from .project import GROUP

PAGE = """<!DOCTYPE html>
{% load django_websocket %}
<title>Live</title>
<link rel="icon" href="data:,">
{% websocket_client %}
<script type="module" nonce="{{ request.csp_nonce }}">
import { connect } from "django-websocket";

window.start = (path, options) => {
  const socket = connect(path, options);
  const told = { messages: [], states: [], close: null };
  socket.addEventListener("message", (event) => told.messages.push(event.data));
  socket.addEventListener("statechange", () => told.states.push(socket.transport ?? socket.state));
  socket.addEventListener("close", (event) => { told.close = event.code; });
  Object.assign(window, { socket, told });
};
addEventListener("pageshow", (event) => { window.persisted = event.persisted; });
</script>
"""


DOCUMENT = ROOT / "docs/howto/client.rst"

(_first, *_) = re.findall(r"code-block:: html\+django\n\n((?:    .*\n|\n)+)", DOCUMENT.read_text())
DOCUMENTED_PAGE = dedent(_first)

documented: dict[str, Any] = {"__name__": __name__}
exec(code_blocks(DOCUMENT)[0], documented)


def with_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that allows only scripts of the site, and those with the nonce."""

    def middleware(request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe()
        request.csp_nonce = nonce  # type: ignore[attr-defined]  # django-csp's
        response = get_response(request)
        if request.path == "/page/":
            policy = f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; img-src data:"
            response["Content-Security-Policy"] = policy
        return response

    return middleware


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PAGE).render({}, request))


def documented_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(DOCUMENTED_PAGE).render({}, request))


def other(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!DOCTYPE html><title>Another page</title>")


@require_websocket
def room(request: SocketRequest) -> None:
    """What the client says is said to the group."""
    request.websocket.join(GROUP, since=request.GET.get("since"))
    for message in request.websocket:
        Group(GROUP).send(message)


_connections = count(1)


@require_websocket
def numbered(request: SocketRequest) -> None:
    """The same, with the number of the connection before each text: they go up with time."""
    request.websocket.join(GROUP, since=request.GET.get("since"))
    connection = next(_connections)
    for message in request.websocket:
        assert isinstance(message, str)
        Group(GROUP).send(f"{connection} {message}")


def events(request: HttpRequest) -> StreamingHttpResponse:
    return Group(GROUP).event_stream(request, since=request.GET.get("since"))


def say(request: HttpRequest) -> HttpResponse:
    """Says ``?text=`` to the group."""
    Group(GROUP).send(request.GET["text"])
    return HttpResponse("said")


def ticket(request: HttpRequest) -> JsonResponse:
    """One without a session, which needs to be refreshed."""
    user, _ = get_user_model().objects.get_or_create(username="ann")
    return JsonResponse(tickets.describe(request, user))


@require_websocket
def greets(request: SocketRequest) -> None:
    """Tells the client who it is, and sends everything back."""
    request.websocket.send(f"Hello, {request.user}")
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket
def closes(request: SocketRequest, code: int) -> None:
    request.websocket.close(code)


@require_websocket
def forbids(request: SocketRequest) -> None:
    raise PermissionDenied


views: Any = {
    "room": room,
    "numbered": numbered,
    "greets": greets,
    "closes": closes,
    "forbids": forbids,
}  # the stubs know of no view that returns None

urlpatterns = [
    path("page/", page),
    path("other/", other),
    path("documented/", documented_page),
    path("chat/<slug:room>/socket/", documented["chat"]),
    path("room/", views["room"]),
    path("numbered/", views["numbered"]),
    path("events/", events),
    path("say/", say),
    path("ticket/", ticket),
    path("greets/", views["greets"]),
    path("closes/<int:code>/", views["closes"]),
    path("forbids/", views["forbids"]),
    *patterns("tickets"),
    path("static/<path:path>", serve, {"insecure": True}),
]
