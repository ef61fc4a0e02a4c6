"""The opening handshake of a Django request: from the request to a running view and its 101 response."""

from __future__ import annotations

import logging
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from io import BytesIO
from typing import Any, cast

from asgiref.sync import _restore_context
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject, empty
from django.utils.log import log_response
from greenlet import GreenletExit

from .channel import UPGRADE_KEY, Transport, Upgrade
from .database import ConnectionLoan
from .exceptions import ConnectionClosed, HandshakeError
from .handover import ACCEPTED, Handover, State
from .options import resolve_options
from .origin import is_allowed_origin
from .protocol.handshake import accept_key, is_websocket_request, parse_handshake
from .sessions import session_watch
from .signals import websocket_closed, websocket_opened
from .websocket import WebSocket

__all__ = ["WebSocketRequest", "attach_websocket", "refuse", "serve_websocket"]

logger = logging.getLogger("django.request")

_HEADERS = {
    "upgrade": "HTTP_UPGRADE",
    "connection": "HTTP_CONNECTION",
    "content-length": "CONTENT_LENGTH",
    "transfer-encoding": "HTTP_TRANSFER_ENCODING",
    "sec-websocket-key": "HTTP_SEC_WEBSOCKET_KEY",
    "sec-websocket-version": "HTTP_SEC_WEBSOCKET_VERSION",
    "sec-websocket-protocol": "HTTP_SEC_WEBSOCKET_PROTOCOL",
    "sec-websocket-extensions": "HTTP_SEC_WEBSOCKET_EXTENSIONS",
}

#: Headers of the 101 that the handshake itself sets, or that make no sense on it.
_RESERVED_HEADERS = frozenset({"connection", "upgrade", "content-length", "content-type", "transfer-encoding"})


AUTH_MIDDLEWARE = "django.contrib.auth.middleware"

#: The body of every handshake.
_NO_BODY = BytesIO()


class WebSocketRequest(HttpRequest):
    """What a request looks like to a view behind the decorators or the middleware; for type annotations."""

    websocket: WebSocket | None

    def is_websocket(self) -> bool:
        """Whether the client wants to open a websocket."""
        raise NotImplementedError("only for type annotations")


def _true() -> bool:
    return True


def _false() -> bool:
    return False


def attach_websocket(request: HttpRequest) -> WebSocket | None:
    """Give ``request`` its ``is_websocket()`` and ``websocket``, unless it has them; returns the latter.

    Raises :exc:`HandshakeError` if the request wants to be a websocket and can't be one.
    """
    typed = cast(WebSocketRequest, request)
    if hasattr(typed, "is_websocket"):
        return typed.websocket
    meta = request.META
    headers = {name: meta[key] for name, key in _HEADERS.items() if key in meta}
    if not is_websocket_request(headers):
        typed.is_websocket = _false  # type: ignore[method-assign]  # one request has one answer
        typed.websocket = None
        return None
    # Methods are case-sensitive (RFC 9110, section 9.1), but request.method is in upper case whatever was sent.
    method = meta.get("REQUEST_METHOD") or request.method or ""
    handshake = parse_handshake(method, meta.get("SERVER_PROTOCOL", ""), headers)
    request.get_host()  # raises DisallowedHost, which Django answers with 400
    if UPGRADE_KEY not in meta:
        raise HandshakeError(
            501,
            "this server can't open websockets: use 'manage.py runwsserver'",
        )
    typed.is_websocket = _true  # type: ignore[method-assign]  # one request has one answer
    typed.websocket = WebSocket(handshake, resolve_options({}), meta.get("RAW_URI") or request.path)
    return typed.websocket


def refuse(request: HttpRequest, error: HandshakeError) -> HttpResponse:
    """The response for a refused handshake, logged with its reason."""
    response = HttpResponse(f"{error}\n", status=error.status, headers=error.headers, content_type="text/plain")
    log_response(
        "%s: %s (%s)",
        response.reason_phrase,
        request.path,
        error,
        response=response,
        request=request,
        logger=logger,
    )
    return response


def serve_websocket(
    request: HttpRequest,
    websocket: WebSocket,
    view: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    overrides: Mapping[str, Any],
) -> HttpResponseBase:
    """Run ``view`` in a greenlet of its own; returns its response, or the 101 if it accepted the websocket.

    ``overrides`` are the options of the view's decorator. Raises what the view raises before it accepts.
    """
    if overrides:
        websocket.configure(resolve_options(overrides))
    if not is_allowed_origin(request, websocket.options.origins):
        return refuse(request, HandshakeError(403, f"origin {request.META['HTTP_ORIGIN']!r} is not allowed"))
    opening = _Opening(request, websocket, view, args, kwargs)
    response = opening.run()
    if isinstance(response, SwitchingProtocols):
        upgrade: Upgrade = request.META[UPGRADE_KEY]
        upgrade.websocket = websocket
    return response


class SwitchingProtocols(HttpResponse):
    """The 101 of an accepted websocket."""

    status_code = 101


class _Opening:
    """One handshake from its view's start to its accept, and the view's end."""

    __slots__ = ("_args", "_handover", "_kwargs", "_loan", "_opened", "_request", "_response", "_view", "_websocket")

    def __init__(
        self,
        request: HttpRequest,
        websocket: WebSocket,
        view: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        self._request: HttpRequest | None = request
        self._websocket = websocket
        self._view: Callable[..., Any] | None = view
        self._args = args
        self._kwargs = kwargs
        self._handover = Handover(self._run_view, self._end)
        self._loan = ConnectionLoan()
        self._response: SwitchingProtocols | None = None
        self._opened = 0.0

    # In the request's greenlet

    def run(self) -> HttpResponseBase:
        websocket = self._websocket
        websocket.prepare(self._accept, self._handover)
        try:
            result = self._handover.start()
        finally:
            # A view that a decorator within this one serves has its own hand-over by now.
            if self._handover.state is not State.PARKED and websocket.handover is self._handover:
                websocket.prepare(None, None)
            self._loan.settle()
        if result is not ACCEPTED:
            return cast(HttpResponseBase, result)
        response, self._response = self._response, None
        assert response is not None, "the accept made a response"
        return response

    # In the view's greenlet

    def _run_view(self) -> Any:
        view, request = self._view, self._request
        self._view = None
        assert view is not None
        if self._loan.is_separate:
            # asgiref ties the data of its Locals (the active language, the time zone, the URLconf) to a thread, which
            # a greenlet is. This moves them, as it does for its own threads.
            _restore_context(copy_context())
        self._loan.take()
        try:
            # Called with its request alone, a view takes no room on the C stack. What lies there is copied at each
            # switch to and from the view, so a thousand busy sockets feel it.
            bare = not (self._args or self._kwargs)
            result = view(request) if bare else view(request, *self._args, **self._kwargs)
        finally:
            self._loan.give_back()
        if result is None and not self._websocket.accepted:
            self._websocket.accept()
        return result

    def _accept(self, subprotocol: str | None, headers: Mapping[str, str] | None) -> None:
        response = self._switching_protocols(subprotocol, headers)
        handover = self._handover
        handover.check_acceptable()
        self._loan.give_back(accepting=True)
        self._response = response
        handover.accept()
        websocket, request = self._websocket, self._request
        assert request is not None, "the view has not ended"
        self._loan.accepted(websocket)
        self._opened = time.monotonic()
        _drop_body(request)
        _settle_user(request)
        session_watch.add(websocket, request)
        websocket_opened.send_robust(WebSocket, websocket=websocket, request=request)

    def _switching_protocols(self, subprotocol: str | None, headers: Mapping[str, str] | None) -> SwitchingProtocols:
        websocket = self._websocket
        handshake = websocket.handshake
        assert handshake is not None, "a websocket keeps its handshake until it is open"
        if subprotocol is None:
            subprotocol = handshake.choose_subprotocol(websocket.options.subprotocols)
        elif subprotocol not in handshake.subprotocols:
            raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}")
        response = SwitchingProtocols()
        for name, value in (headers or {}).items():
            if name.lower() in _RESERVED_HEADERS or name.lower().startswith("sec-websocket-"):
                raise ValueError(f"the header {name} is not the view's to set")
            response[name] = value
        response["Sec-WebSocket-Accept"] = accept_key(handshake.key)
        if subprotocol is not None:
            response["Sec-WebSocket-Protocol"] = subprotocol
            websocket.subprotocol = subprotocol
        if websocket.options.compression:
            takeover = websocket.options.compression == "context-takeover"
            agreed = handshake.choose_deflate(takeover=takeover)
            if agreed is not None:
                response["Sec-WebSocket-Extensions"], deflate = agreed
                websocket.connection.use_deflate(deflate)
        return response

    def _end(self, result: Any, error: BaseException | None) -> None:
        """The view has ended after its accept."""
        websocket = self._websocket
        request, self._request = self._request, None
        assert request is not None, "a view ends once"
        code = 1000
        if isinstance(error, GreenletExit):
            code = 1001
        elif error is not None and not isinstance(error, ConnectionClosed):
            code = 1011
            _report(request, websocket.path, error)
        error = None  # its traceback refers to this frame
        session_watch.discard(websocket)
        transport = websocket.transport
        try:
            if transport is not None:
                websocket.close(code)
                self._send_closed(request, transport)
        finally:
            try:
                self._loan.end()
            finally:
                _untie(request)
                if transport is not None:
                    transport.view_ended()

    def _send_closed(self, request: HttpRequest, transport: Transport) -> None:
        websocket = self._websocket
        if not websocket_closed.receivers:
            return
        connection = websocket.connection
        websocket_closed.send_robust(
            WebSocket,
            websocket=websocket,
            request=request,
            code=websocket.close_code,
            reason=websocket.close_reason,
            duration=time.monotonic() - self._opened,
            messages_received=connection.messages_received,
            messages_sent=connection.messages_sent,
            bytes_received=transport.bytes_received,
            bytes_sent=transport.bytes_sent,
        )


def _drop_body(request: HttpRequest) -> None:
    """Let go of what only reading the body would need: it is empty, and the view may keep its request for days."""
    for key in ("wsgi.input", UPGRADE_KEY):
        request.META.pop(key, None)
    request._stream = _NO_BODY  # where WSGIRequest keeps its input


def _is_django_lazy(user: Any) -> bool:
    """Whether this is what Django's own middleware sets; somebody else's lazy user says who it is in its own way."""
    # Not isinstance(), which asks the object that a lazy one stands for.
    function = user.__dict__.get("_setupfunc") if issubclass(type(user), SimpleLazyObject) else None
    return getattr(function, "__module__", None) == AUTH_MIDDLEWARE


def _settle_user(request: HttpRequest) -> None:
    """Replace a lazy user that is known by now by that user: the lazy one refers to the request."""
    user = request.__dict__.get("user")
    if _is_django_lazy(user) and user.__dict__["_wrapped"] is not empty:
        request.user = user.__dict__["_wrapped"]


def _untie(request: HttpRequest) -> None:
    """Break the cycles that Django's middleware has made, so that a request is gone as soon as nobody refers to it.

    What lived for long is in the oldest generation. Thousands of requests would wait there for the garbage collector,
    and then it would stop everything for as long as it takes to look at them all.
    """
    attributes = request.__dict__
    attributes.pop("_messages", None)  # stored with the 101; what came later was never going to be
    attributes.pop("auser", None)
    _settle_user(request)
    if _is_django_lazy(attributes.get("user")):
        get_user: Callable[[HttpRequest], Any] = sys.modules[AUTH_MIDDLEWARE].get_user
        reference = weakref.ref(request)
        request.user = SimpleLazyObject(lambda: get_user(cast(HttpRequest, reference())))  # type: ignore[assignment]


def _report(request: HttpRequest, path: str, error: BaseException) -> None:
    """Log the traceback of a view's exception, once, and tell error trackers, as Django does for responses."""
    try:
        raise error
    except BaseException:
        got_request_exception.send_robust(sender=WebSocket, request=request)
        logger.error("Websocket view failed: %s", path, exc_info=True, extra={"request": request})
    finally:
        del error  # its traceback refers to this frame
