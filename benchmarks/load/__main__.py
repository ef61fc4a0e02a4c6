"""``python -m benchmarks.load '<job as JSON>'``: run the job and print the samples (or ``{"error": ...}``) as JSON."""

from __future__ import annotations

import json
import sys

from . import echo, fanout, held, http, idle
from .frames import LoadError
from .job import Job

RUNNERS = {
    "echo": echo.run,
    "fanout": fanout.run,
    "http": http.run,
    "idle": idle.run_idle,
    "storm": idle.run_storm,
}


def main() -> None:
    job = Job.from_json(sys.argv[1])
    if job.kind == "held":
        held.run(job)
        return
    try:
        findings: dict[str, float] | dict[str, str] = dict(RUNNERS[job.kind](job))
    except LoadError as error:
        findings = {"error": str(error)}
    except OSError as error:
        findings = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(findings))


if __name__ == "__main__":
    main()
