"""Fan-out in a closed loop: one member sends, all members receive, then it sends again; or several messages at once."""

from __future__ import annotations

import time

from .crowd import Crowd
from .echo import frame_of, message
from .frames import LoadError
from .job import Job
from .meter import Meter

SILENCE = 20.0  # seconds without a delivery after which a message is lost
LONGEST = 120.0  # seconds that one message may take


class FanoutLoop:
    """Counts deliveries; the sender gets its own message too."""

    def __init__(self, crowd: Crowd, frame: bytes, burst: int) -> None:
        self._crowd = crowd
        self._frames = frame * burst
        self._burst = burst
        self._speaker = next(iter(crowd.members.values())).sock
        self._reply_size = len(frame) - 4  # a server's frame has no mask
        self._recv_into = {fd: member.sock.recv_into for fd, member in crowd.members.items()}
        self._buffer = memoryview(bytearray(1 << 18))

    def speak(self) -> float:
        """One burst to all; the seconds until the last delivery. Raises LoadError if deliveries are missing."""
        poll, clock, recv_into, buffer = (
            self._crowd.epoll.poll,
            time.perf_counter,
            self._recv_into,
            self._buffer,
        )
        reply_size, members = self._reply_size, self._crowd.members
        left = expected = len(members) * self._burst
        start = clock()
        self._speaker.send(self._frames)
        while left > 0:
            events = poll(SILENCE)
            if not events:
                raise LoadError(f"{left} of {expected} deliveries missing after {SILENCE:.0f} s of silence")
            if clock() - start > LONGEST:
                raise LoadError(f"{left} of {expected} deliveries missing after {LONGEST:.0f} s")
            for fd, _ in events:
                size = recv_into[fd](buffer)
                if size == reply_size:
                    left -= 1
                elif size:
                    left -= self._crowd.take(members[fd], buffer[:size])
                else:
                    raise LoadError("the server closed a connection")
        return clock() - start


def _speak_for(loop: FanoutLoop, seconds: float) -> list[float]:
    """How long each message took, of at least one."""
    durations = []
    end = time.perf_counter() + seconds
    while not durations or time.perf_counter() < end:
        durations.append(loop.speak())
    return durations


def run(job: Job) -> dict[str, float]:
    """Whole messages, at least one, until the duration is over; the rate is in deliveries a second."""
    crowd = Crowd(job.port, job.path)
    crowd.open(job.clients)
    loop = FanoutLoop(crowd, frame_of(job, message(job)), job.in_flight)
    meter = Meter(job.session)
    durations = [loop.speak()]
    if durations[0] < job.duration:  # a first message that takes longer is measured itself
        _speak_for(loop, job.warmup)
        meter = Meter(job.session)
        durations = _speak_for(loop, job.duration)
    samples = meter.read(len(durations) * job.clients * job.in_flight)
    samples["last_delivery_ms"] = sorted(durations)[len(durations) // 2] * 1e3
    crowd.close()
    return samples
