"""What every test may use."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import NoReturn

import pytest

from tests.deadlines import deadline

ROOT = Path(__file__).resolve().parent.parent
REQUIRE_ALL = "DJANGO_WEBSOCKET_REQUIRE_ALL"

pytest_plugins = ["tests.site.fixtures"]

BUILD = "import setuptools.build_meta as backend, sys; backend.build_wheel(sys.argv[1])"
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "results", "*.sqlite3")


def pytest_configure() -> None:
    """Set what every process of a test inherits.

    A job in the background ignores some signals: handle them. And eventlet resolves names by dnspython, whose import
    takes a third of a process's start: only the demo's and the packages' tests have it.
    """
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
    for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Scale the time limit of each test as the time-outs in it, which would else be cut short."""
    if item.config.getoption("timeout") is not None:
        return  # somebody has asked for another
    marker = item.get_closest_marker("timeout")
    seconds = marker.args[0] if marker else item.config.getini("timeout")
    item.add_marker(pytest.mark.timeout(deadline(float(seconds))), append=False)


def missing(what: str) -> NoReturn:
    """Skip the test for want of ``what``; fail it where the environment says that everything is there."""
    if os.environ.get(REQUIRE_ALL, "0") not in ("", "0"):
        pytest.fail(f"{what} is missing, and {REQUIRE_ALL} is set", pytrace=False)
    pytest.skip(f"{what} is missing")


def locate_program(*names: str) -> str | None:
    """The path of the first of ``names`` that is installed."""
    for name in names:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if path is not None:
            return path
    return None


def find_program(*names: str) -> str:
    """The path of the first of ``names`` that is installed; without one the test is skipped, or fails."""
    return locate_program(*names) or missing(" or ".join(names))


def code_blocks(document: Path) -> list[str]:
    """The Python code in ``document``, in its order."""
    blocks = re.findall(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", document.read_text(), re.MULTILINE)
    return [dedent(code).strip() + "\n" for _, code in blocks]


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """``program("nginx")``: the path of a program that the test can't do without."""
    return find_program


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a copy, with the backend that pyproject.toml names, and without asking any index."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, source, ignore=NOT_SOURCE)
    built = tmp_path_factory.mktemp("wheel")
    run = subprocess.run([sys.executable, "-c", BUILD, str(built)], cwd=source, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for PYTHONPATH in which the wheel is installed, and nothing else."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site
