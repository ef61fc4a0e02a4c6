"""The command line: ``python -m benchmarks [--quick | --smoke] [--servers ...] [--workloads ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import servers, workloads
from .environment import HERE
from .processes import Failure, end_with_us
from .report import machine, write
from .rounds import Plan, run

FULL = (
    "echo-100x1,echo-100x100,echo-100x1000,pipelined,echo-4k,echo-4k-binary,echo-64k,echo-64k-binary,"
    "echo-1m,echo-1m-binary,deflate,http,fanout-100,fanout-1000,fanout-10000,storm-5000,idle-5000,idle-15000,pings-15000"
)
QUICK = "echo-100x100,echo-100x1000,echo-64k,http,fanout-1000,storm-1000,idle-1000"
QUICK_SERVERS = (
    "ours,floor,picows,websockets,uvicorn-raw,eventlet,channels-async,channels-sync,channels-redis-pubsub,"
    "websockets-broadcast,gunicorn-gthread,gunicorn-gevent,uvicorn-django"
)
SMOKE = "echo-100x100,echo-64k-binary,deflate,http,fanout-100,storm-1000,idle-1000"
SMOKE_SERVERS = "ours,floor,websockets,channels-async,websockets-broadcast,gunicorn-gthread"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; a plan's sizes are the defaults of its options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="This project against its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer servers and workloads; less than three minutes")
    parser.add_argument("--smoke", action="store_true", help="does everything still run? A minute, figures are no good")
    parser.add_argument("--servers", help="comma-separated, or all; --list names them")
    parser.add_argument("--workloads", help="comma-separated, or all; --list names them")
    parser.add_argument(
        "--rounds",
        type=int,
        help="how often every cell is measured; by default the longest workloads once, all others three times",
    )
    parser.add_argument("--duration", type=float, help="seconds for one cell in one round")
    parser.add_argument("--warmup", type=float, help="seconds before that")
    parser.add_argument("--budget", type=float, help="seconds after which no round is begun that would not end")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="where tables and charts go")
    parser.add_argument("--list", action="store_true", help="name all servers and workloads")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that the options ask for. Raises Failure for unknown names."""
    if options.smoke:
        default_servers, default_workloads, rounds, duration, warmup = SMOKE_SERVERS, SMOKE, 1, 0.3, 0.1
    elif options.quick:
        default_servers, default_workloads, rounds, duration, warmup = QUICK_SERVERS, QUICK, 1, 1.0, 0.2
    else:
        default_servers, default_workloads, rounds, duration, warmup = "all", FULL, 3, 2.0, 0.5
    names = options.workloads or default_workloads
    return Plan(
        servers=servers.chosen(options.servers or default_servers),
        workloads=workloads.chosen(",".join(workloads.WORKLOADS) if names == "all" else names),
        rounds=options.rounds or rounds,
        repeat_all=options.rounds is not None,
        duration=options.duration or duration,
        warmup=options.warmup if options.warmup is not None else warmup,
        budget=options.budget or float("inf"),
    )


def main() -> int:
    """0; 1 if nothing could be measured, or, with ``--smoke``, if any server failed at its work; 2 for bad options."""
    options = parse(sys.argv[1:])
    if options.list:
        for server in servers.SERVERS.values():
            print(f"{server.name:22} {server.title}")
        print()
        for workload in workloads.WORKLOADS.values():
            print(f"{workload.name:22} {workload.title}")
        return 0
    try:
        plan = plan_of(options)
    except Failure as failure:
        print(f"benchmarks: {failure}", file=sys.stderr)
        return 2
    end_with_us()
    cells = run(plan)
    print(write(plan, cells, machine(), options.output))
    if options.smoke:
        return int(any(cell.failed for cell in cells))
    return int(not any(cell.samples for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
