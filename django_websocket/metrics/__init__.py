"""Figures for Prometheus. Importing this turns them on: a project that mounts the view has them. ::

    path("metrics/", django_websocket.metrics.view)

With ``WEBSOCKET_METRICS_ADDRESS`` they have a port of their own, and the project imports nothing.

Nothing is counted for a message. ``figures`` adds up what the sockets have counted anyway, when somebody asks;
``exporter`` copies that into the metrics of prometheus-client that ``declarations`` lists. Where several processes
serve one site, they share their figures through the directory PROMETHEUS_MULTIPROC_DIR, and ``sharing`` has all of them
write theirs when one is asked. ``page`` is the answer.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

try:
    import prometheus_client  # noqa: F401
except ImportError as error:
    raise ImproperlyConfigured(
        "django_websocket.metrics needs prometheus-client: pip install 'django-websocket[metrics]'"
    ) from error

from .page import application, view

__all__ = ["application", "view"]
