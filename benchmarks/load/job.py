"""The load process's job; created by the workloads, passed as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Job:
    """One cell of the table: one workload on one running server."""

    kind: str  # echo, fanout, storm, idle http or held
    port: int = 0
    session: int = 0  # the server's
    path: str = "/"
    clients: int = 1
    payload: int = 100  # bytes of one message
    binary: bool = False
    deflate: bool = False
    in_flight: int = 1
    source: str = "127.0.0.1"  # the client's address
    warmup: float = 0.3  # seconds
    duration: float = 2.0  # seconds

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        return cls(**json.loads(text))
