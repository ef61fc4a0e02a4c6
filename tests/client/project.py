"""The settings of the site."""

from __future__ import annotations

from typing import Any

from tests.deadlines import deadline
from tests.site import MIDDLEWARE

GROUP = "room"

SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": "tests.client.urls",
    "ALLOWED_HOSTS": ["127.0.0.1", ".localhost"],
    "INSTALLED_APPS": [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
        "django_websocket",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    "STATIC_URL": "/static/",
    "WEBSOCKET_SESSION_CHECK_INTERVAL": 0.2,
    "WEBSOCKET_TICKET_REFRESH": deadline(6),
    "MIDDLEWARE": [*MIDDLEWARE, "tests.client.urls.with_policy"],
}


def groups(redis_url: str) -> dict[str, Any]:
    """The setting of groups that outlive the server."""
    return {
        "BACKEND": "django_websocket.groups.redis.RedisBackend",
        "LOCATION": redis_url,
        "HISTORY": {GROUP: 10_000, "chat.*": 100},
    }
