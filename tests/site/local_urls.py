"""Those of the views that need no server of ours."""

from __future__ import annotations

from .urls import patterns

urlpatterns = list(patterns("caches", "common", "decorators", "opening", "rest", "wrapped"))
