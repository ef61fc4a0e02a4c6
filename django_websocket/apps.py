"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig


class DjangoWebSocketConfig(AppConfig):
    """Provides ``runwsserver``, the system checks, and page caches that know a handshake from a page."""

    name = "django_websocket"
    label = "django_websocket"
    verbose_name = "Websockets"

    def ready(self) -> None:
        from .caching import is_handshake
        from .checks import register_checks
        from .compat.django import bypass_page_cache, forbid_not_modified
        from .conf import get_setting
        from .deployment_checks import register_deployment_checks
        from .groups import log_out  # noqa: F401 - it listens to a signal

        register_checks()
        register_deployment_checks()
        bypass_page_cache(is_handshake)
        forbid_not_modified(is_handshake)
        if get_setting("WEBSOCKET_METRICS_ADDRESS"):
            from . import metrics  # noqa: F401 - it counts from now on, or raises ImproperlyConfigured
