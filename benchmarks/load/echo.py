"""Closed-loop echo: every client keeps ``in_flight`` messages in flight and sends the next when one comes back."""

from __future__ import annotations

import json
import select
import time

from .crowd import PATIENCE, Crowd
from .frames import BINARY, TEXT, LoadError, deflated, masked_frame
from .job import Job
from .meter import Meter


def message(job: Job) -> bytes:
    """The payload: readable text, or JSON as an application would send it, or bytes that are no text."""
    if job.deflate:
        return json_message(job.payload)
    if job.binary:
        return bytes(i * 167 % 256 for i in range(256)) * (job.payload // 256) + b"\xff" * (job.payload % 256)
    line = b"The quick brown fox jumps over the lazy dog. "
    return (line * (job.payload // len(line) + 1))[: job.payload]


def json_message(size: int) -> bytes:
    """A list of small records, cut to ``size`` bytes by its last string."""
    records = [
        {"id": i, "price": 100 + i * 7919 % 977 / 8, "open": i % 3 == 0, "user": f"user-{i * 31 % 97}"}
        for i in range(size // 64)
    ]
    body = json.dumps({"records": records, "note": ""})
    return json.dumps({"records": records, "note": "." * max(0, size - len(body))}).encode()


def frame_of(job: Job, payload: bytes) -> bytes:
    """``payload`` as the frame that the job sends."""
    opcode = BINARY if job.binary else TEXT
    if job.deflate:
        return masked_frame(opcode, deflated(payload), compressed=True)
    return masked_frame(opcode, payload)


class EchoLoop:
    """The hot loop. Its cost per message limits how fast a server it can measure: keep it short."""

    def __init__(self, crowd: Crowd, frame: bytes, reply_size: int, in_flight: int) -> None:
        self._crowd = crowd
        self._batches = [frame * k for k in range(in_flight + 1)]
        self._reply_size = reply_size
        self._outboxes: dict[int, memoryview] = {}
        self._partial: set[int] = set()
        self._recv_into = {fd: member.sock.recv_into for fd, member in crowd.members.items()}
        self._send = {fd: member.sock.send for fd, member in crowd.members.items()}
        self._buffer = memoryview(bytearray(1 << 18))

    def start(self) -> None:
        """Send the messages that will be in flight."""
        for fd in self._crowd.members:
            self._transmit(fd, self._batches[-1])

    def run(self, seconds: float) -> tuple[int, float]:
        """The number of replies within ``seconds``, and the longest pause between two of them (seconds)."""
        poll, clock = self._crowd.epoll.poll, time.perf_counter
        recv_into, send, buffer, partial = self._recv_into, self._send, self._buffer, self._partial
        reply_size, frame, size_of_frame = self._reply_size, self._batches[1], len(self._batches[1])
        done, longest = 0, 0.0
        now = clock()
        end = now + seconds
        while now < end:
            events = poll(PATIENCE)
            before, now = now, clock()
            if now - before > longest:
                longest = now - before
                if not events:
                    raise LoadError(f"no reply for {PATIENCE:.0f} s")
            for fd, event in events:
                if event == 1:  # EPOLLIN and nothing else
                    try:
                        size = recv_into[fd](buffer)
                    except OSError:
                        size = 0
                    # One whole reply: the common case. A control frame never has a reply's size.
                    if size == reply_size and fd not in partial:
                        done += 1
                        sent = send[fd](frame)
                        if sent != size_of_frame:
                            self._keep(fd, memoryview(frame)[sent:])
                        continue
                    done += self._slow(fd, size)
                else:
                    done += self._rare(fd, event)
        return done, longest

    def _slow(self, fd: int, size: int) -> int:
        if not size:
            raise LoadError("the server closed a connection")
        member = self._crowd.members[fd]
        finished = self._crowd.take(member, self._buffer[:size])
        if member.reader.between_frames:
            self._partial.discard(fd)
        else:
            self._partial.add(fd)
        if finished:
            self._transmit(fd, self._batches[finished])
        return finished

    def _rare(self, fd: int, event: int) -> int:
        if event & select.EPOLLOUT:
            rest = self._outboxes.pop(fd)
            self._crowd.epoll.modify(fd, select.EPOLLIN)
            self._transmit(fd, rest)
        if event & ~select.EPOLLOUT:
            try:
                return self._slow(fd, self._recv_into[fd](self._buffer))
            except OSError as error:
                raise LoadError(f"the server closed a connection: {error.strerror}") from None
        return 0

    def _transmit(self, fd: int, data: bytes | memoryview) -> None:
        if fd in self._outboxes:
            self._keep(fd, memoryview(bytes(self._outboxes[fd]) + bytes(data)))
            return
        try:
            sent = self._send[fd](data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise LoadError(f"the server closed a connection: {error.strerror}") from None
        if sent != len(data):
            self._keep(fd, memoryview(data)[sent:])

    def _keep(self, fd: int, rest: memoryview) -> None:
        self._outboxes[fd] = rest
        self._crowd.epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)


def run(job: Job) -> dict[str, float]:
    """Open, compare the first reply on each connection, warm up, measure, close."""
    crowd = Crowd(job.port, job.path, deflate=job.deflate)
    crowd.open(job.clients)
    payload = message(job)
    frame = frame_of(job, payload)
    reply_size = crowd.greet(frame, payload)
    loop = EchoLoop(crowd, frame, reply_size, job.in_flight)
    loop.start()
    loop.run(job.warmup)
    meter = Meter(job.session)
    done, longest = loop.run(job.duration)
    samples = meter.read(done)
    samples["longest_pause"] = longest
    crowd.close()
    return samples
