"""Clients that vanish without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.conftest import find_program
from tests.deadlines import deadline, wait_until

from .peer import PING, PONG, TEXT, Peer, frame
from .served import Served, attack, background

Serving = Callable[..., AbstractContextManager[Served]]

INTERVAL = TIMEOUT = deadline(1)
"""Longer than a busy machine keeps clients from answering that do."""
PINGS = {"WEBSOCKET_PING_INTERVAL": INTERVAL, "WEBSOCKET_PING_TIMEOUT": TIMEOUT}

#: How long a vanished client may be kept, before it is scaled.
KEPT = 7


def test_a_frozen_client_is_dropped_and_its_view_ends(serving: Serving) -> None:
    with (
        serving(settings=PINGS, beat=0.01) as served,
        attack("idle", served.port, "/witness/?name=frozen") as client,
    ):
        # Right behind a pong, where it takes longest.
        served.wait_state(websockets=1, answered=1)
        os.kill(client.pid, signal.SIGSTOP)
        start = time.monotonic()
        try:
            served.wait_state(KEPT, websockets=0)
            print(f"gone after {time.monotonic() - start:.1f} s")
            assert served.told("frozen") == ["frozen: None", "frozen: finally 1011"]
        finally:
            os.kill(client.pid, signal.SIGCONT)


@pytest.fixture
def cut_network() -> Iterator[tuple[str, str]]:
    """A network namespace, and the name of our end of the link to it."""
    name, ours, theirs = "djws-faults", "djws-f0", "djws-f1"
    commands = [
        f"ip netns add {name}",
        f"ip link add {ours} type veth peer name {theirs} netns {name}",
        f"ip addr add 10.213.7.1/24 dev {ours}",
        f"ip link set {ours} up",
        f"ip -n {name} addr add 10.213.7.2/24 dev {theirs}",
        f"ip -n {name} link set {theirs} up",
    ]
    find_program("ip"), find_program("ss")
    with ExitStack() as stack:
        for number, command in enumerate(commands):
            run = subprocess.run(command.split(), capture_output=True, text=True)
            if run.returncode:
                # As in most containers; there the frozen client has to do.
                pytest.skip(f"no right to make network namespaces: {run.stderr.strip()}")
            if number == 0:
                stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
            elif number == 1:
                stack.callback(subprocess.run, ["ip", "link", "del", ours], check=False, capture_output=True)
        yield name, ours


def test_a_client_whose_link_drops_is_dropped_too(serving: Serving, cut_network: tuple[str, str]) -> None:
    """Neither FIN nor RST: the packets go nowhere. The server runs behind the link, and we are what vanishes."""
    name, ours = cut_network
    before = ("ip", "netns", "exec", name)
    with serving(settings={**PINGS, "ALLOWED_HOSTS": ["*"]}, before=before, address="10.213.7.2:0") as served:
        with Peer(served.port, host="10.213.7.2").open("/witness/?name=cut") as peer:
            assert peer.frame().opcode == PING
            peer.send(frame(PONG))
            subprocess.run(["ip", "link", "set", ours, "down"], check=True)
            start = time.monotonic()
            wait_until(lambda: sockets_of(name, served.port) == 0, KEPT, "the dropped client's socket is closed")
            print(f"gone after {time.monotonic() - start:.1f} s")
            subprocess.run(["ip", "link", "set", ours, "up"], check=True)
        with Peer(served.port, host="10.213.7.2") as asking:
            assert b"cut: finally 1011" in asking.get("/state/", "Connection: close")[2]


def sockets_of(namespace: str, port: int) -> int:
    """How many connections with the server's process behind them there are."""
    command = ["ip", "netns", "exec", namespace, "ss", "-Htn", "state", "established", "sport", "=", f":{port}"]
    return len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def test_who_answers_pings_stays(serving: Serving) -> None:
    with (
        serving(settings=PINGS) as served,
        served.open("/echo/") as answering,
        served.open("/echo/") as talking,
        served.open("/echo/") as silent,
    ):
        start = time.monotonic()
        over = threading.Event()

        def talk() -> None:
            while not over.is_set():
                talking.send_text("I never answer pings, but I'm here")
                over.wait(0.1)

        def answer() -> None:
            pings = 0
            while not over.is_set() or pings < 4:
                received = answering.frame()
                assert received.opcode == PING
                answering.send(frame(PONG, received.payload))
                pings += 1

        with background(talk), background(answer):
            try:
                wait_until(lambda: time.monotonic() > start + 2 * (INTERVAL + TIMEOUT) + 1)
                assert silent.frame().opcode == PING
                assert silent.message().code == 1011
                assert silent.gone()
                served.wait_state(websockets=2)
            finally:
                over.set()


def test_a_wall_clock_that_jumps_changes_nothing(serving: Serving) -> None:
    with serving(settings=PINGS, jumping_clock=True) as served:
        start = time.monotonic()
        with served.open("/echo/") as peer:
            for number in range(1, 4):
                received = peer.frame()
                assert received.opcode == PING
                # Each may be read late, but none is sent early.
                assert time.monotonic() - start > number * INTERVAL * 0.9
                peer.send(frame(PONG, received.payload))
            # And a silent one is still found.
            start = time.monotonic()
            while peer.frame().opcode == PING:
                pass
            assert time.monotonic() - start < deadline(KEPT)


def test_a_process_that_stood_still_reads_before_it_judges(serving: Serving) -> None:
    """As when a virtual machine is moved: every client has answered meanwhile."""
    with serving(settings=PINGS) as served, served.open("/echo/") as peer:
        received = peer.frame()
        assert received.opcode == PING
        os.kill(served.process.pid, signal.SIGSTOP)
        peer.send(frame(PONG, received.payload))
        time.sleep(TIMEOUT + INTERVAL + 1)  # it is the time itself that matters
        os.kill(served.process.pid, signal.SIGCONT)
        peer.send_text("hello")
        frames = [peer.frame(), peer.frame()]
        assert [one.payload for one in frames if one.opcode == TEXT] == [b"hello"]
        assert [one.opcode for one in frames if one.opcode != TEXT] == [PING], "it was judged, and lives"


def test_latency_is_that_of_a_pong(served: Served) -> None:
    with served.open("/latency/") as peer:
        start = time.monotonic()
        peer.send_text("measure")
        received = peer.frame()
        assert received.opcode == PING
        time.sleep(0.2)
        peer.send(frame(PONG, received.payload))
        latency = float(peer.text())
        assert 0.2 <= latency <= time.monotonic() - start
