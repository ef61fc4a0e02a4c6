"""The project that the tests of the testing tools run in."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def project(settings: Any) -> None:
    """With sessions and users, as ``startproject`` makes it."""
    settings.ROOT_URLCONF = "tests.testing.views"
    settings.LOGIN_URL = "/plain/"
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django_websocket.middleware.WebSocketMiddleware",
    ]
