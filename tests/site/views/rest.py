"""Views of Django REST framework."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.decorators import method_decorator
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes, throttle_classes
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from django_websocket import accept_websocket, require_websocket, tickets


class Throttle(SimpleRateThrottle):
    """Twice for each value of ``?key``."""

    rate = "2/day"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"throttle:{request.path}:{request.GET['key']}"


def answer(request: Any) -> Response | None:
    assert isinstance(request, Request)
    if not request.is_websocket():
        return Response("plain")
    if "decline" in request.GET:
        raise NotFound("before the accept")
    for message in request.websocket:
        if message == "fail":
            raise ValueError("on purpose")
        if message == "not found":
            raise NotFound("after the accept")
        request.websocket.send(f"{request.user.username} {message}")
    return None


def guarded(view: Any) -> Any:
    for decorate in (
        authentication_classes([SessionAuthentication]),
        permission_classes([IsAuthenticated]),
        throttle_classes([Throttle]),
    ):
        view = decorate(view)
    return view


# api_view() reads the view's name, and the others' settings from its attributes.
accepts_above = accept_websocket(api_view(["GET"])(guarded(lambda request: answer(request))))
accepts_below = api_view(["GET"])(guarded(accept_websocket(lambda request: answer(request))))
requires_above = require_websocket(api_view(["GET"])(guarded(lambda request: answer(request))))
requires_below = api_view(["GET"])(guarded(require_websocket(lambda request: answer(request))))


class Guarded(APIView):
    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes = [Throttle]

    def get(self, request: Request) -> Response | None:
        return answer(request)


@method_decorator(accept_websocket, name="dispatch")
class AcceptsClass(Guarded):
    pass


@method_decorator(accept_websocket, name="get")
class AcceptsMethod(Guarded):
    pass


accepts_class = AcceptsClass.as_view()
accepts_method = AcceptsMethod.as_view()
requires_class = require_websocket(Guarded.as_view())


@api_view(["GET"])
@guarded
def by_attribute(request: Any) -> Response | None:
    return answer(request)


by_attribute.accept_websocket = True


@require_websocket
@api_view(["GET"])
def untouched(request: HttpRequest) -> None:
    """Is over before it has begun."""


class Keys(BaseAuthentication):
    """Knows nobody who has no key."""

    def authenticate(self, request: Request) -> None:
        return None


@require_websocket
@api_view(["GET"])
@authentication_classes([Keys])
@permission_classes([IsAuthenticated])
def with_keys(request: Any) -> Response | None:
    return answer(request)


@api_view(["POST"])
@permission_classes([IsAuthenticated])
def ticket(request: Request) -> Response:
    return Response(tickets.describe(request))


VIEWS = (
    "accepts_above",
    "accepts_below",
    "accepts_class",
    "accepts_method",
    "by_attribute",
    "requires_above",
    "requires_below",
    "requires_class",
    "ticket",
    "untouched",
    "with_keys",
)
