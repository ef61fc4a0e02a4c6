"""``python -m tests.fuzz.proxies [--count N] [--seed S]``: does a proxy read a request as we do?

N mutated requests (:mod:`tests.fuzz.heads`) go through nginx and HAProxy, each as usual and as lenient as it gets, to
our server, and with them a request that must stay their own: the victim, on another connection. The proxies share their
connections to the server among all clients. A request that the server saw and the proxy did not, one that they
read differently, and a victim that gets another's response are printed, and the exit status is 1. The same requests are
read by h11 and by us, in the process: what we accept, h11 must read in the same way.
"""

from __future__ import annotations

import argparse
import json
import secrets
import socket
import sys
import tempfile
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deadlines import deadline

from .fronts import SEEN, Fronts, echo_server, serve_fronts
from .heads import HOST, Mutant, mutated
from .readings import disagreement

__all__ = ["Findings", "compare_behind_proxies"]

#: Clients at work at once, per proxy and kind.
LANES = 12

#: Seconds without a byte after which a request is taken to be one that the proxy waits for more of.
QUIET = 0.15


@dataclass
class Findings:
    """What a run came to."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    suspects: list[tuple[str, int]] = field(default_factory=list)
    """Fronts and numbers of mutants whose victim got no answer of its own."""

    def report(self) -> str:
        lines = [f"{count:9} {name}" for name, count in sorted(self.counts.items())]
        return "\n".join([*lines, *(f"FOUND: {problem}" for problem in self.problems)])


def exchange(port: int, data: bytes, quiet: float) -> bytes:
    """What comes back for ``data``, to the end or until ``quiet`` seconds pass without a byte."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=deadline(10)) as sock:
        sock.settimeout(quiet)
        try:
            sock.sendall(data)
            while piece := sock.recv(65536):
                received += piece
        except (TimeoutError, ConnectionError):
            pass
    return received


def sorts(received: bytes) -> str:
    """A name for what came back."""
    if not received:
        return "nothing"
    status = received[9:12].decode("latin-1")
    for text, name in (
        (b"HTTP/1.1 101", "websocket"),
        (f"{SEEN} ".encode(), "view"),
        (b"nginx", "nginx"),
        (b"<h1>", "haproxy"),
    ):
        if text in received:
            return f"{status} {name}"
    return f"{status} ours" if b"Content-Type: text/plain; charset=utf-8" in received else f"{status} other"


def harm(port: int, mutant: Mutant, victim: int) -> bytes | None:
    """What a victim got beside ``mutant``; None if that is its own response."""
    path = b"/victim-%d-%d/" % (mutant.number, victim)
    answer = exchange(port, request(path), deadline(30))
    well = answer.startswith(b"HTTP/1.1 200 ") and f"{SEEN} GET ".encode() + path + b"\n" in answer
    return None if well else answer


def request(path: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (path, HOST)


def send(port: int, mutant: Mutant) -> str:
    """Send it and a second request behind it; returns the sort of what came back."""
    return sorts(exchange(port, mutant.wire() + request(b"/follower-%d/" % mutant.number), QUIET))


def attack(name: str, port: int, numbers: range, seed: int, findings: Findings) -> None:
    """One lane: mutants, and after each a victim."""
    for number in numbers:
        mutant = mutated(number, seed)
        sort = send(port, mutant)
        findings.counts[f"{name}: {sort}"] += 1
        # What the proxy refuses by itself, it forwards nothing of.
        if sort not in ("400 nginx", "400 haproxy") and harm(port, mutant, 0) is not None:
            findings.suspects.append((name, number))


def examine(fronts: Fronts, seed: int, findings: Findings) -> None:
    """Look at the suspects once more, one after another: a busy machine makes time-outs, too."""
    for name, number in findings.suspects:
        mutant = mutated(number, seed)
        for attempt in range(1, 4):
            send(fronts[name], mutant)
            answer = harm(fronts[name], mutant, attempt)
            if answer is not None:
                problem = f"{name}, {number}: the victim got {answer[:300]!r} beside {mutant.wire()!r}"
                findings.problems.append(problem)
                break


def attack_all(fronts: Fronts, first: int, count: int, seed: int, findings: Findings) -> None:
    with ThreadPoolExecutor(LANES * len(fronts)) as pool:
        lanes = [
            pool.submit(attack, name, port, range(first + lane, first + count, LANES), seed, findings)
            for name, port in fronts.items()
            for lane in range(LANES)
        ]
        for lane in lanes:
            lane.result()


def tally(port: int, secret: str) -> dict[str, Any]:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"http://127.0.0.1:{port}/tally/{secret}", timeout=deadline(30)
    ) as response:
        told: dict[str, Any] = json.load(response)
        return told


def compare_behind_proxies(
    count: int, seed: int, directory: Path, *, first: int = 0, only: str | None = None
) -> Findings:
    """Send mutants ``first`` to ``first + count`` through the proxies (or ``only`` one), and say what was odd."""
    findings = Findings()
    secret = secrets.token_hex(8)
    log = directory / "echo.log"
    with echo_server(secret, log) as port, serve_fronts(port, secret, directory) as fronts:
        chosen = {name: number for name, number in fronts.items() if only in (None, name)}
        attack_all(chosen, first, count, seed, findings)
        examine(fronts, seed, findings)
        told = tally(port, secret)
    findings.counts["suspects"] = len(findings.suspects)
    findings.counts.update({f"server: {name}": number for name, number in told["counts"].items()})
    findings.problems += [json.dumps(odd) for odd in told["odd"]]
    before, traceback, after = log.read_text().partition("Traceback")
    if traceback:
        findings.problems.append(f"the server's log holds a traceback: {before[-300:]}{traceback}{after[:3000]}")
    return findings


def compare_with_h11(count: int, seed: int, *, first: int = 0) -> Findings:
    """Read the same mutants here, by h11 and by us."""
    findings = Findings()
    for number in range(first, first + count):
        wire = mutated(number, seed).wire()
        verdict, problem = disagreement(wire)
        findings.counts[f"h11: {verdict}"] += 1
        if problem:
            findings.problems.append(f"h11, {number}: {problem} for {wire!r}")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="how many requests, for each proxy")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--first", type=int, default=0, help="the number of the first, to look at one again")
    parser.add_argument("--only", help="one of the fronts")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="proxies-") as directory:
        found = [
            compare_with_h11(arguments.count, arguments.seed, first=arguments.first),
            compare_behind_proxies(
                arguments.count, arguments.seed, Path(directory), first=arguments.first, only=arguments.only
            ),
        ]
    for findings in found:
        print(findings.report())
    return any(findings.problems for findings in found)


if __name__ == "__main__":
    sys.exit(main())
