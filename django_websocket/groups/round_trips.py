"""What commands to Redis cost, those of all clients of the process together."""

from __future__ import annotations

__all__ = ["RoundTrips", "round_trips"]


class RoundTrips:
    """A pipeline is one round trip. The wait for a free connection is no part of it."""

    def __init__(self) -> None:
        self.succeeded = 0
        self.failed = 0
        self.seconds = 0.0
        """Of both."""


round_trips = RoundTrips()
