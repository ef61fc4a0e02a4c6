"""URLs of the demo project."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path, register_converter
from django.urls.converters import SlugConverter

from .pages import account, board, broadcast, chat, echo, events, home, lower_case, poll, restart, ticker


class RoomConverter(SlugConverter):
    """Part of a group's name, which may not be longer than 200."""

    regex = "[-a-zA-Z0-9_]{1,50}"


register_converter(RoomConverter, "room")

LOGIN = {"title": "Log in"}

urlpatterns = [
    path("", home.page, name="home"),
    path("echo/", echo.echo, name="echo-socket"),
    path("echo/page/", echo.page, name="echo"),
    path("echo-once/", echo.echo_once, name="echo-once-socket"),
    path("lower-case/", lower_case.lower_case, name="lower-case-socket"),
    path("lower-case/page/", lower_case.page, name="lower-case"),
    path("broadcast/", broadcast.broadcast, name="broadcast-socket"),
    path("broadcast/page/", broadcast.page, name="broadcast"),
    path("chat/", chat.page, name="chat"),
    path("chat/<room:room>/", chat.page, name="chat"),
    path("chat/<room:room>/socket/", chat.socket, name="chat-socket"),
    path("ticker/", ticker.page, name="ticker"),
    path("ticker/publish/", ticker.publish_with_token, name="ticker-publish"),
    path("ticker/socket/", ticker.socket, name="ticker-socket"),
    path("board/", board.page, name="board"),
    path("board/socket/", board.socket, name="board-socket"),
    path("poll/", poll.page, name="poll"),
    path("poll/socket/", poll.socket, name="poll-socket"),
    path("events/", events.page, name="events"),
    path("events/socket/", events.socket, name="events-socket"),
    path("events/stream/", events.stream, name="events-stream"),
    path("restart/", restart.page, name="restart"),
    path("restart/socket/", restart.socket, name="restart-socket"),
    path("login/", LoginView.as_view(template_name="pages/account.html", extra_context=LOGIN), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("sign-up/", account.sign_up, name="sign-up"),
    path("admin/", admin.site.urls),
]
