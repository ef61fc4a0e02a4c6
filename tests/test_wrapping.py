"""Websocket views behind decorators that make requests of their own, or that ask for a response."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import RequestFactory

from django_websocket import require_websocket
from django_websocket.wrapping import underlying_request
from tests.site.local import LocalSite
from tests.site.views.wrapped import VIEWS, Closed, Passing, Stranger

REFUSED = {"error_response_after_accept", "returns_none_to_a_decorator", "stranger_above"}


@pytest.mark.parametrize("view", [name for name in VIEWS if name not in REFUSED])
def test_both_kinds_of_requests(local_site: LocalSite, view: str) -> None:
    answer = local_site.ask(f"/wrapped/{view}/")
    assert (answer.status_code, answer.content) == (200, b"plain")
    with local_site.connect(f"/wrapped/{view}/") as client:
        assert client.receive() == "websocket"
        assert client.close_code == 1000


def test_what_is_above_the_decorator_has_unwound_by_the_accept(local_site: LocalSite) -> None:
    with local_site.connect("/wrapped/passing_above/") as client:
        client.receive()
        assert "unwound 101" in local_site.journal()


def test_an_object_that_stands_for_no_request_is_refused_with_what_to_do(local_site: LocalSite) -> None:
    assert local_site.shake_hands("/wrapped/stranger_above/").status_code == 500
    assert local_site.take_error()["error"] == "TypeError"
    with pytest.raises(TypeError, match=r"got Stranger instead of a request.*put @require_websocket above it"):
        require_websocket(lambda request: None)(Stranger(RequestFactory().get("/")))


def test_a_decorator_that_can_not_take_none_is_named(local_site: LocalSite) -> None:
    with local_site.connect("/wrapped/returns_none_to_a_decorator/") as client:
        assert client.receive() == "websocket"
        assert client.close_code == 1011
    message = local_site.take_error()["message"]
    assert "add_never_cache_headers" in message or "patch_response_headers" in message
    assert "put the websocket decorator below it, or return a response" in message


def test_an_error_that_comes_as_a_response_is_an_error(local_site: LocalSite) -> None:
    with local_site.connect("/wrapped/error_response_after_accept/") as client:
        assert client.receive() == "websocket"
        assert client.close_code == 1011
    assert "a response 404 came after its accept: Not Found" in local_site.take_error()["message"]


def test_who_stands_for_a_request() -> None:
    request = RequestFactory().get("/")
    assert underlying_request(request) is request
    assert underlying_request(Passing(request)) is request
    assert underlying_request(Closed(request)) is request
    assert underlying_request(Stranger(request)) is None
    assert underlying_request(SimpleNamespace(request=request)) is None, "a class-based view"
    assert underlying_request(SimpleNamespace(request=request, META={})) is None
    assert underlying_request("/") is None


class Asynchronous:
    async def __call__(self, request: object) -> None:
        pass


def test_an_object_with_an_async_call_is_refused() -> None:
    with pytest.raises(TypeError, match="async"):
        require_websocket(Asynchronous())
