"""Past what a process can hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from tests.deadlines import deadline

from .peer import Peer, crowd
from .served import Served

Serving = Callable[..., AbstractContextManager[Served]]


def test_past_the_maximum_there_is_an_immediate_503(serving: Serving) -> None:
    settings = {"WEBSOCKET_MAX_CONNECTIONS": 20, "WEBSOCKET_REQUEST_TIMEOUT": deadline(600)}
    with serving(settings=settings) as served:
        with crowd(served.port, "/echo/", 20) as peers:
            with served.peer() as refused:
                status, _ = refused.head()  # without a byte of a request, and long before it would time out
                assert status == 503
                assert refused.rest() is not None
            for peer in peers:
                peer.send_text("unharmed")
                assert peer.text() == "unharmed"
            peers[0].sock.close()
            peers[1].reset()
            served.wait_state(websockets=18)
        served.wait_state(websockets=0, connections=1)


def test_out_of_descriptors_accepting_pauses_and_recovers_soon(serving: Serving) -> None:
    # The bound on connections is of the same origin, so it is set out of the way.
    with serving(descriptors=128, max_connections=10_000) as served, ExitStack() as stack:
        with crowd(served.port, "/echo/", 20) as inside:
            waiting = [stack.enter_context(Peer(served.port)) for _ in range(200)]
            served.wait_logged("cannot accept connections")
            for _ in range(10):
                for peer in inside:
                    peer.send_text("unharmed")
                    assert peer.text() == "unharmed"
                time.sleep(0.05)
            assert served.log().count("cannot accept connections") <= 2, "one line, not a flood"
            for peer in waiting:
                peer.sock.close()
            start = time.monotonic()
            with served.peer() as new:
                assert new.get("/hello/")[0] == 200
            took = time.monotonic() - start
            print(f"accepted again after {took * 1000:.0f} ms")
            assert took < deadline(3)
            for peer in inside:
                peer.send_text("unharmed")
                assert peer.text() == "unharmed"
        served.wait_state(websockets=0, connections=1)
