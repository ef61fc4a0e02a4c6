"""``docs/howto/security.rst`` names limits: each exists, and has the value that the page gives."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from django_websocket.conf import SETTINGS
from tests.conftest import ROOT

TEXT = " ".join((ROOT / "docs" / "howto" / "security.rst").read_text().split())
VALUES = re.findall(r"``([\w.]+)`` \(([0-9.]+)\)", TEXT)


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_limits(name: str, value: str) -> None:
    if name in SETTINGS:
        found = SETTINGS[name].default
    else:
        module, _, constant = name.rpartition(".")
        found = getattr(import_module(f"django_websocket.{module}"), constant)
    assert found == float(value)


def test_all_limits_are_compared() -> None:
    assert len(VALUES) > 20
    named = {name for name, _ in VALUES}
    # A new setting that limits something belongs on the page, unless it stops no attack.
    limits = {name for name, setting in SETTINGS.items() if type(setting.default) in (int, float)}
    assert limits - named == {"WEBSOCKET_DRAIN_TIMEOUT", "WEBSOCKET_RESTART_CODE"}


def test_settings_exist() -> None:
    assert set(re.findall(r"``(WEBSOCKET_\w+)``", TEXT)) <= set(SETTINGS)
