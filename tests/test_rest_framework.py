"""Django REST framework: its views with our decorators on both sides; it decides before anything is accepted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from tests.conftest import ROOT
from tests.deadlines import deadline
from tests.site.fixtures import Serve
from tests.site.running import Site
from tests.test_opening import session_cookie

ACCEPTS = ["accepts_above", "accepts_below", "accepts_class", "accepts_method"]
REQUIRES = ["requires_above", "requires_below", "requires_class"]
ALL = pytest.mark.parametrize("view", [*ACCEPTS, *REQUIRES, "by_attribute"])


@pytest.fixture
def rest_site(serve: Serve, view: str) -> Iterator[Site]:
    with serve(websocket_middleware=view == "by_attribute") as site:
        yield site


@pytest.fixture
def cookie(rest_site: Site) -> dict[str, str]:
    """Of somebody who has logged in."""
    return session_cookie(rest_site.ask("/common/log_in/").headers.get_all("Set-Cookie", []))


@ALL
def test_a_websocket(rest_site: Site, view: str, cookie: dict[str, str]) -> None:
    before = rest_site.stats()
    with rest_site.connect(f"/rest/{view}/?key=talks", additional_headers=cookie) as client:
        assert client.response is not None
        client.send("hello")
        assert client.recv(timeout=deadline(10)) == "someone hello"
        client.close()
        assert client.close_code == 1000
    assert rest_site.take_log() == []
    rest_site.wait_until_back_at(before)


@ALL
def test_who_is_not_authenticated_gets_403_before_the_accept(rest_site: Site, view: str) -> None:
    refused = rest_site.shake_hands(f"/rest/{view}/?key=stranger")
    assert refused.status == 403
    assert b"credentials were not provided" in refused.body


@ALL
def test_throttling_comes_before_the_accept(rest_site: Site, view: str, cookie: dict[str, str]) -> None:
    statuses = [rest_site.shake_hands(f"/rest/{view}/?key=often", dict(cookie)).status for _ in range(3)]
    assert statuses == [101, 101, 429]


@ALL
def test_an_exception_before_the_accept_is_the_frameworks_response(
    rest_site: Site, view: str, cookie: dict[str, str]
) -> None:
    refused = rest_site.shake_hands(f"/rest/{view}/?key=declined&decline", dict(cookie))
    assert (refused.status, refused.body) == (404, b'{"detail":"before the accept"}')


@ALL
@pytest.mark.parametrize("message", ["fail", "not found"])
def test_an_exception_after_the_accept_is_1011(
    rest_site: Site, view: str, cookie: dict[str, str], message: str
) -> None:
    with rest_site.connect(f"/rest/{view}/?key={message[:3]}", additional_headers=cookie) as client:
        client.send(message)
        with pytest.raises(ConnectionClosedError, match="1011"):
            client.recv(timeout=deadline(10))
    error = rest_site.wait_for_error()
    if message == "fail":
        assert error["error"] == "ValueError"
    else:
        assert "after the accept" in error["message"] or error["error"] == "NotFound"


@pytest.mark.parametrize("view", ACCEPTS)
def test_a_plain_request(rest_site: Site, view: str, cookie: dict[str, str]) -> None:
    answer = rest_site.ask(f"/rest/{view}/?key=plain", cookie)
    assert (answer.status, answer.body) == (200, b'"plain"')


@pytest.mark.parametrize("view", REQUIRES)
def test_a_plain_request_where_a_websocket_is_required(rest_site: Site, view: str, cookie: dict[str, str]) -> None:
    assert rest_site.ask(f"/rest/{view}/?key=plain", cookie).status == 400


@pytest.mark.parametrize("view", ["untouched"])
def test_a_view_that_touches_nothing(rest_site: Site, view: str) -> None:
    with rest_site.connect(f"/rest/{view}/") as client, pytest.raises(ConnectionClosedOK):
        client.recv(timeout=deadline(10))


@pytest.mark.parametrize("later", [False, True])
def test_the_framework_asks_what_we_replaced(later: bool) -> None:
    """A new version looks at what a view returned elsewhere: see compat.django.let_rest_framework_return_none()."""
    program = f"""
from django.conf import settings
settings.configure()
import django
django.setup()
from django_websocket.compat.django import let_rest_framework_return_none
if {later}: let_rest_framework_return_none()
from rest_framework.views import APIView
let_rest_framework_return_none()
let_rest_framework_return_none()
assert not hasattr(APIView.finalize_response.__wrapped__, "__wrapped__")
class Request: websocket = object()
assert APIView().finalize_response(Request(), None) is None
Request.websocket = None
try:
    APIView().finalize_response(Request(), None)
except AssertionError as error:
    assert "Expected a `Response`" in str(error)
else:
    raise SystemExit("a plain view must still return a response")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert (run.returncode, run.stderr) == (0, "")
