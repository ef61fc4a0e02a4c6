"""Served test projects: one process for each test module and way to configure it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest

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
