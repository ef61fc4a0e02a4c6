"""Views for tests of the decorators and the middleware."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from django_websocket import accept_websocket, require_websocket

from ..journal import journal
from .common import SocketRequest


def answer(request: Any) -> HttpResponse | None:
    """Says what kind of request it was."""
    if request.is_websocket():
        request.websocket.send("websocket")
        return None
    assert request.websocket is None
    return HttpResponse("plain")


def undecorated(request: HttpRequest) -> HttpResponse:
    """Knows nothing of websockets."""
    journal.append("undecorated ran")
    if getattr(request, "websocket", None) is not None:
        return answer(request) or HttpResponse()
    return HttpResponse("plain")


@accept_websocket
def accepts(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


@require_websocket
def requires(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


@never_cache
@accept_websocket
@require_GET
def among_others(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


@method_decorator(accept_websocket, name="dispatch")
class Accepts(View):
    def get(self, request: HttpRequest) -> HttpResponse | None:
        return answer(request)


class Requires(View):
    @method_decorator(require_websocket)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse | None:
        return answer(request)


@method_decorator(require_websocket(subprotocols=["chat"]), name="get")
class DecoratedMethod(View):
    """Only the decorator of a method sees to it: the view itself carries no attribute."""

    def get(self, request: SocketRequest) -> None:
        request.websocket.accept()
        request.websocket.send(str(request.websocket.subprotocol))


def accepts_by_hand(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


def requires_by_hand(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


def refuses_by_hand(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


async def asynchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


class Asynchronous(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("plain")


accepts_class = Accepts.as_view()
requires_class = Requires.as_view()
decorated_method = DecoratedMethod.as_view()
asynchronous_class = Asynchronous.as_view()
_by_hand: list[Any] = [accepts_by_hand, asynchronous, asynchronous_class, decorated_method]
for _view in _by_hand:
    _view.accept_websocket = True
requires_by_hand.require_websocket = True  # type: ignore[attr-defined]  # as a project does it
refuses_by_hand.accept_websocket = False  # type: ignore[attr-defined]


@accept_websocket(max_message_size=100)
@require_websocket(subprotocols=["chat"], max_message_size=10)
def twice(request: SocketRequest) -> None:
    request.websocket.accept()
    request.websocket.send(str(request.websocket.subprotocol))
    for message in request.websocket:
        request.websocket.send(message)


@require_websocket(
    subprotocols=["superchat", "chat"],
    origins=["https://friend.example"],
    max_message_size=10,
    max_queue=2,
    compression=True,
)
def with_options(request: SocketRequest) -> None:
    request.websocket.accept()
    request.websocket.send(str(request.websocket.subprotocol))
    for message in request.websocket:
        request.websocket.send(message)


def unmarked(view: Any) -> Any:
    """A decorator that takes a view's attributes away."""

    def wrapper(request: HttpRequest) -> Any:
        response = view(request)
        journal.append(f"unwound {response.status_code}")
        return response

    return wrapper


@unmarked
@accept_websocket
def nested(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


@unmarked
@accept_websocket
def nested_refusal(request: HttpRequest) -> HttpResponse:
    return HttpResponse("no", status=403)


@unmarked
@accept_websocket
def nested_error(request: HttpRequest) -> HttpResponse:
    raise ValueError("on purpose, in a nested view")


VIEWS = (
    "accepts",
    "accepts_by_hand",
    "accepts_class",
    "among_others",
    "asynchronous",
    "asynchronous_class",
    "decorated_method",
    "nested",
    "nested_error",
    "nested_refusal",
    "refuses_by_hand",
    "requires",
    "requires_by_hand",
    "requires_class",
    "twice",
    "undecorated",
    "with_options",
)
