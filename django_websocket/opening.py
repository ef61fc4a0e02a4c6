"""The opening handshake of a Django request: the view runs, accepts, and continues once its 101 is sent.

In order: :func:`serve_websocket` starts the view in its own greenlet (:mod:`.handover`). The view's first use of
the socket calls :meth:`Opening.accept`, which builds the 101 and parks the view. The response unwinds through the
middleware; the server sends it and calls :meth:`Opening.open`, or :meth:`Opening.abort` if it could not.
:meth:`Opening._end` runs when the view ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from sys import intern
from typing import Any, cast

from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.log import log_response
from greenlet import GreenletExit

from .admission.entrance import Admission
from .admission.offer import PROTOCOL
from .admission.watch import ticket_watch
from .channel import UPGRADE_KEY, Channel, Upgrade
from .close_codes import CloseCode
from .compat.asgiref import forget_callers_executor, move_context
from .compat.django import suppress_log
from .connection_limits import connection_limits
from .database import ConnectionLoan
from .driver import Driver
from .exceptions import ConnectionClosed, HandshakeError, RefusalReason
from .groups.group import leave_groups
from .handover import ACCEPTED, Handover, State
from .options import resolve_options
from .origin import is_allowed_origin
from .protocol.handshake import accept_key
from .refusals import blame
from .registry import registry
from .request import release_handshake, release_request
from .sessions import session_watch
from .signals import websocket_closed, websocket_opened
from .subprotocols import warn_of_no_subprotocol
from .visitor import visitor_of
from .websocket import WebSocket
from .wrapping import blame_for_none

__all__ = ["Opening", "refuse", "serve_websocket"]

logger = logging.getLogger("django.request")

_RESERVED_HEADERS = frozenset({"connection", "upgrade", "content-length", "content-type", "transfer-encoding"})
"""Headers that the handshake itself sets on the 101, or that make no sense there."""


_LOGGED_ELSEWHERE = frozenset({RefusalReason.IP_LIMIT, RefusalReason.USER_LIMIT})
"""What may happen very often, and so is not logged each time."""


def refuse(request: HttpRequest, error: HandshakeError) -> HttpResponse:
    """Return the response for a refused handshake, and log the reason."""
    blame(request.META, error.kind)
    response = HttpResponse(f"{error}\n", status=error.status, headers=error.headers, content_type="text/plain")
    if error.kind in _LOGGED_ELSEWHERE:
        suppress_log(response)
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
    """Run ``view`` in its own greenlet; return its response, or the 101 if it accepted the websocket.

    ``overrides`` are the options of the view's decorator. A foreign origin gets a 403, one websocket too many a 429.
    Raises what the view raises before it accepts.
    """
    match = request.resolver_match
    if match is not None and match.route is not None:
        # Made anew for each request where URLconfs are nested.
        websocket.route, websocket.view_name = intern(match.route), intern(match.view_name)
    if overrides:
        websocket.configure(resolve_options(overrides))
    if not is_allowed_origin(request, websocket.options.origins):
        reason = f"origin {request.META['HTTP_ORIGIN']!r} is not allowed"
        return refuse(request, HandshakeError(403, reason, kind=RefusalReason.ORIGIN))
    try:
        connection_limits.take(websocket, request)
    except HandshakeError as error:
        return refuse(request, error)
    upgrade: Upgrade = request.META[UPGRADE_KEY]
    try:
        return Opening(request, websocket, view, args, kwargs).run()
    finally:
        if upgrade.acceptance is None:
            connection_limits.give_back(websocket)


_on_closed = registry.closed
"""One bound method for all websockets."""


class SwitchingProtocols(HttpResponse):
    """The 101 of an accepted websocket."""

    status_code = 101


class Opening:
    """One view and its websocket, from the handshake to the view's end; the :class:`.Acceptance` of the server."""

    __slots__ = ("_args", "_handover", "_kwargs", "_loan", "_request", "_response", "_view", "_websocket")

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
        upgrade: Upgrade = request.META[UPGRADE_KEY]
        self._loan: ConnectionLoan = (upgrade.new_loan or ConnectionLoan)()
        self._response: SwitchingProtocols | None = None

    # In the request's greenlet

    def run(self) -> HttpResponseBase:
        """Run the view; return its response, or the 101 if it accepted."""
        websocket, request = self._websocket, self._request
        assert request is not None, "an opening runs once"
        websocket.bind(self.accept, self._handover)
        try:
            result = self._handover.start()
        finally:
            # A decorator nested in this one may have started its own hand-over.
            if not self.is_waiting and websocket.handover is self._handover:
                websocket.bind(None, None)
            self._loan.collect()
        if result is not ACCEPTED:
            return cast(HttpResponseBase, result)
        response, self._response = self._response, None
        assert response is not None, "the accept made a response"
        upgrade: Upgrade = request.META[UPGRADE_KEY]
        upgrade.acceptance = self
        return response

    # In the view's greenlet

    def _run_view(self) -> Any:
        view, request = self._view, self._request
        self._view = None
        assert view is not None
        if self._loan.is_separate:
            move_context(copy_context())
            forget_callers_executor()
        self._loan.take()
        try:
            # Calling the view with only its request uses no C stack. Anything on the C stack is copied at every switch
            # to and from the view, which a thousand busy sockets would notice.
            bare = not (self._args or self._kwargs)
            result = view(request) if bare else view(request, *self._args, **self._kwargs)
        finally:
            self._loan.give_back()
        if result is None and not self._websocket.accepted:
            self._websocket.accept()
        return result

    def accept(self, subprotocol: str | None, headers: Mapping[str, str] | None) -> None:
        """Build the 101 and park the view; returns once the websocket is open. See :meth:`.WebSocket.accept`."""
        handover = self._handover
        handover.check_acceptable()
        response = self._switching_protocols(subprotocol, headers)
        self._loan.give_back(accepting=True)
        self._response = response
        handover.accept()
        websocket, request = self._websocket, self._request
        assert request is not None, "the view has not ended"
        self._loan.accepted(websocket)
        release_handshake(request)
        if websocket.driver is not None:
            websocket.visitor = visitor_of(request, websocket.driver.peer_host)
        if websocket.ticket is not None:
            ticket_watch.add(websocket, cast(Admission, websocket.ticket))  # whatever the cookie says
        else:
            session_watch.add(websocket, request)
        websocket_opened.send_robust(WebSocket, websocket=websocket, request=request)

    def _switching_protocols(self, subprotocol: str | None, headers: Mapping[str, str] | None) -> SwitchingProtocols:
        websocket = self._websocket
        handshake = websocket.handshake
        assert handshake is not None, "a websocket keeps its handshake until it opens"
        if subprotocol is None:
            subprotocol = handshake.choose_subprotocol(websocket.options.subprotocols)
            if (
                subprotocol is None
                and handshake.subprotocols
                and websocket.ticket is None
                and self._request is not None
            ):
                warn_of_no_subprotocol(self._request, handshake.subprotocols, websocket.options.subprotocols)
        elif subprotocol not in handshake.subprotocols:
            raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}")
        response = SwitchingProtocols()
        for name, value in (headers or {}).items():
            if name.lower() in _RESERVED_HEADERS or name.lower().startswith("sec-websocket-"):
                raise ValueError(f"a view may not set the header {name}")
            response[name] = value
        response["Sec-WebSocket-Accept"] = accept_key(handshake.key)
        if subprotocol is not None:
            response["Sec-WebSocket-Protocol"] = subprotocol
            websocket.subprotocol = subprotocol
        elif websocket.ticket is not None:
            # Browsers give up a connection if the server selects nothing of what they offered.
            response["Sec-WebSocket-Protocol"] = PROTOCOL
        if websocket.options.compression:
            takeover = websocket.options.compression == "context-takeover"
            agreed = handshake.choose_deflate(takeover=takeover)
            if agreed is not None:
                response["Sec-WebSocket-Extensions"], deflate = agreed
                websocket.connection.use_deflate(deflate)
        return response

    # In the scheduler, called by the server

    @property
    def is_waiting(self) -> bool:
        """Whether the view is parked until its 101 is sent."""
        return self._handover.state is State.PARKED

    def open(self, channel: Channel, peer: str, trailing: bytes, owner: object) -> None:
        """Open the websocket on ``channel`` and resume the view. See :meth:`.Acceptance.open`."""
        websocket = self._websocket
        driver = websocket.attach(channel, peer, owner, _on_closed)
        registry.opened(websocket)
        driver.start(trailing)
        if self.is_waiting:
            self._handover.resume()
            return
        # The view gave up after the 101 was sent, for example by a timeout of its own.
        websocket.close(CloseCode.INTERNAL_ERROR)
        if self._handover.state is State.ENDED:
            registry.view_ended(websocket)
        else:
            self._handover.abort(GreenletExit())

    def abort(self) -> None:
        """End the view because the 101 was not sent. See :meth:`.Acceptance.abort`."""
        connection_limits.give_back(self._websocket)
        self._websocket.abort()

    # In the view's greenlet, when the view has ended after its accept

    def _end(self, result: Any, error: BaseException | None) -> None:
        websocket = self._websocket
        request, self._request = self._request, None
        assert request is not None, "a view ends once"
        code = CloseCode.NORMAL_CLOSURE
        if isinstance(error, GreenletExit):
            code = CloseCode.GOING_AWAY
        elif error is not None and not isinstance(error, ConnectionClosed):
            code = CloseCode.INTERNAL_ERROR
            _report(request, websocket.path, error)
        elif getattr(result, "status_code", 101) >= 400:
            # Django REST framework, for one, makes a response of exceptions; nobody would see it.
            code = CloseCode.INTERNAL_ERROR
            _report_response(request, websocket.path, result)
        error = None  # its traceback refers to this frame
        driver = websocket.driver
        try:
            if driver is not None:
                websocket.visitor = visitor_of(request, driver.peer_host, websocket.visitor)
                websocket.close(code)
                leave_groups(websocket)
                _send_closed(websocket, driver, request)
        finally:
            try:
                self._loan.end()
            finally:
                try:
                    release_request(request)
                finally:
                    if driver is not None:
                        registry.view_ended(websocket)


def _send_closed(websocket: WebSocket, driver: Driver, request: HttpRequest) -> None:
    if not websocket_closed.receivers:
        return
    connection = websocket.connection
    websocket_closed.send_robust(
        WebSocket,
        websocket=websocket,
        request=request,
        code=websocket.close_code,
        reason=websocket.close_reason,
        duration=driver.seconds_open,
        messages_received=connection.messages_received,
        messages_sent=connection.messages_sent,
        bytes_received=driver.bytes_received,
        bytes_sent=driver.bytes_sent,
    )


def _report(request: HttpRequest, path: str, error: BaseException) -> None:
    """Log a view's exception once and send ``got_request_exception``, as Django does for responses."""
    try:
        raise error
    except BaseException:
        got_request_exception.send_robust(sender=WebSocket, request=request)
        message = "Websocket view failed: %s"
        if (culprit := blame_for_none(request, error)) is not None:
            message += (
                f" ({culprit} can't take the view's None: put the websocket decorator below it, or return a response)"
            )
        logger.error(message, path, exc_info=True, extra={"request": request})
    finally:
        del error  # its traceback refers to this frame


def _report_response(request: HttpRequest, path: str, response: HttpResponseBase) -> None:
    """Log an error that a view returned when it had accepted."""
    details = getattr(response, "data", None) or response.reason_phrase
    logger.error(
        "Websocket view failed: %s (a response %s came after its accept: %s)",
        path,
        response.status_code,
        details,
        extra={"request": request, "status_code": response.status_code},
    )
