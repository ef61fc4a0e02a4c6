"""docs/howto/client.rst knows all that the client has."""

from __future__ import annotations

import re

from tests.conftest import ROOT

DOCUMENT = (ROOT / "docs/howto/client.rst").read_text()

STATIC = ROOT / "django_websocket/static/django_websocket"

TYPES = (STATIC / "client.d.ts").read_text()

CLIENT = (STATIC / "client.js").read_text()


def rows(head: str) -> list[str]:
    """The first column of the table whose first heading that is."""
    (table,) = re.findall(rf"   \* - {head}\n     - .*\n((?:   .*\n)+)", DOCUMENT)
    return re.findall(r"   \* - (.*)", table)


def names(interface: str) -> set[str]:
    """What an interface of the types has."""
    (body,) = re.findall(rf"export interface {interface}\b.*?\{{\n(.*?)\n\}}", TYPES, re.DOTALL)
    return set(re.findall(r"^  (?:readonly )?(\w+)[?(<:]", body, re.MULTILINE))


def test_options() -> None:
    assert {row.strip("`") for row in rows("Option")} == names("Options")


def test_names() -> None:
    inherited = {"addEventListener", "removeEventListener"}
    assert {row.strip("`").split("(")[0] for row in rows("Name")} == names("Connection") - inherited


def test_events() -> None:
    assert {row.strip("`") for row in rows("Event")} == names("ConnectionEventMap")


def test_states() -> None:
    (states,) = re.findall(r"export type State = (.*);", TYPES)
    assert all(f"``{state}``" in DOCUMENT for state in states.split(" | "))


def test_final_codes() -> None:
    (codes,) = re.findall(r"FINAL_CODES = \[(.*)\]", CLIENT)
    assert {int(code) for row in rows("Code") for code in row.split(",")} == {
        int(code) for code in codes.replace("LOGGED_OUT", "4401").split(",")
    }


def constant(name: str) -> int:
    (value,) = re.findall(rf"const {name} = ([\d_]+)", CLIENT)
    return int(value)


def test_numbers() -> None:
    text = " ".join(DOCUMENT.split())
    assert constant("FIRST_DELAY") == 500
    assert "begins at half a second" in text
    assert f"up to {constant('MAX_DELAY') // 1000} seconds" in text
    assert constant("STABLE_AFTER") == constant("ATTEMPT_TIMEOUT") == 10_000
    assert "lasted for ten seconds" in text
    assert "after ten seconds has failed" in text
    assert constant("BROKEN_AFTER") == 3
    assert "three in a row" in text
    assert constant("PROBE_INTERVAL") == 60_000
    assert "every minute or so" in text
    assert f"at most {constant('MAX_QUEUE')} messages and 1 MiB" in text
    assert "MAX_QUEUED_SIZE = 1 << 20" in CLIENT
