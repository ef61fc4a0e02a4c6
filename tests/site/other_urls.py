"""What ``request.urlconf`` is set to by the innermost middleware."""

from __future__ import annotations

from django.urls import path

from .urls import urlpatterns as original
from .views.common import journal_view

urlpatterns = [*original, path("only/here/", journal_view, name="only-here")]
