"""The README's settings and examples are those of the code."""

from __future__ import annotations

import ast
import re
from textwrap import dedent

from django_websocket import WebSocket
from django_websocket.conf import SETTINGS, Setting

from .conftest import ROOT

README = (ROOT / "README.rst").read_text()


def row(setting: Setting) -> str:
    """The setting's row in the README."""
    option = f" (``{setting.option}``)" if setting.option else ""
    doc = re.sub(r"\b(WEBSOCKET_\w+|CSRF_TRUSTED_ORIGINS)\b", r"``\1``", setting.doc)
    return f"   * - ``{setting.name}``{option}\n     - ``{setting.default!r}``\n     - {doc}\n"


def settings_table() -> str:
    head = (
        ".. list-table::\n   :header-rows: 1\n   :widths: 35 15 50\n\n   * - Setting\n     - Default\n     - Meaning\n"
    )
    return head + "".join(map(row, SETTINGS.values()))


def test_settings() -> None:
    """To bring the README up to date: ``python -m tests.test_readme``."""
    assert f".. settings\n\n{settings_table()}\n.. end of settings" in README


def test_examples() -> None:
    """What the README shows first is what the demo runs."""
    shown = next(block for block in README.split(".. code-block:: python\n") if "def echo_once" in block)
    code = dedent(re.match(r"\n((?:    .*\n|\n)+)", shown)[1])  # type: ignore[index]  # the block is there
    views = (ROOT / "server" / "views.py").read_text()
    functions = {node.name: ast.dump(node) for node in ast.parse(views).body if isinstance(node, ast.FunctionDef)}
    examples = {node.name: ast.dump(node) for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    assert set(examples) == {"echo_once", "lower_case"}
    assert examples.items() <= functions.items()


def test_api() -> None:
    """Each attribute of the websocket that the README tells of is there."""
    documented = set(re.findall(r"``ws\.(\w+)", README))
    assert len(documented) > 15
    assert documented <= set(dir(WebSocket))


if __name__ == "__main__":
    table = f".. settings\n\n{settings_table()}\n.. end of settings"
    (ROOT / "README.rst").write_text(
        re.sub(r"\.\. settings\n.*?\.\. end of settings", lambda found: table, README, flags=re.DOTALL)
    )
