"""Each view is at /<its module>/<its name>/."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.urls import path

TOPICS = (
    "async_code",
    "bodies",
    "caches",
    "common",
    "database",
    "decorators",
    "opening",
    "processes",
    "registry",
    "rest",
    "sessions",
    "threads",
    "transport",
    "websocket",
    "wrapped",
)


def _views(topic: str) -> dict[str, Any]:
    module = import_module(f"tests.site.views.{topic}")
    return {name: getattr(module, name) for name in module.VIEWS}


urlpatterns = [path(f"{topic}/{name}/", view) for topic in TOPICS for name, view in _views(topic).items()]
