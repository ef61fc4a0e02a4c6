"""The Origin check (RFC 6455, section 10.2)."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost
from django.test import RequestFactory

from django_websocket.origin import is_allowed_origin


def allowed(origin: str | None, origins: list[str] | None = None, *, host: str = "testserver", **extra: Any) -> bool:
    headers = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    return is_allowed_origin(RequestFactory().get("/", headers=headers, **extra), origins)


@pytest.fixture(autouse=True)
def hosts(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "localhost", "[::1]"]
    settings.CSRF_TRUSTED_ORIGINS = []


@pytest.mark.parametrize("origins", [None, [], ["https://friend.example"], ["*"]])
def test_programs_that_are_no_browsers_send_none(origins: list[str] | None) -> None:
    assert allowed(None, origins)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://testserver", "testserver"),
        ("http://testserver:80", "testserver"),
        ("http://testserver", "testserver:80"),
        ("HTTP://TestServer", "testserver"),
        ("http://testserver:8000", "testserver:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        # The page came over https, and a proxy in front decrypts.
        ("https://testserver", "testserver"),
        ("https://testserver:443", "testserver"),
        ("https://testserver:8443", "testserver:8443"),
    ],
)
def test_the_own_host_is_allowed(origin: str, host: str) -> None:
    assert allowed(origin, host=host)


def test_a_host_with_a_port_that_there_is_not_has_no_origin() -> None:
    assert not allowed("http://testserver", host="testserver:99999")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://testserver.evil.example",
        "http://eviltestserver",
        "http://testserver:8000",
        "ftp://testserver",
        "ws://testserver",
        "chrome-extension://testserver",
        "null",
        "",
        "testserver",
        "//testserver",
        "http://",
        "http://testserver/",
        "http://testserver?",
        "http://testserver?a",
        "http://testserver#",
        "http://testserver#a",
        "http://user@testserver",
        "http://@testserver",
        "http://testserver:port",
        "http://testserver:99999",
        "http://[testserver",
        "http://testserver http://evil.example",
        "http://testserver, http://evil.example",
        " http://testserver",
        "http://test\tserver",
    ],
)
def test_everything_else_is_foreign(origin: str) -> None:
    assert not allowed(origin)


def test_a_page_without_encryption_is_foreign_to_a_site_with() -> None:
    assert allowed("https://testserver", secure=True)
    assert not allowed("http://testserver", secure=True)


def test_a_wrong_host_is_not_an_origin() -> None:
    with pytest.raises(DisallowedHost):
        allowed("http://evil.example", host="evil.example")


TRUSTED = ["https://friend.example", "https://*.family.example", "http://localhost:3000"]


@pytest.mark.parametrize("as_setting", [False, True])
@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://friend.example", True),
        ("https://FRIEND.example", True),
        ("https://friend.example:443", True),
        ("https://friend.example:8443", False),
        ("http://friend.example", False),
        ("https://my.friend.example", False),
        ("https://aunt.family.example", True),
        ("https://great.aunt.family.example", True),
        ("https://notfamily.example", False),
        ("https://family.example.evil.example", False),
        ("http://aunt.family.example", False),
        ("http://localhost:3000", True),
        ("http://localhost:3001", False),
        ("null", False),
        ("", False),
    ],
)
def test_lists_of_origins(settings: Any, origin: str, expected: bool, as_setting: bool) -> None:
    if as_setting:
        settings.CSRF_TRUSTED_ORIGINS = TRUSTED
        assert allowed(origin) is expected
    else:
        assert allowed(origin, TRUSTED) is expected


def test_a_list_replaces_the_own_host_and_the_trusted_origins(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]
    assert not allowed("http://testserver", ["https://friend.example"])
    assert not allowed("https://trusted.example", ["https://friend.example"])
    assert not allowed("http://testserver", [])


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "nonsense", "chrome-extension://abc"])
def test_a_star_allows_all(origin: str) -> None:
    assert allowed(origin, ["*"])


def test_an_opaque_origin_can_be_named() -> None:
    assert allowed("null", ["null"])
    assert allowed("chrome-extension://abcdef", ["chrome-extension://abcdef"])
    assert not allowed("chrome-extension://abcdef", ["chrome-extension://other"])


def test_long_origins_do_not_fill_the_memory() -> None:
    """The standard library remembers what it has split."""
    urlsplit: Any = urllib.parse.urlsplit
    before = urlsplit.cache_info().misses
    for number in range(10):
        assert not allowed(f"https://{number}.{'x' * 60_000}", ["https://friend.example"])
    assert urlsplit.cache_info().misses - before <= 1, "those of the list, at most"
