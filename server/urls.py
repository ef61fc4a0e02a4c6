"""URLs of the demo project."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("broadcast/", views.broadcast),
    path("echo/", views.echo),
    path("echo-once/", views.echo_once),
    path("lower-case/", views.lower_case),
    path("admin/", admin.site.urls),
]
