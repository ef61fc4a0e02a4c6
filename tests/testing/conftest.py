"""The project that the tests of the testing tools run in."""

from __future__ import annotations

from typing import Any

import pytest

PROJECT: dict[str, Any] = {
    "ROOT_URLCONF": "tests.testing.views",
    "LOGIN_URL": "/plain/",
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django_websocket.middleware.WebSocketMiddleware",
    ],
}
"""With sessions and users, as ``startproject`` makes it."""


@pytest.fixture(autouse=True)
def project_settings(settings: Any) -> None:
    for name, value in PROJECT.items():
        setattr(settings, name, value)
