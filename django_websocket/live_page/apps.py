"""The Django application of the live page."""

from __future__ import annotations

from django.apps import AppConfig


class LivePageConfig(AppConfig):
    """Has each serving process answer to live pages; the admin finds the page itself."""

    name = "django_websocket.live_page"
    label = "live_websockets"
    verbose_name = "Websockets"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import respondent  # noqa: F401 - it adds the jobs of a serving process
