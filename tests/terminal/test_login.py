"""A session for the time of a command, with every session engine."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.test import RequestFactory, modify_settings

from django_websocket.terminal.login import session_of

pytestmark = pytest.mark.django_db


def whose(cookie: str) -> AbstractBaseUser | AnonymousUser:
    """The user of a request with ``cookie``."""
    request = RequestFactory().get("/", headers={"cookie": cookie})
    SessionMiddleware(lambda request: HttpResponse()).process_request(request)
    return get_user(request)


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice", password="secret")


@pytest.mark.parametrize("engine", ["db", "cache", "cached_db", "file"])
def test_the_cookie_is_the_users_until_the_end(alice: User, settings: Any, tmp_path: Path, engine: str) -> None:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.SESSION_COOKIE_NAME = "own"
    with session_of("alice") as cookie:
        name, _, key = cookie.partition("=")
        assert name == "own"
        assert whose(cookie) == alice
        assert import_module(settings.SESSION_ENGINE).SessionStore().exists(key)
    assert not import_module(settings.SESSION_ENGINE).SessionStore().exists(key)
    assert whose(cookie).is_anonymous


def test_signed_cookies(alice: User, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    with session_of("alice") as cookie:
        assert whose(cookie) == alice


def test_it_is_deleted_after_an_exception(alice: User) -> None:
    with pytest.raises(KeyboardInterrupt), session_of("alice") as cookie:
        raise KeyboardInterrupt
    assert whose(cookie).is_anonymous


def test_nobody_is_told_of_a_login(alice: User) -> None:
    def receiver(**kwargs: Any) -> None:
        raise AssertionError("a login")

    user_logged_in.connect(receiver)
    try:
        with session_of("alice"):
            alice.refresh_from_db()
            assert alice.last_login is None
    finally:
        user_logged_in.disconnect(receiver)


def test_a_new_password_ends_it_as_any(alice: User) -> None:
    with session_of("alice") as cookie:
        alice.set_password("another")
        alice.save()
        assert whose(cookie).is_anonymous


def test_the_backend_is_one_that_lets_the_user_in(alice: User, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.BaseBackend",  # knows nobody
        "django.contrib.auth.backends.AllowAllUsersModelBackend",
    ]
    alice.is_active = False
    alice.save()
    with session_of("alice") as cookie:
        assert whose(cookie) == alice


def test_who_may_not_log_in(alice: User) -> None:
    with pytest.raises(LookupError, match="no user 'bob'"), session_of("bob"):
        pass
    alice.is_active = False
    alice.save()
    with pytest.raises(LookupError, match="lets alice in"), session_of("alice"):
        pass


def test_a_project_without_sessions() -> None:
    with (
        modify_settings(INSTALLED_APPS={"remove": "django.contrib.sessions"}),
        pytest.raises(LookupError, match="INSTALLED_APPS"),
        session_of("alice"),
    ):
        pass
