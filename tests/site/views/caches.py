"""Views that are cached, or answered under a condition."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, last_modified
from django.views.decorators.vary import vary_on_headers

from django_websocket import accept_websocket

from ..journal import journal

PAGE = "page " * 100


def answer(request: Any) -> HttpResponse | None:
    """A page that knows its number, an echo, or, with ``?refuse``, a handshake's ordinary response."""
    journal.append("view ran")
    if not request.is_websocket():
        return HttpResponse(PAGE)
    if "refuse" in request.GET:
        return HttpResponse("no websocket today")
    request.websocket.send("websocket")
    return HttpResponse()  # what is around a view may ask for a response even though it is over


cached_outside = cache_page(60)(accept_websocket(answer))
cached_inside = accept_websocket(cache_page(60)(answer))
uncached = accept_websocket(answer)


@method_decorator([cache_page(60), accept_websocket], name="dispatch")
class Cached(View):
    def get(self, request: HttpRequest) -> HttpResponse | None:
        return answer(request)


cached_class = Cached.as_view()


def cached_by_attribute(request: HttpRequest) -> HttpResponse | None:
    return answer(request)


cached_by_attribute = cache_page(60)(cached_by_attribute)
cached_by_attribute.accept_websocket = True  # type: ignore[attr-defined]  # as a project does it

_etag = condition(etag_func=lambda request: '"tag"')
_modified = last_modified(lambda request: datetime(2020, 1, 1, tzinfo=UTC))
_controlled = cache_control(max_age=60)

DECORATORS = {
    "never_cache": never_cache,
    "cache_control": _controlled,
    "vary_on_headers": vary_on_headers("Cookie"),
    "gzip_page": gzip_page,
    "condition": _etag,
    "last_modified": _modified,
}
globals().update({f"{name}_outside": one(accept_websocket(answer)) for name, one in DECORATORS.items()})
globals().update({f"{name}_inside": accept_websocket(one(answer)) for name, one in DECORATORS.items()})

VIEWS = (
    "cached_by_attribute",
    "cached_class",
    "cached_inside",
    "cached_outside",
    "uncached",
    *(f"{name}_{where}" for name in DECORATORS for where in ("inside", "outside")),
)
