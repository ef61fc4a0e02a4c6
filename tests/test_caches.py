"""No handshake gets a cached page, and no page request what a handshake was answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.site import MIDDLEWARE
from tests.site.local import LocalSite
from tests.site.views.caches import PAGE, VIEWS

CACHED = [name for name in VIEWS if name.startswith("cached_")]
OTHERS = [name for name in VIEWS if name.endswith(("_inside", "_outside")) and name not in CACHED]


@pytest.fixture
def cached_site(local_site: LocalSite, settings: Any) -> LocalSite:
    """With the cache, gzip and conditional GET middleware around everything."""
    settings.MIDDLEWARE = [
        MIDDLEWARE[0],
        "django.middleware.cache.UpdateCacheMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        *MIDDLEWARE[1:],
        "django.middleware.cache.FetchFromCacheMiddleware",
    ]
    return local_site


def echoes(site: LocalSite, path: str) -> bool:
    with site.connect(path) as client:
        return client.receive() == "websocket"


def is_page(answer: Any) -> bool:
    varies = [name.strip() for name in answer.headers.get("Vary", "").split(",")]
    return answer.status_code == 200 and answer.content == PAGE.encode() and "Upgrade" in varies


def check_cached(site: LocalSite, path: str) -> None:
    """``path`` is a page that is cached, and a websocket that is not."""
    assert is_page(site.ask(path))
    assert is_page(site.ask(path))
    assert site.journal().count("view ran") == 1, "cached"
    for _ in range(2):
        assert echoes(site, path)
        assert site.journal().count("view ran") == 1
    assert is_page(site.ask(path))
    assert "view ran" not in site.journal()


@pytest.mark.parametrize("view", [name for name in CACHED if name != "cached_by_attribute"])
def test_a_cached_view(local_site: LocalSite, view: str) -> None:
    check_cached(local_site, f"/caches/{view}/")


@pytest.mark.parametrize("view", CACHED)
def test_a_cached_view_behind_the_middleware(local_middleware_site: LocalSite, view: str) -> None:
    check_cached(local_middleware_site, f"/caches/{view}/")


@pytest.mark.parametrize("view", ["uncached", "cached_inside", "cached_outside"])
def test_the_cache_middleware(cached_site: LocalSite, view: str) -> None:
    check_cached(cached_site, f"/caches/{view}/")


@pytest.mark.parametrize("view", ["uncached", "cached_inside", "cached_outside"])
def test_what_a_handshake_is_answered_is_not_cached(cached_site: LocalSite, view: str) -> None:
    path = f"/caches/{view}/?refuse"
    for _ in range(2):
        refused = cached_site.shake_hands(path)
        assert (refused.status_code, refused.content) == (200, b"no websocket today")
        assert "Upgrade" in refused.headers["Vary"]
        assert cached_site.journal().count("view ran") == 1
    assert is_page(cached_site.ask(path))


@pytest.mark.parametrize("left_out", ["Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"])
def test_a_wrong_handshake_gets_no_cached_page_either(cached_site: LocalSite, left_out: str) -> None:
    assert is_page(cached_site.ask("/caches/uncached/"))
    assert cached_site.shake_hands("/caches/uncached/", {left_out: None}).status_code == 400


def test_gzip_and_etags_are_for_pages(cached_site: LocalSite) -> None:
    page = cached_site.ask("/caches/uncached/", {"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    tag = page.headers["ETag"]
    assert cached_site.ask("/caches/uncached/", {"If-None-Match": tag, "Accept-Encoding": "gzip"}).status_code == 304
    handshake = cached_site.shake_hands("/caches/uncached/", {"If-None-Match": tag, "Accept-Encoding": "gzip"})
    assert handshake.status_code == 101
    assert not {"ETag", "Content-Encoding", "Content-Length", "Expires"} & set(handshake.headers)


CONDITIONS = [
    ("condition", {"If-None-Match": '"tag"'}),
    ("condition", {"If-None-Match": "*"}),
    ("last_modified", {"If-Modified-Since": "Thu, 02 Jan 2020 00:00:00 GMT"}),
]


@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize(("decorator", "headers"), CONDITIONS)
def test_a_handshake_is_never_not_modified(
    local_site: LocalSite, decorator: str, headers: dict[str, str | None], where: str
) -> None:
    """RFC 9110, section 13.2.1: conditions apply only where the status would be 2xx or 412 without them."""
    path = f"/caches/{decorator}_{where}/"
    assert local_site.ask(path, headers).status_code == 304  # type: ignore[arg-type]  # no None here
    assert local_site.shake_hands(path, headers).status_code == 101
    refused = local_site.shake_hands(f"{path}?refuse", headers)
    assert (refused.status_code, refused.content) == (200, b"no websocket today")


def test_a_refused_handshake_is_never_not_modified(cached_site: LocalSite) -> None:
    """By the middleware, which tags what refuses it."""
    path = "/caches/uncached/?refuse"
    tag = cached_site.shake_hands(path).headers["ETag"]
    refused = cached_site.shake_hands(path, {"If-None-Match": tag})
    assert (refused.status_code, refused.content) == (200, b"no websocket today")


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_a_handshake_may_state_a_precondition(local_site: LocalSite, where: str) -> None:
    assert local_site.shake_hands(f"/caches/condition_{where}/", {"If-Match": '"tag"'}).status_code == 101
    assert local_site.shake_hands(f"/caches/condition_{where}/", {"If-Match": '"other"'}).status_code == 412


@pytest.mark.parametrize("view", OTHERS)
def test_other_decorators_of_responses(local_site: LocalSite, view: str) -> None:
    assert is_page(local_site.ask(f"/caches/{view}/"))
    assert echoes(local_site, f"/caches/{view}/")


def test_the_page_cache_asks_what_we_replaced() -> None:
    """A new Django looks pages up elsewhere: find the place for compat.bypass_page_cache()."""
    from django.middleware.cache import CacheMiddleware, FetchFromCacheMiddleware
    from django.test import RequestFactory

    assert CacheMiddleware.process_request is FetchFromCacheMiddleware.process_request
    request = RequestFactory().get("/", headers={"Upgrade": "websocket"})
    assert FetchFromCacheMiddleware(lambda request: None).process_request(request) is None  # type: ignore[arg-type]  # never called
    assert request._cache_update_cache is False  # type: ignore[attr-defined]


def test_conditional_responses_ask_what_we_replaced() -> None:
    """A new Django makes its 304 elsewhere: find the place for compat.forbid_not_modified()."""
    from django.test import RequestFactory
    from django.utils.cache import get_conditional_response

    headers = {"If-None-Match": '"tag"'}
    page = get_conditional_response(RequestFactory().get("/", headers=headers), etag='"tag"')
    assert page is not None
    assert page.status_code == 304
    handshake = RequestFactory().get("/", headers={**headers, "Upgrade": "websocket"})
    assert get_conditional_response(handshake, etag='"tag"') is None
