"""The workloads: what every server has to do, and which sample is the figure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .load.job import Job
from .processes import Failure
from .servers import Server


@dataclass(frozen=True)
class Figure:
    """The sample that a workload's table is sorted by."""

    sample: str
    label: str
    more_is_better: bool = True


MESSAGES = Figure("rate", "messages/s")
CONNECTS = Figure("rate", "connects/s")
DELIVERIES = Figure("rate", "deliveries/s")
REQUESTS = Figure("rate", "requests/s")
MEMORY = Figure("rss_kib", "KiB/socket", more_is_better=False)
SHARE = Figure("core_percent", "% of a core", more_is_better=False)


@dataclass(frozen=True)
class Workload:
    """One table. ``kind`` is what a server must support; ``fresh`` requires a server that has served nothing yet."""

    name: str
    title: str
    kind: str
    job: Job
    figure: Figure = MESSAGES
    fresh: bool = False
    seconds: float = 0.0  # its own duration, where that of the run would not do
    once: bool = False  # long, and its figure hardly varies: one round will do

    def refusal(self, server: Server) -> str | None:
        """The reason to skip ``server``: empty if it lacks the kind, None if it is to be measured."""
        if self.kind == "pings" and "idle" in server.kinds and not server.pings:
            return "sends no pings"
        if self.kind not in server.kinds:
            return ""
        if self.job.clients > server.most_clients:
            return f"one thread for each socket: {server.most_clients} at most"
        return None

    def job_for(self, server: Server, port: int, session: int, *, duration: float, warmup: float) -> Job:
        """The job for a running server."""
        path = {"fanout": "/fanout", "http": "/page/"}.get(self.kind, server.path)
        if self.kind == "idle":
            duration = 0.0
        return replace(
            self.job, port=port, session=session, path=path, duration=self.seconds or duration, warmup=warmup
        )


KIB = 1024
MIB = 1024 * KIB


def _echo(name: str, title: str, clients: int, payload: int, *, binary: bool = False, in_flight: int = 1) -> Workload:
    job = Job("echo", clients=clients, payload=payload, binary=binary, in_flight=in_flight)
    return Workload(name, title, "echo", job)


_WORKLOADS = [
    _echo("echo-100x1", "Echo, 100 bytes of text, 1 client", 1, 100),
    _echo("echo-100x100", "Echo, 100 bytes of text, 100 clients", 100, 100),
    _echo("echo-100x1000", "Echo, 100 bytes of text, 1000 clients", 1000, 100),
    _echo(
        "pipelined",
        "Echo, 100 bytes of text, 100 clients with 16 messages in flight each",
        100,
        100,
        in_flight=16,
    ),
    _echo("echo-4k", "Echo, 4 KiB of text, 100 clients", 100, 4 * KIB),
    _echo("echo-4k-binary", "Echo, 4 KiB of binary data, 100 clients", 100, 4 * KIB, binary=True),
    _echo("echo-64k", "Echo, 64 KiB of text, 10 clients", 10, 64 * KIB),
    _echo("echo-64k-binary", "Echo, 64 KiB of binary data, 10 clients", 10, 64 * KIB, binary=True),
    _echo("echo-1m", "Echo, 1 MiB of text, 4 clients", 4, MIB),
    _echo("echo-1m-binary", "Echo, 1 MiB of binary data, 4 clients", 4, MIB, binary=True),
    Workload(
        "deflate",
        "Echo, 1 KiB of compressed JSON, 100 clients",
        "deflate",
        Job("echo", clients=100, payload=KIB, deflate=True),
    ),
    Workload("http", "A Django page over HTTP, 32 clients", "http", Job("http", clients=32), REQUESTS, fresh=True),
    *(
        Workload(
            f"fanout-{n}",
            f"Fan-out of 100 bytes to {n} sockets",
            "fanout",
            Job("fanout", clients=n),
            DELIVERIES,
            fresh=True,
            once=n > 1000,
        )
        for n in (100, 1000, 10_000)
    ),
    Workload(
        "fanout-bursts-1000",
        "Fan-out of 100 bytes to 1000 sockets, ten messages at a time",
        "fanout",
        Job("fanout", clients=1000, in_flight=10),
        DELIVERIES,
        fresh=True,
    ),
    *(
        Workload(f"storm-{n}", f"Opening {n} sockets", "storm", Job("storm", clients=n), CONNECTS, fresh=True)
        for n in (1000, 5000)
    ),
    *(
        Workload(
            f"idle-{n}",
            f"Memory of {n} idle sockets",
            "idle",
            Job("idle", clients=n),
            MEMORY,
            fresh=True,
            once=n > 1000,
        )
        for n in (1000, 5000, 15_000)
    ),
    *(
        Workload(
            f"pings-{n}",
            f"{n} idle sockets with pings on",
            "pings",
            Job("idle", clients=n),
            SHARE,
            fresh=True,
            once=True,
            seconds=40.0,  # two ping intervals of every server
        )
        for n in (1000, 15_000)
    ),
]

WORKLOADS = {workload.name: workload for workload in _WORKLOADS}


def chosen(names: str) -> list[Workload]:
    """The workloads of a comma-separated list, in the report's order. Raises Failure for an unknown name."""
    wanted = names.split(",")
    unknown = sorted(set(wanted) - set(WORKLOADS))
    if unknown:
        raise Failure(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return [workload for workload in WORKLOADS.values() if workload.name in wanted]
