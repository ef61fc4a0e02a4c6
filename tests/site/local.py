"""The test project in the test's own process, behind the client that projects test with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from django_websocket.testing import WebSocketClient, WebSocketRejected
from django_websocket.testing.socket import ClientWebSocket

from .journal import describe, journal
from .running import HANDSHAKE


class LocalSite:
    """For what happens above the server: as :class:`~tests.site.running.Site`, with Django's responses."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.client = WebSocketClient(raise_request_exception=False)
        self._caplog = caplog
        journal.clear()

    def connect(self, path: str, **options: Any) -> ClientWebSocket:
        """A websocket, to be used as a context manager."""
        return self.client.websocket(path, **options)

    def ask(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The response to a plain request."""
        return self.client.get(path, headers=headers)

    def shake_hands(self, path: str, headers: Mapping[str, str | None] | None = None) -> Any:
        """The response to a handshake with ``headers`` changed (None: left out)."""
        sent = {**HANDSHAKE, **(headers or {})}
        if None in sent.values():  # no handshake, for the client
            return self.ask(path, {name: value for name, value in sent.items() if value is not None})
        try:
            with self.connect(path, headers=headers) as socket:
                return socket.response
        except WebSocketRejected as rejected:
            return rejected.response

    def journal(self) -> list[str]:
        """What happened since the last call."""
        entries = journal.copy()
        journal.clear()
        return entries

    def take_log(self, level: str = "ERROR") -> list[dict[str, Any]]:
        """The records of ``level`` that were logged since the last call."""
        records = self._caplog.records.copy()
        self._caplog.clear()
        return [describe(record) for record in records if record.levelname == level]

    def take_error(self) -> dict[str, Any]:
        """The one error that was logged."""
        [error] = self.take_log()
        return error

    def assert_quiet(self) -> None:
        """Nothing was logged as an error that the test didn't ask for."""
        assert self.take_log() == []
