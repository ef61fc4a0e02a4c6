"""No proxy, set up as server/deploy/ has it, makes the server see a request that no client of it has sent."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deadlines import deadline

from .proxies import CLIENT, PROXIES, Front, serve_front
from .served import Demo, demo, short_directory
from .smuggling import ATTACKS

#: Attacks on one proxy at a time.
LANES = 6

#: Seconds without a byte after which the proxy is taken to wait for more of a request.
QUIET = 0.3


@pytest.fixture(scope="module")
def server() -> Iterator[Demo]:
    with short_directory() as directory, demo(directory, ALLOWED_HOSTS="*") as running:
        yield running


@pytest.fixture(scope="module", params=PROXIES)
def front(request: pytest.FixtureRequest, server: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    directory = tmp_path_factory.mktemp(request.param)
    with serve_front(request.param, server.upstreams["tcp"], directory) as running:
        yield running


class Lane:
    """Attacks one after the other, and after each what others ask for, whose connections the proxy may share."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()

    def run(self, numbers: range) -> None:
        with ExitStack() as stack:
            kept = self.front.client()
            stack.callback(kept.close)
            for number in numbers:
                name = f"{self.front.name}, {ATTACKS[number].name}"
                answer = self.attack(ATTACKS[number].wire(number), number)
                self.counts[answer[:12].decode("latin-1")] += 1
                strange = {path for path in paths(answer) if f"{number:06}" not in path}
                if strange:
                    self.faults.append(f"{name}: the attacker got {strange}")
                for victim in (1, 2):
                    path = f"/seen/victim-{number:06}-{victim}/"
                    if victim == 1:
                        status, body = self.front.ask(path)
                    else:
                        kept.request("GET", path)
                        response = kept.getresponse()
                        status, body = response.status, response.read().decode()
                    if status != 200 or paths(body.encode()) != [path]:
                        self.faults.append(f"{name}: victim {victim} got {status} {body!r}")

    def attack(self, raw: bytes, number: int) -> bytes:
        """What comes back for the attack and a last request."""
        last = b"GET /seen/last-%06d/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % number
        received = b""
        with self.front.socket() as sock:
            try:
                sock.sendall(raw + last)
                sock.settimeout(deadline(QUIET))
                while piece := sock.recv(65536):
                    received += piece
            except OSError:
                pass
        return received


def paths(answer: bytes) -> list[str]:
    """The paths of the requests that these responses answer."""
    return [path.decode() for path in re.findall(rb'"path": "([^"]*)"', answer)]


@pytest.mark.timeout(300)
def test_no_request_is_smuggled(server: Demo, front: Front, tmp_path: Path) -> None:
    server.journal.write_text("")
    lanes = [Lane(front) for _ in range(LANES)]
    with ThreadPoolExecutor(LANES) as pool:
        for done in [pool.submit(lane.run, range(first, len(ATTACKS), LANES)) for first, lane in enumerate(lanes)]:
            done.result()
    assert [fault for lane in lanes for fault in lane.faults] == []
    journal = [json.loads(line) for line in server.journal.read_text().splitlines()]
    # What a proxy has made is marked with the address of its client, and nothing else is believed.
    smuggled = [f"{path} from {client}: {attack_of(path)}" for path, client in journal if client != CLIENT]
    assert smuggled == []
    counts = sum((lane.counts for lane in lanes), Counter[str]())
    seen = Counter(path.split("/")[2].partition("-")[0] for path, _ in journal if path.count("/") > 2)
    # Each kind occurs: what is refused, what is answered, websockets, and what the proxy, too, takes for a request.
    assert counts["HTTP/1.1 400"] > 100, counts
    assert counts["HTTP/1.1 200"] > 30, counts
    assert counts["HTTP/1.1 101"] > 20, counts
    assert seen["own"] > 50, seen
    assert seen["hidden"] > 20, seen
    assert seen["last"] > 20, seen
    assert seen["victim"] >= 2 * len(ATTACKS), seen


def attack_of(path: str) -> str:
    number = re.search(r"\d{6}", path)
    return ATTACKS[int(number[0])].name if number else "?"


def test_a_smuggled_request_would_be_noticed(server: Demo, front: Front) -> None:
    """One that no proxy has made bears the address that its writer gave it, or none."""
    server.journal.write_text("")
    for headers in ({}, {"X-Forwarded-For": "6.6.6.6"}):
        assert server.get("/seen/hidden-999999/", {"Host": "localhost", **headers})[0] == 200
    assert front.ask("/seen/own-999999/", {"X-Forwarded-For": "6.6.6.6"})[0] == 200
    # A proxy may still hold one of the attacks.
    journal = [json.loads(line) for line in server.journal.read_text().splitlines()]
    clients = [client for path, client in journal if "-999999" in path]
    assert clients == [None, "6.6.6.6", CLIENT]
