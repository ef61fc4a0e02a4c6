"""A crowd controlled by orders: each line on standard input is an order, each line of JSON on standard output a result.

``open N`` opens N more sockets and exchanges one message on each; ``report`` gives current figures; ``close`` closes
all. In between, the crowd answers pings. End of input ends the process.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable

from .crowd import Crowd
from .echo import frame_of, message
from .frames import LoadError
from .job import Job


class HeldCrowd(Crowd):
    """Notices an order while it keeps its members alive."""

    orders = b""
    ended = False

    def listen(self) -> None:
        """Take orders from standard input."""
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)

    def unknown(self, fd: int) -> None:
        """Standard input is ready."""
        data = os.read(fd, 4096)
        self.orders += data
        if not data:
            self.epoll.unregister(fd)
            self.ended = True

    def next_order(self) -> str | None:
        """Keep the members alive until there is an order; None when there will be none."""
        while b"\n" not in self.orders:
            if self.ended:
                return None
            self.turn(1.0)
        order, _, self.orders = self.orders.partition(b"\n")
        return order.decode()


def run(job: Job) -> None:
    """Take orders until the end of the input."""
    crowd = HeldCrowd(job.port, job.path, source=job.source)
    crowd.listen()
    payload = message(job)
    frame = frame_of(job, payload)

    def open_more(count: str) -> dict[str, float]:
        opening = crowd.open(int(count), concurrency=job.in_flight)
        crowd.greet(frame, payload)
        return {"seconds": opening.seconds, "longest_gap": opening.longest_gap, "slowest": max(opening.handshakes)}

    def report() -> dict[str, float]:
        return {"open": len(crowd.members), "pings": crowd.pings, "lost": crowd.lost}

    def close() -> dict[str, float]:
        lost = crowd.lost
        return {"unanswered": crowd.close(patience=20.0), "lost": lost}

    orders: dict[str, Callable[..., dict[str, float]]] = {"open": open_more, "report": report, "close": close}
    while (order := crowd.next_order()) is not None:
        name, *arguments = order.split()
        try:
            findings: dict[str, float] | dict[str, str] = dict(orders[name](*arguments))
        except LoadError as error:
            findings = {"error": str(error)}
        print(json.dumps(findings), flush=True)
