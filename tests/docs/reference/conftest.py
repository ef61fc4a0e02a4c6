"""The documentation, built once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import pytest
from sphinx.util.inventory import InventoryFile

from tests.conftest import ROOT
from tests.deadlines import deadline


@dataclass(frozen=True)
class Built:
    """What ``make docs`` makes."""

    folder: Path
    warnings: str
    """What it says; empty if all is well."""

    def documented(self, *kinds: str) -> Set[str]:
        """The names of the entries of these kinds, such as ``std:setting``."""
        inventory = InventoryFile.loads((self.folder / "objects.inv").read_bytes(), uri="")
        return {name for kind in kinds for name in inventory.data.get(kind, {})}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("docs")
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-d", folder / "trees", "docs", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=deadline(100),
    )
    assert (folder / "objects.inv").exists(), run.stderr
    return Built(folder, run.stderr)
