"""Which URL patterns take websockets, and on what terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from .conf import OPTIONS, get_setting
from .middleware import WebSocketMiddleware

__all__ = ["Endpoint", "list_endpoints"]

NO_MIDDLEWARE = "the view is marked by an attribute, which only WebSocketMiddleware in MIDDLEWARE heeds"

MARK_IS_HIDDEN = (
    "WebSocketMiddleware refuses it, because the URL's view is not marked, only a function that it calls; decorate"
    " dispatch, or the view that the URL has"
)

IS_ASYNC = "the view is async; views of websockets are plain functions"

_SHOWN_ANYWAY = ("origins", "subprotocols")


@dataclass(frozen=True)
class Endpoint:
    """A URL pattern whose view takes websockets, or is meant to."""

    path: str
    """As in the URLconf, all of it: ``/chat/<slug:room>/``, or a regular expression."""
    name: str | None
    """What ``reverse()`` takes, with namespaces."""
    view: str
    """Its dotted path."""
    required: bool
    """Whether plain requests are refused."""
    origins: list[str] | None
    """What may connect, as in ``WEBSOCKET_ALLOWED_ORIGINS``."""
    subprotocols: list[str]
    options: dict[str, Any]
    """Other options of the view's decorator whose values differ from the settings."""
    problem: str | None
    """Why no websocket opens there; None if one does."""


def list_endpoints() -> Iterator[Endpoint]:
    """Yield those of ROOT_URLCONF, in its order. Raises what importing the views raises."""
    has_middleware = any(map(_is_ours, settings.MIDDLEWARE))
    for path, name, pattern in _walk(get_resolver(), "", ""):
        endpoint = _examine(path, name, pattern, has_middleware=has_middleware)
        if endpoint is not None:
            yield endpoint


def _is_ours(middleware: str) -> bool:
    found = import_string(middleware)
    return isinstance(found, type) and issubclass(found, WebSocketMiddleware)


def _walk(resolver: URLResolver, route: str, namespace: str) -> Iterator[tuple[str, str | None, URLPattern]]:
    """Yield the path, the name and the pattern of each view behind ``resolver``."""
    for entry in resolver.url_patterns:
        # As in ResolverMatch.route: the caret of an included regular expression is in the middle of the path.
        part = str(entry.pattern)
        path = route + part.removeprefix("^") if route else part
        if isinstance(entry, URLResolver):
            yield from _walk(entry, path, f"{namespace}{entry.namespace}:" if entry.namespace else namespace)
        else:
            yield "/" + path.removeprefix("^"), entry.name and namespace + entry.name, entry


def _examine(path: str, name: str | None, pattern: URLPattern, *, has_middleware: bool) -> Endpoint | None:
    view = pattern.callback
    layers = list(_layers(view))
    is_decorated = any(getattr(layer, "serves_websocket", False) for layer in layers)
    problem = None
    if not any(map(_is_marked, layers)):
        if not (has_middleware and get_setting("WEBSOCKET_ACCEPT_ALL")) or iscoroutinefunction(view):
            return None
    elif not has_middleware:
        problem = None if is_decorated else NO_MIDDLEWARE
    elif not (_is_marked(view) or get_setting("WEBSOCKET_ACCEPT_ALL")):
        problem = MARK_IS_HIDDEN
    elif iscoroutinefunction(view):
        problem = IS_ASYNC
    # Each decorator sets all options, the innermost last.
    given = (getattr(layer, "websocket_options", None) for layer in reversed(layers))
    overrides: Mapping[str, Any] = next(filter(None, given), {})
    terms = {option: overrides.get(option, get_setting(setting.name)) for option, setting in OPTIONS.items()}
    return Endpoint(
        path=path,
        name=name,
        view=pattern.lookup_str,
        required=any(getattr(layer, "require_websocket", False) for layer in layers),
        origins=None if terms["origins"] is None else list(terms["origins"]),
        subprotocols=list(terms["subprotocols"]),
        options={
            option: value
            for option, value in terms.items()
            if option not in _SHOWN_ANYWAY and value != get_setting(OPTIONS[option].name)
        },
        problem=problem,
    )


def _is_marked(view: Any) -> bool:
    return bool(getattr(view, "require_websocket", False) or getattr(view, "accept_websocket", False))


def _layers(view: Any) -> Iterator[Any]:
    """Yield ``view``, and what it is known to call in turn."""
    while view is not None:
        yield view
        if isinstance(view, partial):
            view = view.func
        elif (cls := getattr(view, "view_class", None) or getattr(view, "cls", None)) is not None:
            view = getattr(cls, "get", None)  # a handshake is a GET
        else:
            view = getattr(view, "__wrapped__", None)
