"""accept_websocket and require_websocket, with the middleware and without."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket import accept_websocket, require_websocket
from tests.site.local import LocalSite

BOTH = pytest.mark.parametrize("fixture", ["local_site", "local_middleware_site"])
DECORATORS = pytest.mark.parametrize("decorator", [accept_websocket, require_websocket])


@pytest.fixture
def any_site(request: pytest.FixtureRequest, fixture: str) -> LocalSite:
    """The site with the websocket middleware, and the one without."""
    site: LocalSite = request.getfixturevalue(fixture)
    return site


@BOTH
@pytest.mark.parametrize("view", ["accepts", "accepts_class", "among_others", "requires", "requires_class"])
def test_a_decorated_view_takes_websockets(any_site: LocalSite, view: str) -> None:
    with any_site.connect(f"/decorators/{view}/") as client:
        assert client.receive() == "websocket"


@BOTH
@pytest.mark.parametrize("view", ["accepts", "accepts_class", "among_others"])
def test_a_view_that_accepts_takes_plain_requests_too(any_site: LocalSite, view: str) -> None:
    answer = any_site.ask(f"/decorators/{view}/")
    assert (answer.status_code, answer.content) == (200, b"plain")


@BOTH
@pytest.mark.parametrize("view", ["requires", "requires_class"])
def test_a_view_that_requires_refuses_plain_requests(any_site: LocalSite, view: str) -> None:
    answer = any_site.ask(f"/decorators/{view}/")
    assert (answer.status_code, answer.content) == (400, b"this URL only accepts websockets\n")


@BOTH
def test_options_override_settings(any_site: LocalSite) -> None:
    assert any_site.shake_hands("/decorators/with_options/", {"Origin": "http://testserver"}).status_code == 403
    with any_site.connect(
        "/decorators/with_options/",
        origin="https://friend.example",
        subprotocols=["chat", "superchat"],
        compression=True,
    ) as client:
        assert client.receive() == "superchat"
        assert client.response.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
        client.send("x" * 10)
        assert client.receive() == "x" * 10
        client.send("x" * 11)
        assert client.close_code == 1009


@BOTH
def test_the_inner_of_two_decorators_serves(any_site: LocalSite) -> None:
    with any_site.connect("/decorators/twice/", subprotocols=["chat"]) as client:
        assert client.receive() == "chat"
        client.send("x" * 11)
        assert client.close_code == 1009


@BOTH
def test_a_decorated_method(any_site: LocalSite) -> None:
    with any_site.connect("/decorators/decorated_method/", subprotocols=["chat"]) as client:
        assert client.receive() == "chat"
    assert any_site.ask("/decorators/decorated_method/").status_code == 400


# At decoration


async def asynchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class Asynchronous(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


@DECORATORS
@pytest.mark.parametrize(
    "view", [asynchronous, Asynchronous.as_view(), partial(asynchronous)], ids=["function", "class", "partial"]
)
def test_async_views_are_refused(decorator: Callable[..., Any], view: Any) -> None:
    with pytest.raises(TypeError, match="async"):
        decorator(view)
    with pytest.raises(TypeError, match="async"):
        decorator(max_queue=1)(view)


@DECORATORS
def test_an_async_method_is_refused(decorator: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="async"):
        method_decorator(decorator, name="get")(Asynchronous).as_view()(RequestFactory().get("/"))


@DECORATORS
def test_what_is_no_view_is_refused(decorator: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="decorates a view"):
        decorator("/echo/")


@DECORATORS
def test_a_method_decorated_without_method_decorator_is_told_so(decorator: Callable[..., Any]) -> None:
    class Wrong(View):
        @decorator
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    with pytest.raises(TypeError, match="method_decorator"):
        Wrong.as_view()(RequestFactory().get("/"))


@DECORATORS
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"colour": "red"}, TypeError, "unknown option 'colour'; choose from .*subprotocols"),
        ({"max_queue": 0}, ValueError, "max_queue must be a positive integer, not 0"),
        ({"subprotocols": "chat"}, ValueError, "subprotocols must be a list of non-empty strings"),
        ({"compression": "much"}, ValueError, "compression must be"),
    ],
)
def test_wrong_options_are_refused(
    decorator: Callable[..., Any], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        decorator(**options)


@DECORATORS
def test_the_view_keeps_its_name_and_gets_attributes(decorator: Callable[..., Any]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        """Its documentation."""
        return HttpResponse()

    view.csrf_exempt = True  # type: ignore[attr-defined]  # as Django's decorators do
    decorated = decorator(view)
    assert (decorated.__name__, decorated.__doc__) == ("view", "Its documentation.")
    assert decorated.csrf_exempt
    assert decorated.accept_websocket
    assert decorated.require_websocket is (decorator is require_websocket)
    assert not hasattr(view, "accept_websocket")
