"""docs/reference/packages.rst, from the packages that were tried."""

from __future__ import annotations

from collections.abc import Iterable

from tests.conftest import ROOT

from .packages import PACKAGES, installed_version

__all__ = ["DOCUMENT", "document", "row"]

DOCUMENT = ROOT / "docs" / "reference" / "packages.rst"

HEAD = """\
Other packages
==============

Each of these was added to a fresh project that ``runwsserver`` served, on Django {django} and Python {python}.
A page, a websocket and twenty of each at once went through its middleware, and it did what it is for. ``make compat``
tries them again and writes this table.

.. list-table::
   :header-rows: 1
   :widths: 30 15 55

   * - Package
     - Version
     - What was seen
"""


def row(name: str, version: str) -> str:
    """The row of one package."""
    return f"   * - {name}\n     - {version}\n     - {PACKAGES[name].proof}\n"


def document(passed: Iterable[str], django: str, python: str) -> str:
    """The whole text, with the packages that ``passed``."""
    rows = [row(name, installed_version(name) or "") for name in sorted(passed)]
    return HEAD.format(django=django, python=python) + "".join(rows)
