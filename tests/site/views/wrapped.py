"""Views behind what makes requests of its own, hides the view, or asks for a response."""

from __future__ import annotations

from functools import partial, wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import Context
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from django_websocket import accept_websocket, require_websocket

from ..journal import journal
from .decorators import answer


class Passing:
    """Stands for a request, and passes on what it doesn't know, as Django REST framework's does."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


class Closed:
    """Stands for a request, and passes on nothing but its META."""

    def __init__(self, request: HttpRequest) -> None:
        self.inner = request

    @property
    def META(self) -> dict[str, Any]:  # noqa: N802  as Django calls it
        return self.inner.META


class Stranger:
    """Stands for no request."""

    def __init__(self, request: HttpRequest) -> None:
        pass


def handing_on(kind: type, view: Any) -> Any:
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = view(kind(request), *args, **kwargs)
        journal.append(f"unwound {response and response.status_code}")
        return response

    return wrapper


def takes_its_own(kind: type, request: Any) -> HttpResponse | None:
    assert type(request) is kind
    return answer(request)


passing_above = handing_on(Passing, accept_websocket(partial(takes_its_own, Passing)))
passing_below = accept_websocket(handing_on(Passing, partial(takes_its_own, Passing)))
closed_above = handing_on(Closed, accept_websocket(partial(takes_its_own, Closed)))
stranger_above = handing_on(Stranger, accept_websocket(answer))


class Callable:
    def __call__(self, request: HttpRequest) -> HttpResponse | None:
        return answer(request)


def with_number(request: HttpRequest, number: int) -> HttpResponse | None:
    assert number == 7
    return answer(request)


callable_object = accept_websocket(Callable())
partial_inside = accept_websocket(partial(with_number, number=7))
partial_outside = partial(accept_websocket(with_number), number=7)


def hides(view: Any) -> Any:
    return lambda request: view(request)


hidden_inside = accept_websocket(hides(answer))
hidden_outside = hides(accept_websocket(answer))


@method_decorator(accept_websocket, name="dispatch")
class Template(TemplateView):
    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return answer(request) if request.is_websocket() else super().get(request, *args, **kwargs)

    def render_to_response(self, context: Any, **kwargs: Any) -> HttpResponse:
        assert "view" in Context(context)
        return HttpResponse("plain")


@method_decorator([never_cache, accept_websocket], name="get")
class Method(View):
    def get(self, request: Any) -> HttpResponse | None:
        return answer(request)


template = Template.as_view()
method = Method.as_view()


@require_websocket
@never_cache
def returns_none_to_a_decorator(request: Any) -> None:
    request.websocket.send("websocket")


@require_websocket
def error_response_after_accept(request: Any) -> HttpResponse:
    request.websocket.send("websocket")
    return HttpResponse(status=404)


VIEWS = (
    "callable_object",
    "closed_above",
    "error_response_after_accept",
    "hidden_inside",
    "hidden_outside",
    "method",
    "partial_inside",
    "partial_outside",
    "passing_above",
    "passing_below",
    "returns_none_to_a_decorator",
    "stranger_above",
    "template",
)
