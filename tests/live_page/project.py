"""The settings of a site with the live page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from tests.site import MIDDLEWARE

CSP = "default-src 'self'; img-src 'self' data:; report-uri /csp/"
"""Forbids all scripts and styles within pages; the browser reports what it has blocked."""

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_websocket",
    "django_websocket.live_page",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": "tests.live_page.urls",
    "INSTALLED_APPS": INSTALLED_APPS,
    "TEMPLATES": TEMPLATES,
    "STATIC_URL": "/static/",
    "MIDDLEWARE": [*MIDDLEWARE, "tests.live_page.project.forbid_inline"],
}

PAGE = "/admin/live_websockets/websocket/"
SOCKET = PAGE + "socket/"


def forbid_inline(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware that sends the Content-Security-Policy."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = CSP
        return response

    return middleware
