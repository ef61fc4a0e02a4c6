"""Each view under its own name: ``/echo/`` is ``echo``."""

from __future__ import annotations

from django.urls import path

from . import queries, state, trouble, users, views, wrong

urlpatterns = [
    path(f"{name}/", getattr(module, name))
    for module in (queries, state, trouble, users, views, wrong)
    for name in module.__all__
]
