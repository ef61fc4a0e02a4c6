"""Nothing that a project may use or set is undocumented, and nothing is documented that isn't there."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal

from django_websocket import signals
from django_websocket.close_codes import UNAUTHORIZED, CloseCode
from django_websocket.conf import OPTIONS, SETTINGS
from django_websocket.exceptions import RefusalReason
from django_websocket.findings import FINDINGS
from django_websocket.groups.config import KEYS, GroupsConfig
from django_websocket.management import commands
from django_websocket.metrics.declarations import DECLARATIONS
from django_websocket.templatetags.django_websocket import register
from tests.conftest import ROOT, code_blocks

from .conftest import Built
from .public import INTERNAL, MODULES, UNIMPORTED, members, names

NAMES = dict(names())
CLASSES = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in NAMES.values() if inspect.isclass(cls)}
PYTHON = ("py:attribute", "py:class", "py:data", "py:exception", "py:function", "py:method", "py:property")


def source() -> Iterator[str]:
    """The package's modules."""
    for path in sorted((ROOT / "django_websocket").rglob("*.py")):
        yield path.read_text()


def test_it_builds_without_a_warning(built: Built) -> None:
    assert built.warnings == ""


def test_settings(built: Built) -> None:
    assert built.documented("std:setting") == SETTINGS.keys()
    assert set(re.findall(r'get_setting\(\s*"(\w+)"', "".join(source()))) <= SETTINGS.keys()


def test_options_of_views(built: Built) -> None:
    assert built.documented("std:view-option") == OPTIONS.keys()


def test_keys_of_groups(built: Built) -> None:
    assert built.documented("std:group-key") == KEYS.keys()
    GroupsConfig.of(dict.fromkeys(KEYS.keys() - {"BACKEND", "PREFIX", "TIMEOUT"}, ()) | {"HISTORY": {}, "OPTIONS": {}})


def test_checks(built: Built) -> None:
    assert built.documented("std:check") == FINDINGS.keys()


def test_all_findings_are_declared() -> None:
    """None is made in passing, and none is declared that nothing finds."""
    text = "".join(source())
    assert set(re.findall(r'FINDINGS\["(\w+)"\]\.message', text)) == FINDINGS.keys()
    assert re.findall(r"[^\w](?:Error|Warning)\([^)]*id=", text) == []


def test_signals(built: Built) -> None:
    there = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert set(signals.__all__) == there
    assert {f"django_websocket.signals.{name}" for name in there} <= built.documented("py:data")


@pytest.mark.parametrize("name", signals.__all__)
def test_arguments_of_signals(name: str) -> None:
    """What is said of a signal names the arguments that it is sent with."""
    text = inspect.getsource(signals)
    doc = text.partition(f"{name} = Signal()\n")[2].partition('"""\n\n')[0]
    sent = {keyword.arg for call in calls(f"{name}.send_robust") for keyword in call.keywords}
    assert sent
    assert set(re.findall(r"``(\w+)``", doc.partition("Arguments:")[2])) - {"handshake_rate"} == sent


def calls(function: str) -> Iterator[ast.Call]:
    """All calls of ``function`` in the package."""
    for text in source():
        if function in text:
            found = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
            yield from (call for call in found if ast.unparse(call.func) == function)


def test_metrics(built: Built) -> None:
    assert built.documented("std:metric") == DECLARATIONS.keys()


def test_refusals(built: Built) -> None:
    assert built.documented("std:refusal") == {reason.value for reason in RefusalReason}


def test_close_codes(built: Built) -> None:
    assert built.documented("std:close-code") == {str(code) for code in (*CloseCode, UNAUTHORIZED)}


def test_template_tags(built: Built) -> None:
    assert built.documented("std:template-tag") == register.tags.keys() | register.filters.keys()


COMMANDS = [module.name for module in iter_modules(commands.__path__)]


def arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    common = {action.dest for action in BaseCommand().create_parser("manage.py", "any")._actions}
    for action in parser._actions:
        if action.dest not in common:
            yield from action.option_strings or [action.dest if action.nargs == "?" else str(action.metavar)]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(built: Built, command: str) -> None:
    parser = load_command_class("django_websocket", command).create_parser("manage.py", command)
    documented = {name for name in built.documented("std:cmdoption") if name.startswith(f"manage.py-{command}.")}
    there = {f"manage.py-{command}.{argument}" for argument in arguments(parser)}
    assert there
    assert there <= documented
    # The documentation is built for a project with staticfiles, which the tests' settings lack.
    assert {name.rpartition(".")[2] for name in documented - there} <= {"--insecure", "--nostatic"}


def test_public_modules(built: Built) -> None:
    """What is documented as a module is compared name by name."""
    assert built.documented("py:module") <= {*MODULES, *UNIMPORTED}


@pytest.mark.parametrize("name", NAMES)
def test_public_names(built: Built, name: str) -> None:
    documented = built.documented(*PYTHON)
    value = NAMES[name]
    assert name in documented
    assert not callable(value) or inspect.getdoc(value)


@pytest.mark.parametrize("name", CLASSES)
def test_members_of_public_classes(built: Built, name: str) -> None:
    documented = built.documented(*PYTHON)
    found = {path for path, value in NAMES.items() if value is CLASSES[name]} | {name}
    missing = [member for member in members(CLASSES[name]) if not {f"{path}.{member}" for path in found} & documented]
    assert missing == []


def test_what_is_internal_is_there() -> None:
    """The list of exceptions names nothing that has gone."""
    classes: dict[str, Any] = {cls.__name__: cls for cls in CLASSES.values()}
    for name, attributes in INTERNAL.items():
        assert {one for one in attributes if not hasattr(classes[name], one)} <= {"get_response"}


def test_what_the_pages_import(built: Built) -> None:
    """Whatever the documentation's code takes from the package is in the reference."""
    documented = built.documented(*PYTHON, "py:module")
    missing = set()
    for page in (ROOT / "docs").rglob("*.rst"):
        for code in code_blocks(page):
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_websocket"):
                    missing |= {f"{node.module}.{alias.name}" for alias in node.names} - documented
    assert missing == set()


class Anchors(HTMLParser):
    """Where a built page leads, and where one can be led to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            elif tag == "a" and name == "href":
                self.targets.add(value or "")


def test_links_within_the_documentation(built: Built) -> None:
    pages = {path: Anchors(path) for path in built.folder.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (path.parent / unquote(file)).resolve() if file else path
            if not there.is_file() or (anchor and anchor not in pages[there].ids):
                broken.append(f"{path.name}: {target}")
    assert broken == []
