"""Idle sockets: the cost of opening them, their memory, and the cost of keeping them alive."""

from __future__ import annotations

import time

from ..procfs import Memory, memory, session_pids
from .crowd import Crowd
from .echo import frame_of, message
from .job import Job
from .meter import Meter

SETTLE = 1.0  # seconds between the last handshake and the reading of the memory


def warm_up(job: Job) -> None:
    """Open and close a few sockets, so that a server's one-time loading and allocation is not counted."""
    payload = message(job)
    crowd = Crowd(job.port, job.path)
    crowd.open(min(50, job.clients))
    crowd.greet(frame_of(job, payload), payload)
    crowd.close()


def run_storm(job: Job) -> dict[str, float]:
    """Open as fast as the server allows: handshakes per second, and the duration of the slowest."""
    warm_up(job)
    crowd = Crowd(job.port, job.path)
    meter = Meter(job.session)
    opening = crowd.open(job.clients)
    samples = meter.read(job.clients)
    durations = sorted(opening.handshakes)
    samples["median_ms"] = durations[len(durations) // 2] * 1e3
    samples["p99_ms"] = durations[len(durations) * 99 // 100] * 1e3
    samples["slowest_ms"] = durations[-1] * 1e3
    samples["longest_pause"] = opening.longest_gap
    crowd.close()
    return samples


def server_memory(session: int) -> Memory:
    """The memory of the server and its workers."""
    return memory(session_pids(session))


def run_idle(job: Job) -> dict[str, float]:
    """Open, exchange one message per socket, settle; then measure memory per socket and the share of a core used.

    Pages that a server leaves half empty count for it.
    """
    payload = message(job)
    warm_up(job)
    time.sleep(SETTLE)
    before = server_memory(job.session)
    crowd = Crowd(job.port, job.path)
    opening = crowd.open(job.clients)
    crowd.greet(frame_of(job, payload), payload)
    crowd.hold(SETTLE)
    after = server_memory(job.session)
    samples = {
        "rss_kib": (after.rss - before.rss) / job.clients / 1024,
        "pss_kib": (after.pss - before.pss) / job.clients / 1024,
        "server_mib": after.rss / 2**20,
        "open_seconds": opening.seconds,
    }
    if job.duration:
        pings = crowd.pings
        meter = Meter(job.session)
        crowd.hold(job.duration)
        window = meter.read(1)
        samples["window_seconds"] = window["seconds"]
        samples["core_percent"] = window["server_busy"] * 100
        samples["user_percent"] = window["user_us"] / 1e4 / window["seconds"]
        samples["system_percent"] = window["system_us"] / 1e4 / window["seconds"]
        samples["pings"] = crowd.pings - pings
    samples["lost"] = crowd.lost
    crowd.close()
    return samples
