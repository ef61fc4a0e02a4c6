"""A project with sessions and tickets, in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache

from django_websocket.testing import WebSocketClient

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]


@pytest.fixture
def project(db: None, settings: Any) -> Iterator[Any]:
    """Its settings."""
    settings.ROOT_URLCONF = "tests.admission.views"
    settings.MIDDLEWARE = MIDDLEWARE
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield settings
    cache.clear()


@pytest.fixture
def ann(project: Any) -> User:
    return User.objects.create_user("ann", password="secret")


@pytest.fixture
def bob(project: Any) -> User:
    return User.objects.create_user("bob", password="secret")


@pytest.fixture
def phone(project: Any) -> WebSocketClient:
    """A client without cookies."""
    return WebSocketClient()
