"""What is asked of whom."""

from __future__ import annotations

import pytest

from benchmarks import cli, servers, workloads
from benchmarks.processes import Failure
from benchmarks.rounds import Plan
from benchmarks.servers import SERVERS
from benchmarks.workloads import WORKLOADS


@pytest.mark.parametrize("arguments", [[], ["--quick"], ["--smoke"], ["--workloads", "all"]])
def test_every_plan_names_what_exists(arguments: list[str]) -> None:
    plan = cli.plan_of(cli.parse(arguments))
    for workload in plan.workloads:
        assert any(workload.refusal(server) is None for server in plan.servers), workload.name


def test_the_options_win_over_the_plan() -> None:
    options = ["--quick", "--servers", "floor,ours", "--workloads", "echo-64k", "--rounds", "7", "--warmup", "0"]
    plan = cli.plan_of(cli.parse(options))
    assert plan == Plan([SERVERS["ours"], SERVERS["floor"]], [WORKLOADS["echo-64k"]], 7, True, 1.0, 0.0)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(Failure, match="no server nobody"):
        servers.chosen("floor,nobody")
    with pytest.raises(Failure, match="no workload nothing"):
        workloads.chosen("nothing")


def test_a_refusal_tells_what_cannot_from_what_need_not_be_measured() -> None:
    assert WORKLOADS["http"].refusal(SERVERS["floor"]) == ""
    assert "thread" in (WORKLOADS["idle-15000"].refusal(SERVERS["websockets-threads"]) or "")
    assert WORKLOADS["pings-15000"].refusal(SERVERS["floor"]) == "sends no pings"
    assert WORKLOADS["echo-64k"].refusal(SERVERS["floor"]) is None


def test_a_job_is_for_its_server() -> None:
    job = WORKLOADS["echo-100x100"].job_for(SERVERS["channels-sync"], 80, 7, duration=2, warmup=1)
    assert (job.path, job.port, job.session, job.duration) == ("/sync", 80, 7, 2)
    assert type(job).from_json(job.to_json()) == job
    assert WORKLOADS["pings-15000"].job_for(SERVERS["ours"], 80, 7, duration=2, warmup=1).duration == 40
    assert WORKLOADS["idle-5000"].job_for(SERVERS["ours"], 80, 7, duration=2, warmup=1).duration == 0
