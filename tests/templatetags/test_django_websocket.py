from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.template import Context, RequestContext, Template
from django.test import RequestFactory

PAGE = "{% load django_websocket %}{% websocket_client %}"


@pytest.fixture(autouse=True)
def templates(settings: Any) -> None:
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]


class Nonce:
    """Made when it is read, and false until then: so are Django's and django-csp's."""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "n0nce"


def render(context: Context | None = None) -> str:
    return Template(PAGE).render(Context() if context is None else context)


def address(html: str) -> str:
    """Where the import map says that the module is."""
    match = re.fullmatch(r'<script type="importmap"(?: nonce="[^"]*")?>(.*)</script>', html)
    assert match is not None, html
    imports = json.loads(match[1])["imports"]
    assert list(imports) == ["django-websocket"]
    found: str = imports["django-websocket"]
    return found


def test_an_import_map(settings: Any) -> None:
    settings.STATIC_URL = "/static/"
    assert render() == (
        '<script type="importmap">{"imports": {"django-websocket": "/static/django_websocket/client.js"}}</script>'
    )


def test_the_hashed_file(settings: Any, tmp_path: Path) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.staticfiles"]
    settings.STATIC_URL = "https://cdn.example.com/"
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    found = address(render())
    assert re.fullmatch(r"https://cdn\.example\.com/django_websocket/client\.[0-9a-f]{12}\.js", found)
    assert (tmp_path / found.removeprefix("https://cdn.example.com/")).exists()


class SigningStorage(StaticFilesStorage):
    def url(self, name: str | None) -> str:
        return f"https://cdn.example.com/{name}?a=1&b=</script>"


def test_nothing_in_the_address_ends_the_script(settings: Any) -> None:
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.staticfiles"]
    settings.STATIC_URL = "/static/"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": f"{__name__}.SigningStorage"}}
    html = render()
    assert html.count("<") == 2
    assert "&" not in html
    assert address(html) == "https://cdn.example.com/django_websocket/client.js?a=1&b=</script>"


def in_request(request: HttpRequest) -> Context:
    return RequestContext(request)


def in_context(request: HttpRequest) -> Context:
    return Context({"request": request})


@pytest.mark.parametrize("context_of", [in_request, in_context])
@pytest.mark.parametrize("attribute", ["csp_nonce", "_csp_nonce"])
def test_the_nonce(attribute: str, context_of: Callable[[HttpRequest], Context]) -> None:
    request = RequestFactory().get("/")
    assert "nonce" not in render(context_of(request))
    setattr(request, attribute, Nonce())
    assert render(context_of(request)).startswith('<script type="importmap" nonce="n0nce">')


def test_a_nonce_is_escaped() -> None:
    request = SimpleNamespace(csp_nonce='"><script>')
    assert '<script type="importmap" nonce="&quot;&gt;&lt;script&gt;">' in render(Context({"request": request}))


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(render(RequestContext(request)))


def assert_same_nonce(response: HttpResponse) -> None:
    """The policy and the page have the same."""
    (nonce,) = re.findall(r"'nonce-([^']+)'", response.headers["Content-Security-Policy"])
    assert f' nonce="{nonce}"' in response.content.decode()


def test_with_django(settings: Any) -> None:
    middleware = pytest.importorskip("django.middleware.csp")  # of Django 6
    settings.SECURE_CSP = {"script-src": [import_module("django.utils.csp").CSP.NONCE]}
    assert_same_nonce(middleware.ContentSecurityPolicyMiddleware(page)(RequestFactory().get("/")))


def test_with_django_csp(settings: Any) -> None:
    middleware = pytest.importorskip("csp.middleware")  # tox installs it
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"script-src": [import_module("csp.constants").NONCE]}}
    assert_same_nonce(middleware.CSPMiddleware(page)(RequestFactory().get("/")))
