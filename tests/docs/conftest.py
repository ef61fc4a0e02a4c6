"""What the tests of the pages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.groups.redis_servers import Redis, redis_server

from .pages import Modules


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Modules:
    """Where the code of a page becomes modules."""
    return Modules(monkeypatch)


@pytest.fixture
def project(settings: Any) -> Any:
    """The settings of a project with sessions and users, as ``startproject`` makes it."""
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    settings.LOGIN_URL = "/login/"
    return settings


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis of the module's own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as redis:
        yield redis
