"""Runs a plan: in each round, each workload on every server in turn, so that outside load affects all alike."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from .environment import CERTIFICATE, ROOT
from .load.job import Job
from .processes import Failure, cores, free_port, running
from .scraping import scraped
from .servers import Server
from .workloads import Workload


@dataclass(frozen=True)
class Plan:
    """What is run. Durations are seconds for one cell in one round."""

    servers: Sequence[Server]
    workloads: Sequence[Workload]
    rounds: int
    repeat_all: bool = False  # also the workloads for which one round will do
    duration: float = 2.0
    warmup: float = 0.5
    budget: float = math.inf  # seconds after which no further round is begun


@dataclass
class Cell:
    """One server's figures for one workload: the samples of each round, or the reason why there are none."""

    workload: str
    server: str
    samples: list[dict[str, float]] = field(default_factory=list)
    missing: str | None = None
    failed: bool = False  # was asked, and did not do it


def run(plan: Plan) -> list[Cell]:
    """Run every applicable cell, in the plan's order."""
    cells: dict[tuple[str, str], Cell] = {}
    for workload in plan.workloads:
        for server in plan.servers:
            reason = workload.refusal(server)
            if reason != "":
                reason = reason or server.unavailable()
                cells[workload.name, server.name] = Cell(workload.name, server.name, missing=reason)
    start = time.monotonic()
    for number in range(plan.rounds):
        if number and time.monotonic() - start > plan.budget * number / (number + 1):
            print(f"benchmarks: stopped after {number} rounds, to end in time", file=sys.stderr)
            break
        again = [w for w in plan.workloads if not (number and w.once and not plan.repeat_all)]
        for batch in _batches(again):
            # Reverse every other round, so that no server always runs after the same one.
            for server in plan.servers if number % 2 == 0 else reversed(plan.servers):
                wanted = [w for w in batch if _is_open(cells.get((w.name, server.name)))]
                if wanted:
                    print(
                        f"round {number + 1}: {server.name}: {' '.join(w.name for w in wanted)}",
                        file=sys.stderr,
                    )
                    _run_on(server, wanted, plan, cells)
    return list(cells.values())


def _batches(workloads: Sequence[Workload]) -> Iterator[list[Workload]]:
    """Groups of workloads that share one server process."""
    for _, batch in groupby(workloads, key=lambda w: w.name if w.fresh else ""):
        yield list(batch)


def _is_open(cell: Cell | None) -> bool:
    return cell is not None and cell.missing is None


def _run_on(server: Server, workloads: Sequence[Workload], plan: Plan, cells: dict[tuple[str, str], Cell]) -> None:
    """Run ``workloads`` on one process; after a failure the rest gets a new one."""
    left = list(workloads)
    while left:
        try:
            with serving(server) as (port, session):
                while left:
                    workload = left[0]
                    job = workload.job_for(server, port, session, duration=plan.duration, warmup=plan.warmup)
                    samples = load(job)
                    cells[workload.name, server.name].samples.append(samples)
                    del left[0]
        except Failure as failure:
            if not left:  # it ended after its last workload
                return
            print(f"benchmarks: {server.name}: {left[0].name}: {failure}", file=sys.stderr)
            cell = cells[left[0].name, server.name]
            cell.missing, cell.failed = str(failure), True
            del left[0]


@contextmanager
def serving(server: Server) -> Iterator[tuple[int, int]]:
    """A running server on its core, with a redis-server on the other one if its layer needs it: port and session."""
    server_core, load_core = cores()
    environment = {"PYTHONUNBUFFERED": "1"}
    with ExitStack() as stack:
        if server.layer:
            environment["BENCHMARK_LAYER"] = server.layer
        if server.layer.startswith("redis"):
            redis_port = free_port()
            stack.enter_context(running(_redis(redis_port), redis_port, load_core))
            environment["BENCHMARK_LAYER"] += f":{redis_port}"
        if server.metrics:
            metrics_port = free_port()
            environment["BENCHMARK_METRICS"] = f"127.0.0.1:{metrics_port}"
        if server.tls:
            environment["BENCHMARK_CERTIFICATE"] = str(CERTIFICATE)
        port = free_port()
        session = stack.enter_context(running(server.command(port), port, server_core, environment=environment))
        if server.metrics:
            stack.enter_context(scraped(session, metrics_port))
        if server.tls:
            port = stack.enter_context(_over_tls(port, load_core))
        yield port, session


@contextmanager
def _over_tls(port: int, core: int) -> Iterator[int]:
    """The port on which HAProxy takes plain connections, and passes them on to ``port`` with TLS."""
    binary = shutil.which("haproxy")
    assert binary is not None, "Server.unavailable() said so"
    near = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
        config.write(
            "global\n    maxconn 5000\n    nbthread 1\n"
            "defaults\n    mode tcp\n    timeout connect 30s\n    timeout client 300s\n    timeout server 300s\n"
            f"listen tls\n    bind 127.0.0.1:{near} backlog 4096\n"
            f"    server one 127.0.0.1:{port} ssl verify none no-ssl-reuse\n"
        )
        config.flush()
        with running([binary, "-db", "-f", config.name], near, core):
            yield near


def _redis(port: int) -> list[str]:
    binary = shutil.which("redis-server")
    assert binary is not None, "Server.unavailable() said so"
    return [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]


def load(job: Job) -> dict[str, float]:
    """Run the job in a load process on its core; its samples. Raises Failure with its reason."""
    command = [sys.executable, "-m", "benchmarks.load", job.to_json()]
    _, load_core = cores()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=job.warmup + job.duration + 180,
            preexec_fn=lambda: os.sched_setaffinity(0, {load_core}),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failure("the load generator did not end in time") from None
    if done.returncode:
        raise Failure(f"the load generator failed: {done.stderr.strip().splitlines()[-1]}")
    findings: dict[str, Any] = json.loads(done.stdout)
    if "error" in findings:
        raise Failure(str(findings["error"]))
    return findings
