"""The code of a page, and ways to run it as it stands there."""

from __future__ import annotations

import importlib.util
import re
import sys
import unittest
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import NamedTuple

import pytest

from tests.conftest import ROOT, missing

BLOCK = re.compile(r"^( *)\.\. code-block:: ([\w+]+)\n((?:\1 +:.*\n)*)\n((?:\1 +.*\n|\n)+)", re.MULTILINE)


def require(module: str) -> None:
    """Skip the test, or fail it, unless ``module`` is installed."""
    if importlib.util.find_spec(module) is None:
        missing(module)


class Block(NamedTuple):
    """A piece of code with its language, and the text above it in the page, which is often the name of its file."""

    language: str
    caption: str
    code: str


def one_line(text: str) -> str:
    """``text`` without line breaks and indentation."""
    return " ".join(text.split())


class Page:
    """A page of the documentation, by its path without the suffix."""

    def __init__(self, name: str) -> None:
        self.path: Path = ROOT / "docs" / f"{name}.rst"
        self.text = self.path.read_text()

    @property
    def blocks(self) -> list[Block]:
        """All code, in its order."""
        found = []
        for _, language, options, code in BLOCK.findall(self.text):
            caption = re.search(r":caption: (.+)", options)
            found.append(Block(language, caption[1] if caption else "", dedent(code).strip() + "\n"))
        return found

    def code(self, language: str = "python") -> list[str]:
        """The code in ``language``, in its order. Who unpacks it notices when a block is added."""
        return [block.code for block in self.blocks if block.language == language]

    @property
    def prose(self) -> str:
        """The text without its line breaks, as those move."""
        return one_line(self.text)


class Modules:
    """Modules made of the code of a page, for as long as the test lasts."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def add(self, name: str, code: str = "", **names: object) -> ModuleType:
        """Run ``code`` as the module ``name``, which may be imported from then on; ``names`` are there before."""
        parent, _, child = name.rpartition(".")
        if parent and parent not in sys.modules:
            self.add(parent)
        module = ModuleType(name)
        vars(module).update(names)
        self._patch.setitem(sys.modules, name, module)
        if parent:
            self._patch.setattr(sys.modules[parent], child, module, raising=False)
        exec(compile(code, f"<{name}>", "exec"), vars(module))
        return module


def run_tests(module: ModuleType) -> int:
    """Run the test cases of ``module``, which have to pass; how many tests there were."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    result = unittest.TestResult()
    suite.run(result)
    assert result.wasSuccessful(), [text for _, text in (*result.failures, *result.errors)]
    return result.testsRun
