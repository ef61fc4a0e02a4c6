"""Standard output and error that nobody reads, or nobody can."""

from __future__ import annotations

import os
import posix  # its read() does not wait in the hub
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from django_websocket.serving.green.outputs import MAX_WAITING, Output
from django_websocket.serving.patch import eventlet
from tests.conftest import ROOT
from tests.deadlines import deadline

LINE = b"x" * 99 + b"\n"


class Pipe:
    """A pipe that a test reads, and the :class:`Output` at its other end."""

    def __init__(self) -> None:
        eventlet.hubs.get_hub()  # which tries again
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.output = Output(self.writer)

    def read(self) -> bytes:
        """All that is in the pipe."""
        data = b""
        with suppress(BlockingIOError):
            while more := posix.read(self.reader, 1 << 16):
                data += more
        return data

    def read_until(self, word: bytes) -> bytes:
        """All that comes until ``word`` does."""
        data = b""
        with eventlet.Timeout(deadline(10)):
            while word not in data:
                data += self.read()
                eventlet.sleep(0.01)
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.output.forget()
    for fd in (pipe.reader, pipe.writer):
        with suppress(OSError):
            os.close(fd)


def test_a_line_is_written_at_once(pipe: Pipe) -> None:
    assert pipe.output.write(LINE) == len(LINE)
    assert pipe.read() == LINE


def test_what_nobody_reads_waits_and_keeps_its_order(pipe: Pipe) -> None:
    lines = [b"%04d" % number + LINE for number in range(5000)]
    for line in lines:
        assert pipe.output.write(line) == len(line)
    assert os.get_blocking(pipe.writer), "the pipe's other users would get BlockingIOError"
    assert pipe.read_until(lines[-1]) == b"".join(lines)


def test_one_write_may_be_larger_than_the_pipe(pipe: Pipe) -> None:
    data = b"y" * 300_000 + b"\n"
    pipe.output.write(data)
    assert pipe.read_until(b"\n") == data


def test_what_is_too_much_is_counted(pipe: Pipe) -> None:
    count = 3 * MAX_WAITING // len(LINE)
    for _ in range(count):
        pipe.output.write(LINE)
    received = pipe.read_until(b"write error\n")
    told = re.search(rb"\ndjango_websocket: (\d+) lines of output were lost", received)
    assert told is not None
    assert received.count(LINE) + int(told[1]) == count
    assert len(received) > MAX_WAITING
    pipe.output.write(LINE)
    assert pipe.read() == LINE


def test_a_reader_that_has_gone_is_no_error(pipe: Pipe) -> None:
    os.close(pipe.reader)
    for _ in range(3):
        assert pipe.output.write(LINE) == len(LINE)
    pipe.output.finish()


def test_the_end_waits_for_no_reader(pipe: Pipe) -> None:
    pipe.output.write(b"z" * 200_000)
    pipe.output.finish(0.01)
    pipe.output.finish(0)


def test_what_waits_at_a_fork_is_the_parents(pipe: Pipe) -> None:
    pipe.output.write(b"z" * 200_000)
    pipe.output.forget()
    pipe.output.finish()
    assert len(pipe.read()) < 200_000


def test_a_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        output = Output(file.fileno())
        output.write(b"y" * 300_000)
    assert (tmp_path / "log").stat().st_size == 300_000


def test_a_disk_that_is_full() -> None:
    with open("/dev/full", "wb") as full:
        assert Output(full.fileno()).write(LINE) == len(LINE)


def test_a_socket() -> None:
    """As systemd connects services to its journal."""
    ours, theirs = eventlet.patcher.original("socket").socketpair()
    with ours, theirs:
        output = Output(ours.fileno())
        count = 10_000
        for _ in range(count):
            output.write(LINE)
        ours_blocks = os.get_blocking(ours.fileno())
        theirs.setblocking(False)
        received = b""
        with eventlet.Timeout(deadline(10)):
            while received.count(LINE) < count:
                with suppress(BlockingIOError):
                    received += theirs.recv(1 << 20)
                eventlet.sleep(0)
        assert ours_blocks
        assert received == LINE * count


PROGRAM = """
import logging, sys
handler = logging.StreamHandler()
captured = sys.stdout
from django_websocket.serving.green.outputs import protect_outputs
print("before")
protect_outputs()
protect_outputs()
assert handler.stream is sys.stderr
handler.emit(logging.makeLogRecord({"msg": "logged h\u00e9"}))
print("after", file=captured)
print("descriptor", sys.stdout.fileno(), sys.stdout.isatty(), sys.stdout.encoding, sys.stderr.errors)
sys.stdout.flush()
sys.stdout.buffer.write(b"bytes\\n")
"""


def test_streams_stay_what_they_are() -> None:
    """Handlers that have kept them write to the new place; nothing is lost, and the order is kept."""
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"}
    run = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], cwd=ROOT, env=environ, capture_output=True)
    assert run.stderr.decode() == "logged hé\n"
    assert run.stdout.decode() == "before\nafter\ndescriptor 1 False utf-8 backslashreplace\nbytes\n"
    assert run.returncode == 0


def test_streams_of_the_programs_own_are_left_alone() -> None:
    program = (
        "import io, sys\nfrom django_websocket.serving.green.outputs import protect_outputs\n"
        "sys.stdout = own = io.TextIOWrapper(io.BytesIO())\nprotect_outputs()\nprint('mine', flush=True)\n"
        "assert own.buffer.getvalue() == b'mine\\n'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, check=True)
