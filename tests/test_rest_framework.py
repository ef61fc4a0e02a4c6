"""Django REST framework: its views with our decorators on both sides; it decides before anything is accepted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from django_websocket.registry import registry
from tests.conftest import ROOT
from tests.site.local import LocalSite

# The site is a fixture that is asked for late, when it is too late for the database to be set up.
pytestmark = pytest.mark.django_db

ACCEPTS = ["accepts_above", "accepts_below", "accepts_class", "accepts_method"]
REQUIRES = ["requires_above", "requires_below", "requires_class"]
LOGGED_IN = pytest.mark.usefixtures("logged_in")
ALL = pytest.mark.parametrize("view", [*ACCEPTS, *REQUIRES, "by_attribute"])


@pytest.fixture
def rest_site(request: pytest.FixtureRequest, view: str) -> LocalSite:
    site: LocalSite = request.getfixturevalue("local_middleware_site" if view == "by_attribute" else "local_site")
    return site


@pytest.fixture
def logged_in(rest_site: LocalSite) -> None:
    """The client of the site is somebody's."""
    rest_site.ask("/common/log_in/")


@LOGGED_IN
@ALL
def test_a_websocket(rest_site: LocalSite, view: str) -> None:
    with rest_site.connect(f"/rest/{view}/?key=talks") as client:
        client.send("hello")
        assert client.receive() == "someone hello"
        client.close()
        assert client.close_code == 1000
    assert rest_site.take_log() == []
    assert not list(registry)


@ALL
def test_who_is_not_authenticated_gets_403_before_the_accept(rest_site: LocalSite, view: str) -> None:
    refused = rest_site.shake_hands(f"/rest/{view}/?key=stranger")
    assert refused.status_code == 403
    assert b"credentials were not provided" in refused.content


@LOGGED_IN
@ALL
def test_throttling_comes_before_the_accept(rest_site: LocalSite, view: str) -> None:
    statuses = [rest_site.shake_hands(f"/rest/{view}/?key=often").status_code for _ in range(3)]
    assert statuses == [101, 101, 429]


@LOGGED_IN
@ALL
def test_an_exception_before_the_accept_is_the_frameworks_response(rest_site: LocalSite, view: str) -> None:
    refused = rest_site.shake_hands(f"/rest/{view}/?key=declined&decline")
    assert (refused.status_code, refused.content) == (404, b'{"detail":"before the accept"}')


@LOGGED_IN
@ALL
@pytest.mark.parametrize("message", ["fail", "not found"])
def test_an_exception_after_the_accept_is_1011(rest_site: LocalSite, view: str, message: str) -> None:
    with rest_site.connect(f"/rest/{view}/?key={message[:3]}") as client:
        client.send(message)
        assert client.close_code == 1011
    error = rest_site.take_error()
    if message == "fail":
        assert error["error"] == "ValueError"
    else:
        assert "after the accept" in error["message"] or error["error"] == "NotFound"


@LOGGED_IN
@pytest.mark.parametrize("view", ACCEPTS)
def test_a_plain_request(rest_site: LocalSite, view: str) -> None:
    answer = rest_site.ask(f"/rest/{view}/?key=plain")
    assert (answer.status_code, answer.content) == (200, b'"plain"')


@LOGGED_IN
@pytest.mark.parametrize("view", REQUIRES)
def test_a_plain_request_where_a_websocket_is_required(rest_site: LocalSite, view: str) -> None:
    assert rest_site.ask(f"/rest/{view}/?key=plain").status_code == 400


@pytest.mark.parametrize("view", ["untouched"])
def test_a_view_that_touches_nothing(rest_site: LocalSite, view: str) -> None:
    with rest_site.connect(f"/rest/{view}/") as client:
        assert client.close_code == 1000


@LOGGED_IN
@pytest.mark.parametrize("view", ["with_keys"])
def test_a_ticket_counts_more_than_the_frameworks_authentication(rest_site: LocalSite, view: str) -> None:
    ticket = rest_site.client.post("/rest/ticket/").json()["ticket"]
    rest_site.client.cookies.clear()
    with rest_site.connect(f"/rest/{view}/", ticket=ticket) as client:
        client.send("hello")
        assert client.receive() == "someone hello"
    assert rest_site.shake_hands(f"/rest/{view}/").status_code == 403


@pytest.mark.parametrize("view", ["ticket"])
def test_no_ticket_for_a_stranger(rest_site: LocalSite, view: str) -> None:
    assert rest_site.client.post(f"/rest/{view}/").status_code == 403


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
