"""All metrics: names, types, labels and meanings. The reference is made from this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["DECLARATIONS", "PREFIX", "Declaration", "Kind"]


class Kind(Enum):
    """The types of Prometheus that are used here."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Declaration:
    """One metric. Its ``unit`` is only for people, as names end with it where Prometheus has a custom for that."""

    name: str
    kind: Kind
    unit: str
    doc: str
    labels: tuple[str, ...] = ()
    buckets: Sequence[float] = ()
    """Upper bounds of a histogram's buckets."""


PREFIX = "django_websocket_"

DECLARATIONS: dict[str, Declaration] = {
    declaration.name: declaration
    for declaration in (
        Declaration(
            PREFIX + "processes",
            Kind.GAUGE,
            "processes",
            "Processes that serve.",
        ),
        Declaration(
            PREFIX + "open",
            Kind.GAUGE,
            "websockets",
            "Open websockets.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "opened_total",
            Kind.COUNTER,
            "websockets",
            "Websockets that were opened.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "closed_total",
            Kind.COUNTER,
            "websockets",
            "Websockets that were closed, by the code of the first close frame, the client's or ours; 1006:"
            " there was none.",
            labels=("route", "code"),
        ),
        Declaration(
            PREFIX + "refused_total",
            Kind.COUNTER,
            "handshakes",
            "Handshakes that got no websocket, by reason and by the status of the HTTP response.",
            labels=("reason", "status"),
        ),
        Declaration(
            PREFIX + "view_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "How long views ran, from the opening of their websocket to their end.",
            labels=("route",),
            buckets=(0.1, 1, 10, 60, 300, 1800, 7200, 28_800, 86_400),
        ),
        Declaration(
            PREFIX + "messages_received_total",
            Kind.COUNTER,
            "messages",
            "Messages that clients have sent, whether a view has taken them or not.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "messages_sent_total",
            Kind.COUNTER,
            "messages",
            "Messages that were sent to clients, those of groups included.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "bytes_received_total",
            Kind.COUNTER,
            "bytes",
            "What came from clients: frames as they are on the wire, handshakes excluded.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "bytes_sent_total",
            Kind.COUNTER,
            "bytes",
            "What the kernel took to send to clients; what an outbox holds is not counted before it is empty.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "queued_messages",
            Kind.GAUGE,
            "messages",
            "Messages that have arrived and that no view has taken yet.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "queued_bytes",
            Kind.GAUGE,
            "bytes",
            "The payloads of these messages.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "outbox_bytes",
            Kind.GAUGE,
            "bytes",
            "What waits to be sent to clients that don't read as fast.",
            labels=("route",),
        ),
        Declaration(
            PREFIX + "hub_lag_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "How late a timer runs that is due at any moment: how long everything else waited for a"
            " computation, or for a call that blocks the process.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        ),
        Declaration(
            PREFIX + "memberships",
            Kind.GAUGE,
            "members",
            "Members of all groups; a websocket in two groups counts twice.",
        ),
        Declaration(
            PREFIX + "group_sends_total",
            Kind.COUNTER,
            "messages",
            "Messages that were sent to groups.",
        ),
        Declaration(
            PREFIX + "group_deliveries_total",
            Kind.COUNTER,
            "messages",
            "Messages of groups times the members that they were for; those from a history are not counted.",
        ),
        Declaration(
            PREFIX + "group_losses_total",
            Kind.COUNTER,
            "groups",
            "How often messages may have been lost, each group that it concerned counted: the signal"
            " ``messages_lost``.",
        ),
        Declaration(
            PREFIX + "group_queued_bytes",
            Kind.GAUGE,
            "bytes",
            "Messages of groups that wait to be written to members; senders wait past 256 KiB in a process.",
        ),
        Declaration(
            PREFIX + "redis_round_trips_total",
            Kind.COUNTER,
            "commands",
            "Commands to Redis, for groups: ``ok``, or ``failed``.",
            labels=("outcome",),
        ),
        Declaration(
            PREFIX + "redis_round_trip_seconds_total",
            Kind.COUNTER,
            "seconds",
            "How long they took, all together: divided by their number, the mean.",
        ),
        Declaration(
            PREFIX + "database_connections",
            Kind.GAUGE,
            "connections",
            "Connections to databases that the process holds, by the alias in ``DATABASES``; those that wait in"
            " a pool are not counted.",
            labels=("database",),
        ),
    )
}
