"""The page, for every Django peer; ``project.ours.urls`` adds this project's websocket views."""

from __future__ import annotations

from django.urls import path

from .views import page

urlpatterns = [path("page/", page)]
