"""The client in node, with a network and a clock that the tests drive; and how large it is."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deadlines import deadline

CLIENT = ROOT / "django_websocket/static/django_websocket/client.js"

TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name.split(".")[0])
def test_in_node(path: Path, program: Callable[..., str]) -> None:
    command = [program("node"), "--test", "--test-reporter=spec", str(path)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}
    run = subprocess.run(command, capture_output=True, text=True, env=env, timeout=deadline(60), check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    # A module without tests passes, too.
    assert "tests 0" not in run.stdout
    assert "pass" in run.stdout


def test_it_is_small() -> None:
    assert len(gzip.compress(CLIENT.read_bytes(), 9)) < 3 * 1024
