"""``python -m tests.packages``: try each package, and write down in docs/reference/packages.rst which ones worked.

Leaves the document alone unless all did; exits with pytest's status.
"""

from __future__ import annotations

import platform
import sys

import django
import pytest

from .packages import PACKAGES
from .table import DOCUMENT, document

HERE = "tests/packages/test_packages.py"


class Outcomes:
    """A plugin for pytest that keeps the names of the packages that worked."""

    def __init__(self) -> None:
        self.passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed and "test_package[" in report.nodeid:
            self.passed.add(report.nodeid.partition("[")[2].removesuffix("]"))


def main() -> int:
    outcomes = Outcomes()
    status = pytest.main([HERE, "-v"], plugins=[outcomes])
    if outcomes.passed == PACKAGES.keys():
        DOCUMENT.write_text(document(outcomes.passed, django.get_version(), platform.python_version()))
    else:
        print(
            "docs/reference/packages.rst stays as it is: not tried, or failed:",
            *sorted(PACKAGES.keys() - outcomes.passed),
        )
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
