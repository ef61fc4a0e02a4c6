"""The URLs of the test project, and the metrics."""

from __future__ import annotations

from django.urls import include, path

from django_websocket import metrics

from . import urls
from .views.common import echo

urlpatterns = [
    *urls.urlpatterns,
    path("metrics/", metrics.view),
    path("rooms/", include([path("<slug:room>/", lambda request, room: echo(request))])),
]
