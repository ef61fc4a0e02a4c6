"""docs/reference/packages.rst tells of the packages that are tried, and of all of them."""

from __future__ import annotations

import configparser
import re

from tests.conftest import ROOT

from .packages import PACKAGES
from .table import DOCUMENT, row


def test_the_table_is_that_of_the_tests() -> None:
    """To bring it up to date: ``make compat``."""
    text = DOCUMENT.read_text()
    found = dict(re.findall(r"   \* - (.+)\n     - (\d\S*)\n", text))
    assert found.keys() == PACKAGES.keys()
    assert text.endswith("".join(row(name, found[name]) for name in sorted(PACKAGES)))


def test_the_extra_installs_what_is_tried() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options.extras_require"]["compat"].split()
    assert {re.split(r"[\[>=]", one)[0] for one in required} >= PACKAGES.keys()
