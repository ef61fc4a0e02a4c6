"""The page that Prometheus asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from ..background import background
from .exporter import exporter
from .figures import figures
from .sharing import sharing

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["application", "view"]


@never_cache
def view(request: HttpRequest) -> HttpResponse:
    """All metrics that prometheus-client knows of, those of the project included.

    Shows them to whoever asks: decorate it, or leave it to the proxy in front to keep others away.
    """
    content_type, body = _render(request.META)
    return HttpResponse(body, content_type=content_type)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The same as a WSGI application that has it at ``/metrics``."""
    if environ["PATH_INFO"] != "/metrics":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"The metrics are at /metrics.\n"]
    content_type, body = _render(environ)
    start_response("200 OK", [("Content-Type", content_type)])
    return [body]


def _render(environ: Mapping[str, Any]) -> tuple[str, bytes]:
    if sharing is None and environ.get("wsgi.multiprocess"):
        raise ImproperlyConfigured(
            "PROMETHEUS_MULTIPROC_DIR is not set: each process would tell its own figures. Set it in the environment of"
            " all processes, to a directory that is empty when they start"
        )
    encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
    return content_type, encode(_registry())


def _registry() -> CollectorRegistry:
    if sharing is None:
        exporter.declare()
        return REGISTRY
    sharing.forget_dead()
    question = sharing.ask()
    exporter.refresh()
    sharing.answer(question)
    sharing.wait(question)
    registry = CollectorRegistry()
    _Collector(registry)  # type: ignore[no-untyped-call]  # it has no types
    return registry


class _Collector(MultiProcessCollector):
    def collect(self) -> Iterable[Metric]:
        """Add up the files of all processes, as prometheus-client does, but for those that a process is just making.

        They are empty for a moment, which prometheus-client takes for an error.
        """
        assert sharing is not None
        metrics: Iterable[Metric] = self.merge(sharing.files())  # type: ignore[no-untyped-call]  # it has no types
        return metrics


figures.listen()
background.add(exporter.run)
