"""What the tests of the pages share."""

from __future__ import annotations

from typing import Any

import pytest

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
