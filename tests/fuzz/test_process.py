"""A little of what ``python -m tests.fuzz.process`` does for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from .process import fuzz_process


@pytest.mark.timeout(300)
def test_a_fuzzed_process_serves_and_leaks_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = fuzz_process(4, 20, log)
    assert not run.problems, (run.problems, log.read_text()[-5000:])
    assert run.counts["healthy"]
    assert len(run.counts) > 10, run.counts
