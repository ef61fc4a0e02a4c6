"""The site in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.management import create_permissions

from django_websocket.testing import WebSocketClient
from django_websocket.testing.groups import groups_in_memory

from .people import make_people, new_session
from .project import SETTINGS


@pytest.fixture
def people(db: None, settings: Any) -> Iterator[dict[str, Any]]:
    """All users by name, of a site with the live page."""
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    create_permissions(apps.get_app_config("live_websockets"), verbosity=0)
    with groups_in_memory():
        yield make_people()


class Visitor(WebSocketClient):
    """The client of somebody who is logged in."""

    def __init__(self, user: Any = None) -> None:
        super().__init__()
        if user is not None:
            self.cookies["sessionid"] = new_session(user)


Entering = Callable[[], AbstractContextManager[Callable[..., Any]]]


@pytest.fixture
def entering(people: dict[str, Any]) -> Entering:
    """``with entering() as enter``: ``enter(path, name)`` opens a websocket for as long."""

    @contextmanager
    def entering() -> Iterator[Callable[..., Any]]:
        with ExitStack() as stack:

            def enter(path: str, name: str | None = None) -> Any:
                user = None if name is None else people[name]
                return stack.enter_context(Visitor(user).websocket(path))

            yield enter

    return entering
