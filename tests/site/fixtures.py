"""The test project: served, in one process for each test module and way to configure it, or in the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections

from . import MIDDLEWARE
from .local import LocalSite
from .running import Site, serve_site

Serve = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """``with serve(**options) as site``: the same options get the same process, which must stay quiet."""
    running: dict[str, Site] = {}
    with ExitStack() as stack:

        @contextmanager
        def serve(**options: Any) -> Iterator[Site]:
            key = repr(sorted(options.items()))
            if key not in running:
                running[key] = stack.enter_context(serve_site(tmp_path_factory.mktemp("site"), **options))
            site = running[key]
            site.journal()
            yield site
            site.assert_quiet()

        yield serve


@pytest.fixture
def site(serve: Serve) -> Iterator[Site]:
    """Without the websocket middleware, as the decorators need none."""
    with serve() as site:
        yield site


@pytest.fixture
def middleware_site(serve: Serve) -> Iterator[Site]:
    """With the websocket middleware."""
    with serve(websocket_middleware=True) as site:
        yield site


@pytest.fixture
def atomic_site(serve: Serve) -> Iterator[Site]:
    """With ATOMIC_REQUESTS."""
    with serve(atomic_requests=True) as site:
        yield site


@pytest.fixture
def local_site(db: None, settings: Any, caplog: pytest.LogCaptureFixture) -> Iterator[LocalSite]:
    """Without the websocket middleware."""
    settings.ROOT_URLCONF = "tests.site.local_urls"
    settings.LOGIN_URL = "/login/"
    settings.MIDDLEWARE = MIDDLEWARE
    cache.clear()
    site = LocalSite(caplog)
    yield site
    site.assert_quiet()


@pytest.fixture
def local_atomic_site(local_site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> LocalSite:
    """With ATOMIC_REQUESTS."""
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)
    return local_site


@pytest.fixture
def local_middleware_site(local_site: LocalSite, settings: Any) -> LocalSite:
    """With the websocket middleware."""
    settings.MIDDLEWARE = [*MIDDLEWARE, "django_websocket.middleware.WebSocketMiddleware"]
    return local_site
