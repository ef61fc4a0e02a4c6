"""That the judgement over wstest's index can fail, and that a missing Python 2.7 is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_ALL, ROOT

from . import environment
from .report import CASES, failed, judge, read_index


def good(count: int = CASES) -> dict[str, dict[str, str]]:
    return {f"1.{number}": {"behavior": "OK", "behaviorClose": "OK"} for number in range(1, count + 1)}


def test_all_good() -> None:
    cases = good()
    cases["1.2"] = {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}
    verdict = judge(cases)
    assert not verdict.problems
    assert list(verdict.lines()) == ["1 INFORMATIONAL, 516 OK", "517 cases, passed"]


@pytest.mark.parametrize("wrong", ["FAILED", "NON-STRICT", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", ""])
@pytest.mark.parametrize("where", ["behavior", "behaviorClose"])
def test_one_wrong(wrong: str, where: str) -> None:
    cases = good()
    cases["1.7"][where] = wrong
    verdict = judge(cases)
    assert len(verdict.problems) == 1
    assert "1.7" in verdict.problems[0]
    assert list(verdict.lines())[-1] == "517 cases, FAILED"


def test_those_that_failed_are_found_in_their_order() -> None:
    cases = good(20)
    for number in ("1.12", "1.3"):
        cases[number]["behaviorClose"] = "UNCLEAN"
    assert failed(cases) == ["1.3", "1.12"]


def test_case_that_says_nothing() -> None:
    assert judge({**good(516), "2.1": {}}).problems


@pytest.mark.parametrize("count", [0, 1, 516, 518])
def test_number_of_cases(count: int) -> None:
    assert judge(good(count)).problems == [f"{count} cases were run, not 517"]
    assert not judge(good(count), expected=None).problems


def test_index(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    assert read_index(path) == {}
    path.write_text(json.dumps({"django-websocket": good(3)}))
    assert read_index(path) == good(3)


def test_no_python27(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PYTHON27", sys.executable)
    with pytest.raises(environment.EnvironmentMissing, match=r"Python 2\.7"):
        environment.find_python27()


@pytest.mark.parametrize(("require", "status"), [("", 0), ("1", 1)])
def test_skipped_or_failed_without_it(tmp_path: Path, require: str, status: int) -> None:
    program = (
        "import pathlib, sys; from tests.compliance import __main__ as main, environment;"
        "environment.CACHE = main.CACHE = pathlib.Path(sys.argv.pop()); sys.exit(main.main())"
    )
    variables = {"PATH": "/nonexistent", "PYENV_ROOT": str(tmp_path), REQUIRE_ALL: require}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == status
    assert "No Python 2.7 was found" in done.stderr
    assert ("SKIPPED" in done.stderr) == (status == 0)
