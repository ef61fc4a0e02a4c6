"""The project that the tests of groups run in."""

from __future__ import annotations

from typing import Any

import pytest

from django_websocket.groups.receivers import receivers


@pytest.fixture(autouse=True)
def project_settings(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.groups.views"
    settings.MIDDLEWARE = []


@pytest.fixture(autouse=True)
def nobody_left() -> Any:
    """Before each test no group has a history; after it all are empty, and nothing is queued."""
    receivers.close_backend()
    yield
    assert receivers._groups == {}
    assert (receivers.fan_out.queued_bytes, receivers.fan_out.queued_deliveries) == (0, 0)
