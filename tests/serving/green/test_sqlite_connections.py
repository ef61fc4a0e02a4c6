"""Connections to SQLite that wait for locks, each scenario in a patched process of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deadlines import deadline

from . import __name__ as package

SOURCE = Path(__file__).with_name("sqlite_scenarios.py")


def scenarios() -> list[str]:
    """Their names; importing the module would patch this process."""
    functions = (node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.FunctionDef))
    return [
        each.name for each in functions if each.decorator_list and ast.unparse(each.decorator_list[0]) == "scenario"
    ]


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("name", scenarios())
def test_scenario(name: str, journal_mode: str, tmp_path: Path) -> None:
    # Connections that a scenario leaves open are closed when it ends, of which Python 3.13 warns.
    command = [sys.executable, "-W", "error", "-W", "ignore:unclosed database:ResourceWarning", "-m",
               f"{package}.{SOURCE.stem}", name, str(tmp_path / "database"), journal_mode]  # fmt: skip
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=deadline(60), check=False)
    assert (run.returncode, run.stderr) == (0, "")
