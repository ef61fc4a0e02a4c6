"""Links of files that are read where they lie lead to files; those of the documentation to its pages, or elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINK = re.compile(r"<([^<>`\s]+)>`__?")
PLACES = re.compile(r"https?://(localhost|127\.0\.0\.1|[a-z0-9-]+(\.[a-z0-9-]+)+)(:\d+)?(/\S*)?")
LOOSE = sorted([*ROOT.glob("*.rst"), ROOT / "benchmarks" / "README.rst"])


@pytest.mark.parametrize("page", LOOSE, ids=lambda page: page.name)
def test_loose_files(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert PLACES.fullmatch(target) or (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.rst")), ids=lambda page: page.name)
def test_pages(page: Path) -> None:
    """A page is named by a role, which Sphinx checks."""
    assert [target for target in LINK.findall(page.read_text()) if not PLACES.fullmatch(target)] == []


def test_the_readme_leads_to_many_pages() -> None:
    assert sum(target.startswith("docs/") for target in LINK.findall((ROOT / "README.rst").read_text())) > 10
