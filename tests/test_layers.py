"""Imports point downward only, and never in a circle.

Read from the syntax trees, so that an import inside a function counts, and one that only type checkers see.
"""

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
    "hub_choice",
    "compat",
    "close_codes",
    "exceptions",
    "memo",
    "descriptor_limit",
    "signals",
    "protocol",
    "addresses",
    "rates",
    "conf",
    "options",
    "blocking",
    "caching",
    "wrapping",
    "subprotocols",
    "origin",
    "channel",
    "background",
    "quiet_log",
    "home",
    "waiter",
    "outbox",
    "pacing",
    "driver",
    "rated_driver",
    "handover",
    "endless_loops",
    "visitor",
    "websocket",
    "refusals",
    "redirects",
    "registry",
    "keepalive",
    "valid_users",
    "sessions",
    "database",
    "groups",
    "admission",
    "request",
    "connection_limits",
    "hub_lag",
    "access_log",
    "metrics",
    "tracing",
    "opening",
    "decorators",
    "middleware",
    "tickets",
    "endpoints",
    "__init__",
    "templatetags",
    "live_page",
    "findings",
    "checks",
    "deployment_checks",
    "apps",
    "terminal",
    "testing",
    "serving",
    "serving.green",
    "serving.patch",
    "serving.wire",
    "serving.tls",
    "serving.http",
    "serving.sockets",
    "serving.process",
    "serving.gunicorn",
    "serving.live",
    "serving.runserver",
    "serving.__main__",
    "management",
]

# Rooms on one floor: neither knows the other.
APART = [{"serving.http", "serving.sockets"}]

CLOCKS_AND_SOCKETS = {"asyncio", "os", "select", "selectors", "socket", "ssl", "threading", "time"}

# What these may import besides the standard library and the layers below.
THIRD_PARTY = {"exceptions": set(), "handover": {"greenlet"}, "protocol": {"websockets"}}


def imports(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of each import in ``source``."""
    package = module.split(".") if module.endswith("__init__") else module.split(".")[:-1]
    package = [part for part in package if part != "__init__"]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{parent}.{alias.name}") for alias in node.names)


def layer(dotted: str) -> str:
    """The layer of a dotted name of this package; a name of the package itself belongs to ``__init__``."""
    names = dotted.split(".")[1:]
    for length in (2, 1):
        if ".".join(names[:length]) in LAYERS:
            return ".".join(names[:length])
    return "__init__"


def violations(source: str, module: str) -> list[str]:
    """What ``module`` (dotted, with ``__init__`` for a package's own) imports and must not."""
    mine = layer(module)
    found = []
    for line, name in imports(source, module):
        root = name.split(".")[0]
        if root == PACKAGE:
            theirs = layer(name)
            upward = theirs != mine and LAYERS.index(theirs) > LAYERS.index(mine)
            protocol_knows = mine == "protocol" and theirs not in ("protocol", "exceptions", "close_codes")
            if upward or {mine, theirs} in APART or protocol_knows:
                found.append(f"{module}:{line}: {mine} imports {theirs}")
            continue
        wrong = (
            (root == "eventlet" and not mine.startswith(("serving", "compat")))
            or (mine == "protocol" and root in CLOCKS_AND_SOCKETS)
            or (mine in THIRD_PARTY and root not in sys.stdlib_module_names and root not in THIRD_PARTY[mine])
        )
        if wrong:
            found.append(f"{module}:{line}: {mine} imports {root}")
    return found


def modules() -> list[Path]:
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def graph() -> dict[str, set[str]]:
    """Which module of the package imports which."""
    names = {dotted(path).removesuffix(".__init__"): path for path in modules()}
    edges: dict[str, set[str]] = {}
    for name, path in names.items():
        found = set()
        for _, imported in imports(path.read_text(), dotted(path)):
            # "from .room import module" names a module, "from .module import function" what is in one.
            found |= {one for one in (imported, imported.rpartition(".")[0]) if one in names and one != name}
        edges[name] = found
    return edges


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring; empty if there are none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for following in sorted(edges.get(name, ())):
            if found := visit(following, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(edges) if (found := visit(name, []))), [])


def test_there_is_no_circle() -> None:
    edges = graph()
    # Importing a package imports its __init__, and that of ours looks its names up later.
    edges[PACKAGE] = set()
    assert circle(edges) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    assert violations(path.read_text(), dotted(path)) == []


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
        ("websocket", "from .serving.sockets.channel import EventletChannel"),
        ("channel", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .websocket import WebSocket"),
        ("driver", "from .registry import registry"),
        ("serving.green.mailbox", "from ..process.server import Server"),
        ("serving.http.connection", "from ..process.server import Server"),
        ("serving.http.connection", "from ..sockets.channel import EventletChannel"),
        ("serving.green.turns", "from ..http.stream import Stream"),
        ("serving.process.site", "from ..runserver import reloading"),
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
