"""Reference entries made from the package's own declarations, so that they can't differ.

``.. declared:: settings`` writes all entries of a kind, ``.. declared:: command websocket`` the arguments of one
command. Each entry has an anchor: ``:setting:``, ``:check:`` and so on (see :data:`KINDS`) link to it. A literal that
is the name of a setting or a metric is such a link by itself.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from django.core.management import load_command_class
from django.core.management.base import BaseCommand
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from django_websocket.close_codes import CloseCode
from django_websocket.conf import OPTIONS, SETTINGS
from django_websocket.exceptions import RefusalReason
from django_websocket.findings import FINDINGS
from django_websocket.groups.config import KEYS
from django_websocket.metrics.declarations import DECLARATIONS
from django_websocket.templatetags import django_websocket

#: Kinds of entries that are no Python objects, and what the index calls them.
KINDS = {
    "setting": "setting",
    "view-option": "option of views",
    "group-key": "key of WEBSOCKET_GROUPS",
    "check": "system check",
    "metric": "metric",
    "refusal": "reason of a refusal",
    "close-code": "close code",
    "template-tag": "template tag",
}

#: Names that are links wherever they are literals.
LINKED = dict.fromkeys(SETTINGS, "setting") | dict.fromkeys(DECLARATIONS, "metric")


def entry(kind: str, name: str, text: str, **fields: str) -> Iterator[str]:
    """The lines of one entry."""
    yield from (f".. {kind}:: {name}", "", f"   {text}", "")
    yield from (f"   | {label.replace('_', ' ').capitalize()}: {value}" for label, value in fields.items())
    yield ""


def literal(text: object) -> str:
    return f"``{text}``"


def marked(text: str) -> str:
    """The words of a setting, with what is code in them as literals."""
    return re.sub(r'\["[^"]*"\]|\{".*"\}|"[^"]*"|\b(WEBSOCKET|CSRF)_\w+', lambda found: literal(found[0]), text)


def settings() -> Iterator[str]:
    for setting in SETTINGS.values():
        fields = {"default": literal(repr(setting.default)), "value": marked(setting.expects)}
        if setting.option:
            fields["for_one_view"] = f":view-option:`{setting.option}`"
        yield from entry("setting", setting.name, marked(setting.doc), **fields)


def options() -> Iterator[str]:
    for option, setting in OPTIONS.items():
        yield from entry("view-option", option, marked(setting.doc), overrides=literal(setting.name))


def group_keys() -> Iterator[str]:
    for key, doc in KEYS.items():
        yield from entry("group-key", key, doc)


def checks() -> Iterator[str]:
    for finding in FINDINGS.values():
        when = "``check --deploy``" if finding.deploy else "``check``, and before the server starts"
        text, hint = (part.replace("{{", "{").replace("}}", "}") for part in (finding.text, finding.hint))
        level = "error" if finding.is_error else "warning"
        words = {"level": level, "looked_for_by": when, "says": literal(text), "advises": literal(hint)}
        yield from entry("check", finding.id, finding.meaning, **words)


def metrics() -> Iterator[str]:
    for metric in DECLARATIONS.values():
        fields = {"type": metric.kind.value, "unit": metric.unit}
        if metric.labels:
            fields["labels"] = ", ".join(map(literal, metric.labels))
        if metric.buckets:
            fields["buckets"] = ", ".join(f"{bound:g}" for bound in metric.buckets)
        yield from entry("metric", metric.name, metric.doc, **fields)


def member_docs(enum: type[Enum]) -> dict[str, str]:
    """The docstrings below the members, by their names."""
    [tree] = ast.parse(inspect.getsource(enum)).body
    assert isinstance(tree, ast.ClassDef)
    docs: dict[str, str] = {}
    for member, doc in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            docs[ast.unparse(member.targets[0])] = " ".join(str(doc.value.value).split())
    return docs


def refusals() -> Iterator[str]:
    docs = member_docs(RefusalReason)
    for reason in RefusalReason:
        yield from entry("refusal", reason.value, docs[reason.name])


def close_codes() -> Iterator[str]:
    docs = member_docs(CloseCode)
    for code in CloseCode:
        yield from entry("close-code", str(code.value), docs[code.name], constant=literal(f"CloseCode.{code.name}"))


def template_tags() -> Iterator[str]:
    for name, tag in django_websocket.register.tags.items():
        doc = " ".join((inspect.getdoc(tag) or "").split())
        yield from entry("template-tag", name, doc)


def command(name: str) -> Iterator[str]:
    parser = load_command_class("django_websocket", name).create_parser("manage.py", name)
    for action in own_arguments(parser):
        yield from (f".. option:: {', '.join(signatures(action))}", "", f"   {action.help}".replace("*", "\\*"), "")


def own_arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Those that not every command of Django's has."""
    common = {action.dest for action in BaseCommand().create_parser("manage.py", "any")._actions}
    return [action for action in parser._actions if action.dest not in common]


def signatures(action: argparse.Action) -> list[str]:
    """How an argument is written, under each of its names."""
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return [action.dest if action.nargs == "?" else metavar]
    value = f"[{metavar}]" if action.nargs == "?" else "" if action.nargs == 0 else metavar
    return [f"{option} {value}".rstrip() for option in action.option_strings]


DECLARED: dict[str, Callable[..., Iterator[str]]] = {
    "settings": settings,
    "options": options,
    "group-keys": group_keys,
    "checks": checks,
    "metrics": metrics,
    "refusals": refusals,
    "close-codes": close_codes,
    "template-tags": template_tags,
    "command": command,
}


class Declared(SphinxDirective):
    """``.. declared:: settings``."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        kind, *names = self.arguments
        return self.parse_text_to_nodes("\n".join(DECLARED[kind](*names)))


class LinkedLiterals(SphinxPostTransform):
    """Makes links of literals that name something :data:`LINKED`."""

    default_priority = 5  # before references are resolved

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(nodes.literal)):
            name = node.astext()
            if name not in LINKED or isinstance(node.parent, (addnodes.pending_xref, nodes.reference)):
                continue
            reference = addnodes.pending_xref(
                refdomain="std", reftype=LINKED[name], reftarget=name, refdoc=self.env.docname, refwarn=True
            )
            node.replace_self(reference)
            reference += node


def setup(app: Sphinx) -> dict[str, bool]:
    for kind, name in KINDS.items():
        app.add_object_type(kind, kind, f"pair: %s; {name}", objname=name)
    app.add_directive("declared", Declared)
    app.add_post_transform(LinkedLiterals)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
