"""The figures of this process: what closed websockets left behind, and what open ones have counted so far."""

from __future__ import annotations

import weakref
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from ..close_codes import CloseCode
from ..groups.receivers import receivers
from ..groups.round_trips import round_trips
from ..registry import SocketObserver, registry
from ..signals import messages_lost, websocket_refused
from ..websocket import WebSocket

__all__ = ["Figures", "Values", "figures"]

MAX_ROUTES = 200
"""Routes with figures of their own. Projects have fewer; but a URLconf may be made for each request."""

MAX_PRIVATE_CODES = 20
"""Codes from 3000 on with figures of their own. Clients choose them, too, so there could be thousands."""

OTHER = "other"

SLICE = 500
"""Open websockets that are read at a time, in about half a millisecond; then others may run."""

MAX_DURATIONS = 10_000
"""Durations that are kept until somebody takes them; a server does at once."""

Values = dict[str, dict[tuple[str, ...], float]]
"""By the names of metrics, less what they all begin with, and their labels' values."""


class _Traffic:
    """What the websockets of one route have counted."""

    __slots__ = ("bytes_received", "bytes_sent", "messages_received", "messages_sent")

    def __init__(self) -> None:
        self.messages_received = self.messages_sent = self.bytes_received = self.bytes_sent = 0

    def add(self, websocket: WebSocket) -> None:
        connection, driver = websocket.connection, websocket.driver
        assert driver is not None, "it was opened"
        self.messages_received += connection.messages_received
        self.messages_sent += connection.messages_sent
        self.bytes_received += driver.bytes_received
        self.bytes_sent += driver.bytes_sent


class Figures(SocketObserver):
    """Observes the registry. Only the scheduler's thread may read it."""

    def __init__(self) -> None:
        self.processes = 0
        """1 while this process serves."""
        self.durations: deque[tuple[str, float]] = deque(maxlen=MAX_DURATIONS)
        """Routes, and seconds that a view ran, since somebody took them."""
        self._routes: dict[str | None, str] = {None: "unknown"}
        self._opened: Counter[str] = Counter()
        self._closed: Counter[tuple[str, ...]] = Counter()
        self._left: defaultdict[str, _Traffic] = defaultdict(_Traffic)
        self._private_codes: set[int] = set()
        self._refused: Counter[tuple[str, ...]] = Counter()
        self._losses = 0
        self._databases: dict[int, weakref.ref[BaseDatabaseWrapper]] = {}

    def listen(self) -> None:
        """Begin to observe."""
        registry.subscribe(self)
        websocket_refused.connect(self._on_refused)
        messages_lost.connect(self._on_lost)
        connection_created.connect(self._on_connected)

    # Events, none of which comes with each message

    def socket_opened(self, websocket: WebSocket) -> None:
        self._opened[self._route_of(websocket)] += 1

    def socket_closed(self, websocket: WebSocket) -> None:
        route = self._route_of(websocket)
        self._closed[route, self._code_of(websocket)] += 1
        self._left[route].add(websocket)

    def view_ended(self, websocket: WebSocket) -> None:
        if websocket.driver is not None:
            self.durations.append((self._route_of(websocket), websocket.driver.seconds_open))

    def _on_refused(self, reason: str, status: int, **kwargs: Any) -> None:
        self._refused[str(reason), str(status)] += 1

    def _on_lost(self, groups: list[str], **kwargs: Any) -> None:
        self._losses += len(groups)

    def _on_connected(self, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        key = id(connection)
        databases = self._databases
        databases[key] = weakref.ref(connection, lambda _: databases.pop(key, None))

    # Labels, which are few

    def _route_of(self, websocket: WebSocket) -> str:
        route = self._routes.get(websocket.route)
        if route is None:
            assert websocket.route is not None, "that one is known"
            if len(self._routes) > MAX_ROUTES:
                return OTHER
            route = self._routes[websocket.route] = "/" + websocket.route.removeprefix("^")
        return route

    def _code_of(self, websocket: WebSocket) -> str:
        code = websocket.close_code or CloseCode.ABNORMAL_CLOSURE.value
        if code < 3000 or code in self._private_codes:
            return str(code)
        if len(self._private_codes) >= MAX_PRIVATE_CODES:
            return OTHER
        self._private_codes.add(code)
        return str(code)

    # Reading

    def read(self, let_others_run: Callable[[], None]) -> Values:
        """All figures but the histograms', at one moment but for what open websockets count meanwhile.

        Each websocket is added up once, whether it stays open or is closed while others run.
        """
        values: Values = defaultdict(dict)
        traffic: defaultdict[str, _Traffic] = defaultdict(_Traffic)
        for route, left in self._left.items():
            for name in _Traffic.__slots__:
                setattr(traffic[route], name, getattr(left, name))
        websockets = [one for one in registry if one.driver is not None and not one.driver.is_lost]
        values["processes"][()] = self.processes
        values["opened_total"].update({(route,): number for route, number in self._opened.items()})
        values["closed_total"].update(self._closed)
        values["refused_total"].update(self._refused)
        self._read_groups(values)
        self._read_databases(values)
        self._read_open(values, websockets, traffic, let_others_run)
        for route, counted in traffic.items():
            for name in _Traffic.__slots__:
                values[f"{name}_total"][route,] = getattr(counted, name)
        return dict(values)

    def _read_open(
        self,
        values: Values,
        websockets: list[WebSocket],
        traffic: defaultdict[str, _Traffic],
        let_others_run: Callable[[], None],
    ) -> None:
        number: Counter[str] = Counter()
        queued: Counter[str] = Counter()
        queued_bytes: Counter[str] = Counter()
        outbox: Counter[str] = Counter()
        for start in range(0, len(websockets), SLICE):
            if start:
                let_others_run()
            for websocket in websockets[start : start + SLICE]:
                route = self._route_of(websocket)
                number[route] += 1
                traffic[route].add(websocket)
                if messages := websocket.connection.messages:
                    queued[route] += len(messages)
                    queued_bytes[route] += sum(map(_size, messages))
                if buffered := websocket.buffered_amount:
                    outbox[route] += buffered
        for route in self._opened:
            values["open"][route,] = number[route]
            values["queued_messages"][route,] = queued[route]
            values["queued_bytes"][route,] = queued_bytes[route]
            values["outbox_bytes"][route,] = outbox[route]

    def _read_groups(self, values: Values) -> None:
        fan_out = receivers.fan_out
        values["memberships"][()] = receivers.count_memberships()
        values["group_sends_total"][()] = receivers.sends
        values["group_deliveries_total"][()] = fan_out.deliveries
        values["group_losses_total"][()] = self._losses
        values["group_queued_bytes"][()] = fan_out.queued_bytes
        values["redis_round_trips_total"]["ok",] = round_trips.succeeded
        values["redis_round_trips_total"]["failed",] = round_trips.failed
        values["redis_round_trip_seconds_total"][()] = round_trips.seconds

    def _read_databases(self, values: Values) -> None:
        held = values["database_connections"]
        for reference in list(self._databases.values()):
            connection = reference()
            if connection is not None:
                held.setdefault((connection.alias,), 0)
                held[connection.alias,] += connection.connection is not None


def _size(message: str | bytes) -> int:
    if isinstance(message, str) and not message.isascii():
        return len(message.encode())
    return len(message)


figures = Figures()
"""Those of this process."""
