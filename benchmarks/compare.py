"""This checkout against an earlier revision of itself: ``python -m benchmarks.compare REVISION``.

Both servers take turns on the same core in the same run, and the ratio of each round is computed before the median is
taken, so that other load on the machine affects both alike.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from .environment import ROOT
from .processes import Failure, cores, end_with_us, free_port, running
from .rounds import load
from .servers import OURS
from .servers import chosen as chosen_servers
from .workloads import Workload, chosen

DEFAULT = "echo-100x100,echo-64k,deflate,http,storm-1000,idle-5000"

#: The samples that are compared, and how each is called; less is better for all.
FIGURES = {"cpu_us": "us of CPU", "rss_kib": "KiB/socket"}


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A directory with the files of ``revision``."""
    with tempfile.TemporaryDirectory() as directory:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", directory], input=archive, check=True)
        yield Path(directory)


def measure(directory: Path, workload: Workload, duration: float) -> dict[str, float]:
    """One cell: a fresh server of the checkout in ``directory``."""
    server_core, _ = cores()
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.project.ours", str(port)]
    environment = {"PYTHONPATH": str(directory)}
    with running(command, port, server_core, environment=environment, cwd=directory) as session:
        [ours] = chosen_servers(OURS)
        return load(workload.job_for(ours, port, session, duration=duration, warmup=0.5))


def compare(revision: str, workloads: Sequence[Workload], rounds: int, duration: float) -> None:
    """Print a row for each workload and figure: medians, the ratio of the best rounds, and the ratio of each round.

    On a machine that is shared with others the best rounds are those that were disturbed least.
    """
    print(f"{'medians':28}{revision[:12]:>12}{'now':>12}{'ratio':>8}{'of bests':>10}   of each round", flush=True)
    with checkout(revision) as before:
        for workload in workloads:
            pairs: list[tuple[dict[str, float], dict[str, float]]] = []
            for number in range(rounds):
                order = [before, ROOT] if number % 2 == 0 else [ROOT, before]
                samples = {directory: measure(directory, workload, duration) for directory in order}
                pairs.append((samples[before], samples[ROOT]))
            for sample, label in FIGURES.items():
                if sample not in pairs[0][0]:
                    continue
                ratios = sorted(new[sample] / old[sample] for old, new in pairs)
                old_median, new_median = (median(pair[side][sample] for pair in pairs) for side in (0, 1))
                bests = min(new[sample] for _, new in pairs) / min(old[sample] for old, _ in pairs)
                print(
                    f"{workload.name + ', ' + label:28}{old_median:12.2f}{new_median:12.2f}{median(ratios):8.3f}"
                    f"{bests:10.3f}   {' '.join(f'{ratio:.2f}' for ratio in ratios)}",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("revision", help="what to compare with: a commit, a tag or a branch")
    parser.add_argument("--workloads", default=DEFAULT, help=f"comma-separated; by default {DEFAULT}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--duration", type=float, default=2.0, help="seconds of one measurement")
    options = parser.parse_args()
    end_with_us()
    try:
        compare(options.revision, chosen(options.workloads), options.rounds, options.duration)
    except Failure as failure:
        sys.exit(f"benchmarks: {failure}")


if __name__ == "__main__":
    main()
