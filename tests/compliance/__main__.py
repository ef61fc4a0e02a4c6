"""``python -m tests.compliance [--takeover] [CASE ...]``: the Autobahn fuzzing client against a served echo.

All 517 cases without arguments; ``CASE`` is like ``7.1.1`` or ``9.*``. Exits with 1 unless each is OK or
INFORMATIONAL, at the second try if not at the first. Without a Python 2.7 it says so and exits with 0, or 1 if
DJANGO_WEBSOCKET_REQUIRE_ALL is set.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from tests.conftest import REQUIRE_ALL
from tests.deadlines import deadline

from .environment import CACHE, EnvironmentMissing, find_wstest
from .report import failed, judge, read_index
from .served import echo_server

#: Seconds for all cases; those of sections 12 and 13 send a thousand messages each.
RUN_SECONDS = 3600

#: All cases, in two parts of about the same duration that run at once.
ALL_CASES = {"1-to-12": [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 9, 10, 12)], "13": ["13.*"]}


def run_wstest(wstest: Path, port: int, name: str, cases: list[str]) -> dict[str, dict[str, str]]:
    """Run ``cases``, a line for each section that is begun, and return what came of them.

    What wstest prints goes to wstest-NAME.log.
    """
    reports = CACHE / "reports" / name
    specification = {
        "outdir": str(reports),
        "servers": [{"agent": "django-websocket", "url": f"ws://127.0.0.1:{port}/"}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    path = CACHE / f"fuzzingclient-{name}.json"
    path.write_text(json.dumps(specification))
    command = [str(wstest), "--mode", "fuzzingclient", "--spec", str(path)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONPATH", None)
    environment.pop("PYTHONDEVMODE", None)
    log_path = CACHE / f"wstest-{name}.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=CACHE, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            with log_path.open(errors="replace") as lines:
                follow(process, lines)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        sys.exit(f"wstest exited with {process.returncode}; see {log_path}")
    return read_index(reports / "index.json")


def follow(process: subprocess.Popen[bytes], lines: IO[str]) -> None:
    """Print each section that is begun, until the process has ended."""
    start = time.monotonic()
    section = ""
    running = True
    while running:
        try:
            process.wait(1)
            running = False
        except subprocess.TimeoutExpired:
            pass
        for line in lines:
            _, found, case = line.partition("Running test case ID ")
            if found and (begun := case.split(".")[0]) != section:
                section = begun
                print(f"{time.monotonic() - start:6.0f} s  section {section}", flush=True)
        if time.monotonic() - start > deadline(RUN_SECONDS):
            sys.exit(f"wstest did not end within {deadline(RUN_SECONDS):.0f} s")


def main() -> int:
    options = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    cases = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    CACHE.mkdir(exist_ok=True)
    try:
        wstest = find_wstest()
    except EnvironmentMissing as error:
        print(error, file=sys.stderr)
        if os.environ.get(REQUIRE_ALL, "0") not in ("", "0"):
            return 1
        print("SKIPPED", file=sys.stderr)
        return 0
    reports = CACHE / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    parts = {"chosen": cases} if cases else ALL_CASES
    found: dict[str, dict[str, str]] = {}
    with echo_server(*options) as port, ThreadPoolExecutor() as pool:
        for run in [pool.submit(run_wstest, wstest, port, name, part) for name, part in parts.items()]:
            found.update(run.result())
        if again := failed(found):
            # wstest gives most answers a second, and a machine may hold a process up for longer.
            print("once more:", *again, flush=True)
            found.update(run_wstest(wstest, port, "again", again))
    verdict = judge(found, expected=None) if cases else judge(found)
    print(*verdict.lines(), sep="\n")
    if verdict.problems:
        print(f"Each case has a page in {reports}")
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
