"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig


class DjangoWebSocketConfig(AppConfig):
    """What ``"django_websocket"`` in INSTALLED_APPS brings: ``runwsserver`` and the system checks."""

    name = "django_websocket"
    label = "django_websocket"
    verbose_name = "Websockets"

    def ready(self) -> None:
        from .checks import register_checks

        register_checks()
