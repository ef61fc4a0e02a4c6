"""What every test may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
REQUIRE_ALL = "DJANGO_WEBSOCKET_REQUIRE_ALL"

pytest_plugins = ["tests.site.fixtures"]


def missing(what: str) -> NoReturn:
    """Skip the test for want of ``what``; fail it where the environment says that everything is there."""
    if os.environ.get(REQUIRE_ALL, "0") not in ("", "0"):
        pytest.fail(f"{what} is missing, and {REQUIRE_ALL} is set", pytrace=False)
    pytest.skip(f"{what} is missing")


def find_program(*names: str) -> str:
    """The path of the first of ``names`` that is installed; without one the test is skipped, or fails."""
    for name in names:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if path is not None:
            return path
    missing(" or ".join(names))


@pytest.fixture(scope="session")
def program() -> Callable[..., str]:
    """``program("nginx")``: the path of a program that the test can't do without."""
    return find_program
