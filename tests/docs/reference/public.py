"""What projects may use: the public modules, and the names in them that are for the package alone."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from textwrap import dedent
from typing import Any

from django.utils.module_loading import import_string

from tests.conftest import ROOT

__all__ = ["INTERNAL", "MODULES", "UNIMPORTED", "members", "names"]

#: Modules whose ``__all__`` is public.
MODULES = (
    "django_websocket",
    "django_websocket.blocking",
    "django_websocket.exceptions",
    "django_websocket.middleware",
    "django_websocket.signals",
    "django_websocket.testing",
    "django_websocket.tickets",
)

#: The same for modules that are read and not imported, because that has effects, or needs other packages.
UNIMPORTED = (
    "django_websocket.metrics",
    "django_websocket.serving.gunicorn",
    "django_websocket.serving.patch",
    "django_websocket.tracing.opentelemetry",
    "django_websocket.tracing.sentry",
)

#: Classes that projects only meet as what something returns, or as a base.
RETURNED = (
    "django_websocket.groups.backend.Backend",
    "django_websocket.groups.backend.Page",
    "django_websocket.groups.config.History",
    "django_websocket.groups.receivers.Joined",
    "django_websocket.groups.subscription.Subscription",
)

#: Attributes without an underscore that are no business of a project's: the package's parts use them among themselves.
INTERNAL = {
    "ClientWebSocket": {"call_watchers", "end", "raise_view_error", "view_failed"},
    "Group": {"add", "discard"},
    "Subscription": {"add_waker", "is_ready", "put", "remove_waker", "wait_message"},
    "WebSocket": {
        *("abort", "accepted", "admit", "attach", "bind", "configure", "connection", "disown", "driver", "group_class"),
        *("handover", "handshake", "kill", "number", "options", "owner", "release_database", "ticket", "visitor"),
        "wait_until",
    },
    "WebSocketClient": {"session"},  # Django's own
    "WebSocketLiveServerTestCase": {"setUpClass"},
    "WebSocketMiddleware": {"async_capable", "get_response", "process_view", "sync_capable"},
    "WebSocketTestMixin": {"debug", "run"},
}


def names() -> Iterator[tuple[str, Any]]:
    """Each public name with its module, and what it stands for; None if that module is not imported."""
    for module in MODULES:
        found = import_module(module)
        for name in found.__all__:
            yield f"{module}.{name}", getattr(found, name)
    yield from ((path, import_string(path)) for path in RETURNED)
    for module in UNIMPORTED:
        path = ROOT.joinpath(*module.split("."))
        text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
        for name in re.findall(r'"(\w+)"', text.partition("__all__ = [")[2].partition("]")[0]):
            if name != "eventlet":  # which the package's own modules take from there
                yield f"{module}.{name}", None


def members(cls: type[Any]) -> set[str]:
    """The public methods and attributes that the class itself brings, those that its ``__init__`` sets included.

    The members of enumerations have entries of their own.
    """
    [tree] = ast.parse(dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    found = {name for name in vars(cls) if not name.startswith("_")}
    found |= {name for name in inspect.get_annotations(cls) if not name.startswith("_")}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            stored = (part for part in ast.walk(node) if isinstance(part, ast.Attribute))
            found |= {part.attr for part in stored if isinstance(part.ctx, ast.Store) and part.attr[0] != "_"}
    if issubclass(cls, Enum):
        found -= cls.__members__.keys()
    inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
    return found - inherited - INTERNAL.get(cls.__name__, set())
