"""The life of a websocket as a span, for OpenTelemetry and for Sentry.

Both end the span of a handshake with its ``101``. What the view does afterwards would belong to a span that has ended.
So :func:`.opentelemetry.trace_websockets` and :func:`.sentry.trace_websockets` begin another one, in the same trace, in
which the view runs from then on. Each is called once, where the project sets the tool up.

Nothing is done for a message: a view that wants a span for each opens it as in any other code.
"""
