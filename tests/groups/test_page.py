"""``docs/howto/groups.rst``: its code runs, and its envelope is the one that is sent."""

from __future__ import annotations

import json
import re
from typing import Any

from django_websocket import Group
from django_websocket.groups.config import GroupsConfig
from django_websocket.groups.message import TEXT, GroupMessage
from django_websocket.groups.position import Position
from tests.conftest import ROOT, code_blocks

PAGE = ROOT / "docs" / "howto" / "groups.rst"


def test_code() -> None:
    names: dict[str, Any] = {"Group": Group}
    for code in code_blocks(PAGE):
        exec(code, names)
    assert {"orders", "news", "chat"} <= set(names)
    assert GroupsConfig.of(names["WEBSOCKET_GROUPS"]).history_of("chat.lobby") is not None


def test_envelope() -> None:
    [shown] = re.findall(r'^    (\{"group": .*\})$', PAGE.read_text(), re.MULTILINE)
    message = GroupMessage("chat.lobby", TEXT, b"hello", position=Position("k3v9", 17))
    assert message.envelope == shown
    assert json.loads(shown)["message"] == "hello"
