"""What the list of endpoints says is what a handshake meets."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from django_websocket import accept_websocket, require_websocket
from django_websocket.endpoints import Endpoint, list_endpoints
from tests.site.local import LocalSite
from tests.site.views import decorators


@require_websocket
def echo(request: HttpRequest, **kwargs: object) -> Any:
    """Opens, and ends."""


class Page(View):
    @method_decorator(accept_websocket(max_message_size=9))
    def get(self, request: HttpRequest) -> None:
        pass


@accept_websocket(origins=["*"], subprotocols=["chat.v2"], max_queue=3, send_timeout=10, compression="context-takeover")
@never_cache
def chat(request: HttpRequest, **kwargs: object) -> Any:
    pass


def page(request: HttpRequest) -> HttpResponse:
    """Takes none."""
    return HttpResponse("page")


rooms = [
    path("<slug:room>/", chat, name="room"),
    re_path(r"^log/(?P<year>[0-9]{4})/$", echo, name="log"),
    path("", page),
]

urlpatterns = [
    path("", echo),
    path("echo/", echo, name="echo"),
    path("chat/", include((rooms, "chat"), namespace="rooms")),
    re_path(r"^old/", include(rooms)),
    path("partial/", partial(echo, number=1)),
    path("class/", Page.as_view(), name="class"),
    path("page/", page),
]


@pytest.fixture
def listed(settings: Any) -> dict[str, Endpoint]:
    settings.ROOT_URLCONF = __name__
    return {endpoint.path: endpoint for endpoint in list_endpoints()}


def test_paths_and_names_are_whole(listed: dict[str, Endpoint]) -> None:
    assert {endpoint.path: endpoint.name for endpoint in listed.values()} == {
        "/": None,
        "/echo/": "echo",
        "/chat/<slug:room>/": "rooms:room",
        "/chat/log/(?P<year>[0-9]{4})/$": "rooms:log",
        "/old/<slug:room>/": "room",
        "/old/log/(?P<year>[0-9]{4})/$": "log",
        "/partial/": None,
        "/class/": "class",
    }


def test_views_are_named_as_in_the_code(listed: dict[str, Endpoint]) -> None:
    assert listed["/echo/"].view == listed["/partial/"].view == f"{__name__}.echo"
    assert listed["/class/"].view == f"{__name__}.Page"


def test_options_are_those_that_count(listed: dict[str, Endpoint]) -> None:
    endpoint = listed["/chat/<slug:room>/"]
    assert not endpoint.required
    assert endpoint.origins == ["*"]
    assert endpoint.subprotocols == ["chat.v2"]
    # send_timeout is what the setting says, too.
    assert endpoint.options == {"max_queue": 3, "compression": "context-takeover"}
    assert listed["/echo/"].required
    assert listed["/echo/"].origins is None
    assert listed["/echo/"].options == {}
    assert listed["/class/"].options == {"max_message_size": 9}


def test_settings_count_where_a_view_says_nothing(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.WEBSOCKET_ALLOWED_ORIGINS = ["https://example.com"]
    settings.WEBSOCKET_SUBPROTOCOLS = ["own"]
    settings.WEBSOCKET_MAX_MESSAGE_SIZE = 9
    listed = {endpoint.path: endpoint for endpoint in list_endpoints()}
    assert listed["/echo/"].origins == ["https://example.com"]
    assert listed["/echo/"].subprotocols == ["own"]
    assert listed["/class/"].options == {}
    assert listed["/chat/<slug:room>/"].origins == ["*"]


@pytest.mark.parametrize(
    ("site", "accept_all"), [("local_site", False), ("local_middleware_site", False), ("local_middleware_site", True)]
)
def test_a_handshake_meets_what_the_list_says(
    request: pytest.FixtureRequest, settings: Any, site: str, accept_all: bool
) -> None:
    """For each view of the test project: decorated, marked by hand or not at all, wrapped, class-based, async."""
    settings.WEBSOCKET_ACCEPT_ALL = accept_all
    local_site: LocalSite = request.getfixturevalue(site)
    listed = {endpoint.path: endpoint for endpoint in list_endpoints()}
    # Nothing betrays these two, whatever the middleware.
    hidden = {"nested", "nested_error", "nested_refusal"}
    met = {}
    for name in set(decorators.VIEWS) - hidden:
        response = local_site.shake_hands(f"/decorators/{name}/", {"Sec-WebSocket-Protocol": "chat"})
        met[name] = response.status_code == 101
    local_site.take_log()
    said = {name: (one := listed.get(f"/decorators/{name}/")) is not None and one.problem is None for name in met}
    assert said == met
    for name in ("requires", "requires_class", "twice", "with_options"):
        assert listed[f"/decorators/{name}/"].required, name
        assert local_site.ask(f"/decorators/{name}/").status_code == 400
    assert listed["/decorators/twice/"].options == {"max_message_size": 10}
    assert not listed["/decorators/accepts/"].required


@pytest.mark.parametrize(
    ("site", "problems"),
    [
        ("local_site", {"accepts_by_hand": "is marked by an attribute", "asynchronous": "is marked by an attribute"}),
        ("local_middleware_site", {"asynchronous": "is async", "asynchronous_class": "is async"}),
    ],
)
def test_why_none_opens(request: pytest.FixtureRequest, site: str, problems: dict[str, str]) -> None:
    request.getfixturevalue(site)
    listed = {endpoint.path: endpoint for endpoint in list_endpoints()}
    for name, problem in problems.items():
        assert problem in str(listed[f"/decorators/{name}/"].problem)


def test_a_mark_that_the_middleware_does_not_see(local_middleware_site: LocalSite, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    listed = {endpoint.path: endpoint for endpoint in list_endpoints()}
    for path_ in ("/class/", "/partial/"):
        assert "decorate dispatch" in str(listed[path_].problem)
        assert local_middleware_site.shake_hands(path_).status_code == 400
    assert listed["/echo/"].problem is None
    assert local_middleware_site.shake_hands("/echo/").status_code == 101
    settings.WEBSOCKET_ACCEPT_ALL = True
    listed = {endpoint.path: endpoint for endpoint in list_endpoints()}
    for path_ in ("/class/", "/partial/"):
        assert listed[path_].problem is None
        assert local_middleware_site.shake_hands(path_).status_code == 101
