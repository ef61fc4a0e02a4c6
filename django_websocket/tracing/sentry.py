"""Transactions of websockets, for Sentry: in the trace of the handshake's.

A transaction is sent when it ends, and takes a thousand spans at most. So a view whose websockets stay open for hours,
and that asks the database for each message, does better with a transaction for each message.
"""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.tracing import TransactionSource

from ..signals import websocket_closed, websocket_opened
from .life import Attributes, Tracer

__all__ = ["trace_websockets"]


class _Tracer(Tracer):
    def begin(self, name: str, attributes: Attributes) -> Any:
        handshake = {"sentry-trace": sentry_sdk.get_traceparent() or "", "baggage": sentry_sdk.get_baggage() or ""}
        continued = sentry_sdk.continue_trace(
            handshake, op="websocket.server", name=name, source=TransactionSource.ROUTE
        )
        transaction = sentry_sdk.start_transaction(continued)
        transaction.__enter__()
        for key, value in attributes.items():
            transaction.set_data(key, value)
        return transaction

    def end(self, begun: Any, attributes: Attributes, *, failed: bool) -> None:
        for key, value in attributes.items():
            begun.set_data(key, value)
        begun.set_status("internal_error" if failed else "ok")
        begun.__exit__(None, None, None)


_tracers: list[Tracer] = []


def trace_websockets() -> None:
    """Trace each websocket that opens from now on. Call it once, after ``sentry_sdk.init()``."""
    integration = sentry_sdk.get_client().get_integration(DjangoIntegration)
    if integration is not None:
        # It wraps receivers in spans of its own, and puts back the span from before them.
        integration.signals_denylist = [*integration.signals_denylist, websocket_opened, websocket_closed]
    tracer = _Tracer()
    tracer.listen()
    _tracers.append(tracer)
