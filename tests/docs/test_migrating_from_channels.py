"""``docs/howto/migrating-from-channels.rst``: what it has of Channels and what it makes of that pass the same test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deadlines import deadline

from .pages import Page, require
from .projects import Project

PAGE = Page("howto/migrating-from-channels")
(
    CONSUMERS,
    VIEWS,
    ASGI,
    URLS,
    CHANNEL_LAYERS,
    WEBSOCKET_GROUPS,
    ANNOUNCES_BEFORE,
    ANNOUNCES_AFTER,
    TESTS_BEFORE,
    TESTS_AFTER,
) = PAGE.code()

MODELS = """
from django.conf import settings
from django.db import models

class Message(models.Model):
    room = models.CharField(max_length=50)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.TextField()
"""

LAYERS_IN_MEMORY = 'CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}'

#: Channels' tests wait for a second by default, which is less than a busy machine may take.
PATIENT = f"""
from channels.testing import WebsocketCommunicator

WebsocketCommunicator.connect.__defaults__ = ({deadline(20)},)
WebsocketCommunicator.receive_json_from.__defaults__ = ({deadline(20)},)
WebsocketCommunicator.disconnect.__defaults__ = (1000, {deadline(20)})
"""

MORE_BEFORE = """

    async def test_an_announcement_and_a_stranger(self):
        from asgiref.sync import sync_to_async
        from chat.announcing import announce
        from chat.models import Message
        from django.contrib.auth.models import AnonymousUser

        communicators = []
        for user in (await User.objects.acreate(username="alice"), AnonymousUser()):
            communicator = WebsocketCommunicator(URLRouter(websocket_urlpatterns), "chat/lobby/")
            communicator.scope["user"] = user
            communicators.append((communicator, (await communicator.connect())[0]))
        (communicator, connected), (_, refused) = communicators
        self.assertTrue(connected)
        self.assertFalse(refused)
        await sync_to_async(announce)("hello")
        self.assertEqual(await communicator.receive_json_from(), {"author": "system", "text": "hello"})
        await communicator.disconnect()
        self.assertEqual(await Message.objects.acount(), 0)
"""

MORE_AFTER = """

    def test_an_announcement_and_a_stranger(self):
        from chat.announcing import announce
        from chat.models import Message

        with self.assertWebSocketRejected(403):
            self.client.websocket("/chat/lobby/")
        self.client.force_login(User.objects.create(username="alice"))
        with self.client.websocket("/chat/lobby/") as socket:
            with self.captureOnCommitCallbacks(execute=True):
                announce("hello")
            self.assertEqual(socket.receive_json(), {"author": "system", "text": "hello"})
            self.assertFalse(Message.objects.exists())
            socket.send_json({"text": "hi"})
            self.assertEqual(Message.objects.get().author.username, "alice")
"""


@pytest.mark.parametrize("settings", [CHANNEL_LAYERS, WEBSOCKET_GROUPS])
def test_settings(settings: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.add_settings(settings)
    assert "no issues" in project.manage("check")


def test_channels(tmp_path: Path) -> None:
    require("channels")
    require("daphne")  # which its testing tools import
    project = Project(tmp_path)
    project.add_app("chat", MODELS)
    project.add_settings(LAYERS_IN_MEMORY)
    project.write("chat/consumers.py", CONSUMERS)
    project.write("mysite/asgi.py", ASGI)
    project.write("chat/announcing.py", ANNOUNCES_BEFORE)
    project.write("chat/test_consumers.py", PATIENT + TESTS_BEFORE + MORE_BEFORE)
    assert "Ran 2 tests" in project.manage("test")


def test_ours(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.add_app("chat", MODELS)
    project.add_settings(WEBSOCKET_GROUPS)
    project.write("chat/views.py", VIEWS)
    project.write("mysite/urls.py", URLS)
    project.write("chat/announcing.py", ANNOUNCES_AFTER)
    project.write("chat/test_views.py", TESTS_AFTER + MORE_AFTER)
    assert "Ran 2 tests" in project.manage("test")
