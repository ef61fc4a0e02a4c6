"""One demo and one browser for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.browser import Page, chromium
from tests.management.projects import RunningServer

from .served import serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("demo")) as server:
        yield server


@pytest.fixture(scope="session")
def origin(server: RunningServer) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def browser(program: Callable[..., str]) -> str:
    """The path of the browser."""
    return program("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def tab(browser: str) -> Iterator[Page]:
    with chromium(browser) as page:
        yield page


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    """A tab of somebody who is not logged in, and has not been anywhere yet."""
    tab.open("about:blank")
    yield tab
    tab.open("about:blank")  # which closes its websockets
