"""Imports point downward only: read from the syntax trees, so that an import inside a function counts too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = "django_websocket"

# From the bottom up: each may import those before it, and none of those behind it.
LAYERS = [
    "exceptions",
    "signals",
    "protocol",
    "conf",
    "options",
    "handover",
    "channel",
    "origin",
    "groups",
    "websocket",
    "sessions",
    "database",
    "opening",
    "decorators",
    "middleware",
    "__init__",
    "checks",
    "apps",
    "serving",
    "testing",
    "management",
]
CLOCKS_AND_SOCKETS = {"asyncio", "os", "select", "selectors", "socket", "ssl", "threading", "time"}

# What these may import besides the standard library and the layers below.
THIRD_PARTY = {"exceptions": set(), "handover": {"greenlet"}, "protocol": {"websockets"}}


def imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of each import in ``source``, but for those that only type checkers see."""
    package = module.split(".") if module.endswith("__init__") else module.split(".")[:-1]
    package = [part for part in package if part != "__init__"]
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{parent}.{alias.name}") for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def layer(dotted: str) -> str:
    """The layer of a dotted name of this package; a name of the package itself belongs to ``__init__``."""
    names = dotted.split(".")
    return names[1] if len(names) > 1 and names[1] in LAYERS else "__init__"


def violations(source: str, module: str) -> list[str]:
    """What ``module`` (dotted, with ``__init__`` for a package's own) imports and must not."""
    mine = layer(module)
    found = []
    for line, name in imports(source, module):
        root = name.split(".")[0]
        if root == PACKAGE:
            theirs = layer(name)
            upward = theirs != mine and LAYERS.index(theirs) > LAYERS.index(mine)
            if upward or (mine == "protocol" and theirs not in ("protocol", "exceptions")):
                found.append(f"{module}:{line}: {mine} imports {theirs}")
            continue
        wrong = (
            (root == "eventlet" and mine != "serving")
            or (mine == "protocol" and root in CLOCKS_AND_SOCKETS)
            or (mine in THIRD_PARTY and root not in sys.stdlib_module_names and root not in THIRD_PARTY[mine])
        )
        if wrong:
            found.append(f"{module}:{line}: {mine} imports {root}")
    return found


def modules() -> list[Path]:
    return sorted((ROOT / PACKAGE).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert violations(path.read_text(), module) == []


def test_every_module_has_a_layer() -> None:
    names = {path.relative_to(ROOT / PACKAGE).with_suffix("").parts[0] for path in modules()}
    assert names <= set(LAYERS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("protocol.frames", "import socket"),
        ("protocol.frames", "from time import monotonic"),
        ("protocol.frames", "from django.conf import settings"),
        ("protocol.frames", "from ..conf import get_setting"),
        ("protocol.__init__", "from .. import websocket"),
        ("handover", "import eventlet"),
        ("handover", "from django.http import HttpResponse"),
        ("websocket", "from .serving.sockets.channel import EventletTransport"),
        ("websocket", "def wait():\n    from eventlet import sleep"),
        ("websocket", "from . import decorators"),
        ("websocket", "import django_websocket.serving"),
        ("decorators", "from django_websocket import require_websocket"),
        ("management.commands.runwsserver", "import eventlet.hubs"),
    ],
)
def test_a_violation_is_caught(module: str, source: str) -> None:
    assert len(violations(source, f"{PACKAGE}.{module}")) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "protocol.frames",
            "import struct\nfrom ..exceptions import ProtocolError\nfrom .masking import mask",
        ),
        (
            "protocol.masking",
            "try:\n    from websockets.speedups import apply_mask\nexcept ImportError:\n    pass",
        ),
        ("handover", "import contextvars\nfrom greenlet import greenlet"),
        (
            "channel",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .websocket import WebSocket",
        ),
        ("serving.sockets.channel", "import eventlet.hubs\nfrom ...websocket import WebSocket"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert violations(source, f"{PACKAGE}.{module}") == []


def test_nothing_of_django_is_loaded_before_the_patch() -> None:
    """What Django creates at import (``django.db.connections``) would stay shared by all green threads."""
    program = "import sys, django_websocket.serving.patch; print('django.conf' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False"
