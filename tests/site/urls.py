"""Each view is at /<its module>/<its name>/."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.urls import URLPattern, path

TOPICS = (
    "async_code",
    "bodies",
    "caches",
    "common",
    "database",
    "decorators",
    "groups",
    "opening",
    "processes",
    "refusals",
    "registry",
    "rest",
    "sessions",
    "threads",
    "tickets",
    "transport",
    "websocket",
    "wrapped",
)


def patterns(*topics: str) -> Iterator[URLPattern]:
    """The URLs of ``topics``."""
    for topic in topics:
        module: Any = import_module(f"tests.site.views.{topic}")
        for name in module.VIEWS:
            yield path(f"{topic}/{name}/", getattr(module, name))


urlpatterns = list(patterns(*TOPICS))
