"""URLs of the demo project."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from . import views

LOGIN = {"title": "Log in", "other": "sign-up"}

urlpatterns = [
    path("", views.index),
    path("broadcast/", views.broadcast),
    path("echo/", views.echo),
    path("echo-once/", views.echo_once),
    path("lower-case/", views.lower_case),
    path("chat/", views.chat, name="chat"),
    path("chat/<slug:room>/", views.chat, name="room"),
    path("chat/<slug:room>/socket/", views.chat_socket),
    path("login/", LoginView.as_view(template_name="server/form.html", extra_context=LOGIN), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path("admin/", admin.site.urls),
]
