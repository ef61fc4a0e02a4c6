"""Spans of websockets, for OpenTelemetry: children of the handshake's, if that was traced."""

from __future__ import annotations

from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from .life import Attributes, Tracer

__all__ = ["trace_websockets"]


class _Tracer(Tracer):
    def __init__(self, provider: TracerProvider | None) -> None:
        super().__init__()
        self._tracer = trace.get_tracer("django_websocket", tracer_provider=provider)

    def begin(self, name: str, attributes: Attributes) -> Any:
        span = self._tracer.start_span(name, kind=SpanKind.SERVER, attributes=attributes)
        return span, context.attach(trace.set_span_in_context(span))

    def end(self, begun: Any, attributes: Attributes, *, failed: bool) -> None:
        span: Span
        span, token = begun
        span.set_attributes(attributes)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        context.detach(token)


_tracers: list[Tracer] = []


def trace_websockets(provider: TracerProvider | None = None) -> None:
    """Trace each websocket that opens from now on, by ``provider`` or else by the global one. Call it once."""
    tracer = _Tracer(provider)
    tracer.listen()
    _tracers.append(tracer)
